"""Soft values and the temperature's loss, worked out by hand, with their signs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.maximum_entropy import soft_value, temperature_loss


def one_candidate(*, log_probability: Any, values: Any, temperature: float = 0.2) -> jax.Array:
    """A continuous policy: one sampled action for each observation."""
    log_probability, values = jnp.asarray(log_probability), jnp.asarray(values)
    return soft_value(
        values=values[..., None],
        weight=jnp.ones((len(log_probability), 1)),
        log_probability=log_probability[:, None],
        temperature=jnp.float32(temperature),
        choice_entropy=jnp.zeros(len(log_probability)),
        choice_temperature=jnp.float32(0.0),
    )


def test_the_soft_value_of_a_continuous_policy_by_hand() -> None:
    # Minima 1, 2; minus 0.2 · log π: 1 + 0.2, 2 − 0.4.
    value = one_candidate(log_probability=[-1.0, 2.0], values=[[1.0, 5.0], [3.0, 2.0]])
    np.testing.assert_allclose(value, [1.2, 1.6], rtol=1e-6)


def test_the_soft_value_of_choices_by_hand() -> None:
    # One observation, three choices of which the last weighs nothing. Minima 1, 4 (and −9); minus 0.5 · log π(c|k):
    # 1 + 0.5 = 1.5, 4 − 1 = 3; weighted 0.25 · 1.5 + 0.75 · 3 = 2.625; plus 0.1 · 0.6.
    value = soft_value(
        values=jnp.asarray([[[1.0, 6.0, -9.0]], [[2.0, 4.0, 7.0]]]),
        weight=jnp.asarray([[0.25, 0.75, 0.0]]),
        log_probability=jnp.asarray([[-1.0, 2.0, 5.0]]),
        temperature=jnp.float32(0.5),
        choice_entropy=jnp.asarray([0.6]),
        choice_temperature=jnp.float32(0.1),
    )
    np.testing.assert_allclose(value, [2.685], rtol=1e-6)


def test_the_minimum_is_over_the_critics_and_not_over_the_choices() -> None:
    value = soft_value(
        values=jnp.asarray([[[0.0, 10.0]], [[2.0, 8.0]]]),
        weight=jnp.asarray([[0.5, 0.5]]),
        log_probability=jnp.zeros((1, 2)),
        temperature=jnp.float32(1.0),
        choice_entropy=jnp.zeros(1),
        choice_temperature=jnp.float32(1.0),
    )
    np.testing.assert_allclose(value, [4.0], rtol=1e-6)


def test_trap_06_entropy_is_rewarded_and_values_too() -> None:
    gradient = jax.grad(
        lambda log_probability, values: -jnp.mean(one_candidate(log_probability=log_probability, values=values)),
        argnums=(0, 1),
    )(jnp.zeros(2), jnp.asarray([[1.0, 5.0], [3.0, 2.0]]))
    # Descending makes actions less probable, with α/N, and the smaller value larger, with 1/N.
    np.testing.assert_allclose(gradient[0], [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(gradient[1], [[-0.5, 0.0], [0.0, -0.5]], rtol=1e-6)


@pytest.mark.parametrize(("entropy", "direction"), [(3.0, -1.0), (-3.0, 1.0), (-2.0, 0.0)])
def test_trap_06_the_temperature_rises_while_entropy_is_below_its_target(entropy: float, direction: float) -> None:
    # The target is −2 nats. Entropies: 3 (too much: α falls), −3 (too little: α rises), −2 (just right).
    slope = jax.grad(
        lambda log_temperature: temperature_loss(
            log_temperature=log_temperature, entropy=jnp.full(4, entropy), target_entropy=jnp.full(4, -2.0)
        )
    )(jnp.float32(0.7))
    assert np.sign(-float(slope)) == direction
    assert slope == pytest.approx(entropy + 2.0)


def test_the_temperature_loss_by_hand_moves_no_policy() -> None:
    entropy, target = jnp.asarray([-1.0, 2.0]), jnp.full(2, -1.0)
    # Entropy 0.5; minus the target −1: 1.5; times log α = 2.
    assert temperature_loss(log_temperature=jnp.float32(2.0), entropy=entropy, target_entropy=target) == pytest.approx(
        3.0
    )
    gradient = jax.grad(
        lambda given: temperature_loss(log_temperature=jnp.float32(2.0), entropy=given, target_entropy=target)
    )(entropy)
    assert not np.any(gradient)

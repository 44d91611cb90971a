"""The policy's loss and the temperature's, worked out by hand, with their signs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.maximum_entropy import soft_policy_loss, temperature_loss


def test_the_policy_loss_by_hand() -> None:
    # Minima 1, 2; 0.2 · log π: −0.2, 0.4; differences −1.2, −1.6; their mean is −1.4.
    loss = soft_policy_loss(
        log_probability=jnp.asarray([-1.0, 2.0]),
        values=jnp.asarray([[1.0, 5.0], [3.0, 2.0]]),
        temperature=jnp.float32(0.2),
    )
    assert loss == pytest.approx(-1.4)


def test_trap_06_entropy_is_rewarded_and_values_too() -> None:
    gradient = jax.grad(
        lambda log_probability, values: soft_policy_loss(
            log_probability=log_probability, values=values, temperature=jnp.float32(0.2)
        ),
        argnums=(0, 1),
    )(jnp.zeros(2), jnp.asarray([[1.0, 5.0], [3.0, 2.0]]))
    # Descending makes actions less probable, with α/N, and the smaller value larger, with 1/N.
    np.testing.assert_allclose(gradient[0], [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(gradient[1], [[-0.5, 0.0], [0.0, -0.5]], rtol=1e-6)


@pytest.mark.parametrize(("log_probability", "direction"), [(-3.0, -1.0), (3.0, 1.0), (2.0, 0.0)])
def test_trap_06_the_temperature_rises_while_entropy_is_below_its_target(
    log_probability: float, direction: float
) -> None:
    # The target is −2 nats. Entropies: 3 (too much: α falls), −3 (too little: α rises), −2 (just right).
    slope = jax.grad(
        lambda log_temperature: temperature_loss(
            log_temperature=log_temperature, log_probability=jnp.full(4, log_probability), target_entropy=-2.0
        )
    )(jnp.float32(0.7))
    assert np.sign(-float(slope)) == direction
    assert slope == pytest.approx(-log_probability + 2.0)


def test_the_temperature_loss_by_hand_moves_no_policy() -> None:
    log_probability = jnp.asarray([1.0, -2.0])
    # Entropy 0.5; minus the target −1: 1.5; times log α = 2.
    arguments = {"log_temperature": jnp.float32(2.0), "log_probability": log_probability, "target_entropy": -1.0}
    assert temperature_loss(**arguments) == pytest.approx(3.0)
    gradient = jax.grad(
        lambda given: temperature_loss(log_temperature=jnp.float32(2.0), log_probability=given, target_entropy=-1.0)
    )(log_probability)
    assert not np.any(gradient)

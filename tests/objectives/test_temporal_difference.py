"""Soft targets and the squared error, worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.temporal_difference import soft_target, squared_error

REWARD = jnp.asarray(np.array([1.0, 2.0, -1.0], np.float32))
DISCOUNT = jnp.asarray(np.array([0.9, 0.0, 0.81], np.float32))
NEXT = jnp.asarray(np.array([[10.0, 5.0, 2.0], [8.0, 7.0, 3.0]], np.float32))
LOG_PROBABILITY = jnp.asarray(np.array([-1.0, 2.0, 0.5], np.float32))


def test_the_soft_target_by_hand() -> None:
    # Minima 8, 5, 2; minus 0.5 · log π: 8.5, 4, 1.75.
    # 1 + 0.9 · 8.5 = 8.65;   2 + 0 (terminated);   −1 + 0.81 · 1.75 = 0.4175 (the second of two steps).
    target = soft_target(
        reward=REWARD,
        discount=DISCOUNT,
        next_values=NEXT,
        next_log_probability=LOG_PROBABILITY,
        temperature=jnp.float32(0.5),
    )
    np.testing.assert_allclose(target, [8.65, 2.0, 0.4175], rtol=1e-6)


def test_no_gradient_flows_through_the_target() -> None:
    def total(next_values: jax.Array, log_probability: jax.Array, temperature: jax.Array) -> jax.Array:
        target = soft_target(
            reward=REWARD,
            discount=DISCOUNT,
            next_values=next_values,
            next_log_probability=log_probability,
            temperature=temperature,
        )
        return jnp.sum(target)

    gradients = jax.grad(total, argnums=(0, 1, 2))(NEXT, LOG_PROBABILITY, jnp.float32(0.5))
    assert all(not np.any(gradient) for gradient in gradients)


@pytest.mark.parametrize("critics", [1, 2, 5])
def test_the_minimum_is_over_the_critics(critics: int) -> None:
    values = np.arange(3.0 * critics, dtype=np.float32).reshape(critics, 3)[::-1].copy()
    target = soft_target(
        reward=jnp.zeros(3),
        discount=jnp.ones(3),
        next_values=jnp.asarray(values),
        next_log_probability=jnp.zeros(3),
        temperature=jnp.ones(()),
    )
    np.testing.assert_array_equal(target, [0.0, 1.0, 2.0])


def test_trap_11_a_time_limit_is_no_termination() -> None:
    # Reward 1 for ever and γ = 0.9: V = 1/(1 − 0.9) = 10 is the fixed point of y = r + γ V, and a truncated row, whose
    # discount is γ, has it too. With the discount of a termination the target is 1.
    target = soft_target(
        reward=jnp.ones(3),
        discount=jnp.asarray([0.9, 0.9, 0.0]),
        next_values=jnp.full((2, 3), 10.0),
        next_log_probability=jnp.zeros(3),
        temperature=jnp.ones(()),
    )
    np.testing.assert_allclose(target, [10.0, 10.0, 1.0], rtol=1e-6)


def test_the_squared_error_by_hand() -> None:
    # Errors of the first critic: 1, −2, 0; squares times weights: 1·1, 0.5·4, 2·0 = 1, 2, 0; their mean is 1.
    # Of the second: 0, 1, 3: 0, 0.5, 18; their mean is 18.5/3. Half of the sum.
    target = jnp.asarray([1.0, 2.0, 3.0])
    values = jnp.asarray([[2.0, 0.0, 3.0], [1.0, 3.0, 6.0]])
    weight = jnp.asarray([1.0, 0.5, 2.0])
    loss, gradient = jax.value_and_grad(lambda v: squared_error(values=v, target=target, weight=weight))(values)
    assert loss == pytest.approx(0.5 * (1.0 + 18.5 / 3.0))
    # The gradient is weight · (Q − y) / N, for each critic by itself.
    np.testing.assert_allclose(gradient, np.array([[1.0, -1.0, 0.0], [0.0, 0.5, 6.0]]) / 3.0, rtol=1e-6)


def test_rows_of_weight_zero_do_not_count() -> None:
    target, weight = jnp.zeros(2), jnp.asarray([1.0, 0.0])
    assert squared_error(values=jnp.asarray([[2.0, 1e6]]), target=target, weight=weight) == pytest.approx(1.0)

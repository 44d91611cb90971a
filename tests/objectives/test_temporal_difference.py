"""Targets and the squared error, worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.temporal_difference import bootstrapped_target, squared_error

REWARD = jnp.asarray(np.array([1.0, 2.0, -1.0], np.float32))
DISCOUNT = jnp.asarray(np.array([0.9, 0.0, 0.81], np.float32))
NEXT_VALUE = jnp.asarray(np.array([8.5, 4.0, 1.75], np.float32))


def test_the_target_by_hand() -> None:
    # 1 + 0.9 · 8.5 = 8.65;   2 + 0 (terminated);   −1 + 0.81 · 1.75 = 0.4175 (the second of two steps).
    target = bootstrapped_target(reward=REWARD, discount=DISCOUNT, next_value=NEXT_VALUE)
    np.testing.assert_allclose(target, [8.65, 2.0, 0.4175], rtol=1e-6)


def test_no_gradient_flows_through_the_target() -> None:
    gradient = jax.grad(lambda value: jnp.sum(bootstrapped_target(reward=REWARD, discount=DISCOUNT, next_value=value)))(
        NEXT_VALUE
    )
    assert not np.any(gradient)


def test_trap_11_a_time_limit_is_no_termination() -> None:
    # Reward 1 for ever and γ = 0.9: V = 1/(1 − 0.9) = 10 is the fixed point of y = r + γ V, and a truncated row, whose
    # discount is γ, has it too. With the discount of a termination the target is 1.
    target = bootstrapped_target(
        reward=jnp.ones(3), discount=jnp.asarray([0.9, 0.9, 0.0]), next_value=jnp.full(3, 10.0)
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

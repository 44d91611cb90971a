"""V-trace: by hand, against generalised advantages, and its fixed point on a process whose values are known."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.advantage import Advantages, generalised_advantages, vtrace

GAMMA = 0.9
UNLIMITED = 1e9


def _corrected(
    *,
    reward: list[float],
    value: list[float],
    terminated: list[int],
    is_last: list[int],
    ratio: list[float],
    trace_lambda: float = 1.0,
    importance_limit: float = 1.0,
    trace_limit: float = 1.0,
) -> dict[str, np.ndarray]:
    """One environment: lists over time become arrays [T, 1], and what comes out becomes vectors."""
    estimated = vtrace(
        reward=jnp.asarray(reward, jnp.float32)[:, None],
        terminated=jnp.asarray(terminated, jnp.bool_)[:, None],
        is_last=jnp.asarray(is_last, jnp.bool_)[:, None],
        value=jnp.asarray(value)[:, None],
        log_ratio=jnp.log(jnp.asarray(ratio, jnp.float32))[:, None],
        discount=GAMMA,
        trace_lambda=trace_lambda,
        importance_limit=importance_limit,
        trace_limit=trace_limit,
    )
    return {name: np.asarray(getattr(estimated, name))[:, 0] for name in ("advantage", "importance", "value_target")}


def test_three_steps_by_hand_with_ratios_beyond_both_limits() -> None:
    # Nothing ends. γ = 0.9, λ = 0.5, ρ̄ = 2, c̄ = 1, ratios 3, 0.5, 1.5: ρ = 2, 0.5, 1.5 and c/λ = 1, 0.5, 1.
    # δ0 = 1 + 0.9·20 − 10 = 9;  δ1 = 2 + 0.9·30 − 20 = 9;  δ2 = 3 + 0.9·40 − 30 = 9
    # v2 − V2 = 1.5·9 = 13.5
    # v1 − V1 = 0.5·9 + 0.9·0.5·0.5·13.5 = 4.5 + 3.0375 = 7.5375
    # v0 − V0 = 2·9 + 0.9·0.5·1·7.5375 = 18 + 3.391875 = 21.391875
    # Â2 = 9;  Â1 = 9 + 0.45·13.5 = 15.075;  Â0 = 9 + 0.45·7.5375 = 12.391875
    found = _corrected(
        reward=[1, 2, 3],
        value=[10.0, 20.0, 30.0, 40.0],
        terminated=[0, 0, 0],
        is_last=[0, 0, 0, 0],
        ratio=[3.0, 0.5, 1.5],
        trace_lambda=0.5,
        importance_limit=2.0,
    )
    np.testing.assert_allclose(found["importance"], [2.0, 0.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(found["value_target"], [31.391875, 27.5375, 43.5], rtol=1e-6)
    np.testing.assert_allclose(found["advantage"], [12.391875, 15.075, 9.0], rtol=1e-6)


@pytest.mark.parametrize("terminated", [0, 1])
def test_trap_10_corrections_do_not_leak_across_the_end_of_an_episode(terminated: int) -> None:
    # Row 0 ends its episode, row 1 holds its final observation (V = 50), row 2 begins the next one. λ = 1; ratios 0.5
    # and 2, the latter cut to 1, and 7 where no action was taken, which is of no account.
    # Truncated: δ0 = 1 + 0.9·50 − 10 = 36, terminated: δ0 = 1 − 10 = −9; v0 = 10 + 0.5·δ0.
    # δ2 = 3 + 0.9·5 − 7 = 0.5; v2 = 7 + 1·0.5.
    found = _corrected(
        reward=[1, 0, 3],
        value=[10.0, 50.0, 7.0, 5.0],
        terminated=[terminated, 0, 0],
        is_last=[0, 1, 0, 0],
        ratio=[0.5, 7.0, 2.0],
    )
    difference = -9.0 if terminated else 36.0
    np.testing.assert_allclose(found["importance"], [0.5, 1.0, 1.0])
    np.testing.assert_allclose(found["advantage"], [difference, 0.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found["value_target"], [10.0 + 0.5 * difference, 50.0, 7.5], rtol=1e-6)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_rows_without_an_action_may_hold_any_ratio(odd: float) -> None:
    arrays = _random_arrays()
    plain = vtrace(**arrays, discount=GAMMA, trace_lambda=0.9)
    dead = arrays["is_last"][:-1]
    assert dead.any()
    spoilt = arrays | {"log_ratio": np.where(dead, np.float32(odd), arrays["log_ratio"])}
    jax.tree.map(np.testing.assert_array_equal, vtrace(**spoilt, discount=GAMMA, trace_lambda=0.9), plain)
    assert plain.importance is not None
    assert np.all(np.asarray(plain.importance)[dead] == 1.0)
    assert np.all(np.asarray(plain.advantage)[dead] == 0.0)


def test_ratios_beyond_what_an_exponential_can_hold_are_truncated() -> None:
    arrays = _random_arrays()
    far = np.where(arrays["log_ratio"] > 0.0, 500.0, -500.0).astype(np.float32)
    estimated = vtrace(**(arrays | {"log_ratio": far}), discount=GAMMA, trace_lambda=1.0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(estimated))
    assert estimated.importance is not None
    assert set(np.unique(np.asarray(estimated.importance))) == {0.0, 1.0}


@pytest.mark.parametrize("gae_lambda", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("limit", [1.0, 5.0])
def test_with_ratios_of_one_it_is_generalised_advantage_estimation(gae_lambda: float, limit: float) -> None:
    arrays = _random_arrays()
    log_ratio = arrays.pop("log_ratio")
    expected = generalised_advantages(**arrays, discount=GAMMA, gae_lambda=gae_lambda)

    def corrected(log_ratio: np.ndarray) -> Advantages:
        return vtrace(
            **arrays,
            log_ratio=log_ratio,
            discount=GAMMA,
            trace_lambda=gae_lambda,
            importance_limit=limit,
            trace_limit=limit,
        )

    estimated = corrected(np.zeros_like(log_ratio))
    assert estimated.importance is not None
    assert np.all(np.asarray(estimated.importance) == 1.0)
    np.testing.assert_allclose(estimated.advantage, expected.advantage, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(estimated.value_target, expected.value_target, rtol=1e-5, atol=1e-6)
    # Negative control: with other ratios it is not.
    assert np.max(np.abs(corrected(log_ratio).value_target - expected.value_target)) > 0.1


def test_equals_a_slow_reference_that_sums_each_row_by_itself() -> None:
    # Equation 1 as it is written: v_s = V(x_s) + Σ_t γ^(t − s) (Π_{i = s … t−1} c_i) δ_t V.
    arrays, trace_lambda, importance_limit, trace_limit = _random_arrays(), 0.8, 1.5, 0.9
    reward, terminated, is_last, value = (arrays[name] for name in ("reward", "terminated", "is_last", "value"))
    ratio = np.exp(arrays["log_ratio"])
    steps, environments = reward.shape
    expected = value[:-1].astype(np.float64)
    for start, column in itertools.product(range(steps), range(environments)):
        factor, row = 1.0, start
        while row < steps and not is_last[row, column]:
            bootstrap = 0.0 if terminated[row, column] else GAMMA * value[row + 1, column]
            difference = reward[row, column] + bootstrap - value[row, column]
            expected[start, column] += factor * min(importance_limit, ratio[row, column]) * difference
            factor, row = factor * GAMMA * trace_lambda * min(trace_limit, ratio[row, column]), row + 1
    names = ("discount", "trace_lambda", "importance_limit", "trace_limit")
    estimated = jax.jit(vtrace, static_argnames=names)(
        **arrays,
        discount=GAMMA,
        trace_lambda=trace_lambda,
        importance_limit=importance_limit,
        trace_limit=trace_limit,
    )
    np.testing.assert_allclose(estimated.value_target, expected, rtol=1e-4, atol=1e-5)


def _random_arrays() -> dict[str, Any]:
    """Forty steps of three environments, episodes ending one way or the other, ratios far from 1."""
    generator = np.random.default_rng(3)
    steps, environments = 40, 3
    is_last = np.zeros((steps + 1, environments), np.bool_)
    for row in range(1, steps + 1):
        is_last[row] = (generator.random(environments) < 0.2) & ~is_last[row - 1]
    return {
        "reward": generator.normal(size=(steps, environments)).astype(np.float32),
        "terminated": is_last[1:] & (generator.random((steps, environments)) < 0.5),
        "is_last": is_last,
        "value": generator.normal(size=(steps + 1, environments)).astype(np.float32),
        "log_ratio": generator.normal(size=(steps, environments)).astype(np.float32),
    }


# A process of two states for the fixed point. In either, action 0 stays, action 1 goes to the other. What they bring:
REWARD = np.array([[1.0, 0.0], [-2.0, 5.0]])
BEHAVIOUR = np.array([[0.7, 0.3], [0.4, 0.6]])
"""μ(a|x)."""
TARGET = np.array([[0.2, 0.8], [0.5, 0.5]])
"""π(a|x)."""


def _true_value(policy: np.ndarray) -> np.ndarray:
    """V = (I − γ P)⁻¹ R of a policy."""
    transition = np.array([[policy[0, 0], policy[0, 1]], [policy[1, 1], policy[1, 0]]])
    return np.linalg.solve(np.eye(2) - GAMMA * transition, np.sum(policy * REWARD, axis=1))


def _fixed_point(*, steps: int = 3, importance_limit: float, trace_limit: float, correct: bool = True) -> np.ndarray:
    """Put the mean target of both states in the place of their values, again and again: the mean over all sequences of
    actions, each in a column, weighted by how probable it is where μ acts.
    """
    sequences = list(itertools.product((0, 1), *[(0, 1)] * steps))
    state = np.zeros((steps + 1, len(sequences)), np.int64)
    action = np.array([sequence[1:] for sequence in sequences]).T
    state[0] = [sequence[0] for sequence in sequences]
    for row in range(steps):
        state[row + 1] = state[row] ^ action[row]
    probability = np.prod(BEHAVIOUR[state[:-1], action], axis=0)
    ratio = (TARGET if correct else BEHAVIOUR)[state[:-1], action] / BEHAVIOUR[state[:-1], action]
    arrays = {
        "reward": REWARD[state[:-1], action].astype(np.float32),
        "terminated": np.zeros(action.shape, np.bool_),
        "is_last": np.zeros(state.shape, np.bool_),
        "log_ratio": np.log(ratio).astype(np.float32),
    }

    def improved(value: jax.Array, _: None) -> tuple[jax.Array, None]:
        estimated = vtrace(
            **arrays,
            value=value[state],
            discount=GAMMA,
            trace_lambda=0.9,
            importance_limit=importance_limit,
            trace_limit=trace_limit,
        )
        mean = [jnp.sum(jnp.where(state[0] == start, probability, 0.0) * estimated.value_target[0]) for start in (0, 1)]
        return jnp.stack(mean), None

    value, _ = jax.lax.scan(improved, jnp.zeros(2), length=1500)
    return np.asarray(value)


@pytest.mark.parametrize("trace_limit", [0.5, 1.0, UNLIMITED])
def test_the_fixed_point_is_the_value_of_the_policy_that_learns(trace_limit: float) -> None:
    # V^π = 9.370, 10.394 and V^μ = 11.451, 13.099.
    found = _fixed_point(importance_limit=UNLIMITED, trace_limit=trace_limit)
    np.testing.assert_allclose(found, _true_value(TARGET), rtol=1e-4)
    # Negative control: uncorrected, it is the value of the policy that acted.
    uncorrected = _fixed_point(importance_limit=UNLIMITED, trace_limit=trace_limit, correct=False)
    np.testing.assert_allclose(uncorrected, _true_value(BEHAVIOUR), rtol=1e-4)
    assert np.min(np.abs(_true_value(TARGET) - _true_value(BEHAVIOUR))) > 1.0


@pytest.mark.parametrize("importance_limit", [0.2, 0.6, 1.0, 1.5])
def test_truncated_the_fixed_point_is_the_value_of_a_policy_in_between(importance_limit: float) -> None:
    # Equation 3. The ratios lie between 0.286 and 2.67: below them all, ρ̄ leaves the policy that acted.
    between = np.minimum(importance_limit * BEHAVIOUR, TARGET)
    expected = _true_value(between / np.sum(between, axis=1, keepdims=True))
    found = _fixed_point(importance_limit=importance_limit, trace_limit=min(1.0, importance_limit))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.min(np.abs(found - _true_value(TARGET))) > 0.01
    if importance_limit == 0.2:
        np.testing.assert_allclose(found, _true_value(BEHAVIOUR), rtol=1e-4)


def test_shapes_are_checked_at_the_entrance() -> None:
    arrays = _random_arrays()
    # Without the tests' annotation checker, as users run it.
    unchecked = getattr(vtrace, "__wrapped__", vtrace)
    for name in arrays:
        with pytest.raises(ValueError, match="shape"):
            unchecked(**(arrays | {name: arrays[name][:, :1]}), discount=GAMMA, trace_lambda=1.0)

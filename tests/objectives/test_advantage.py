"""Generalised advantage estimation: closed forms, a slow reference, and what a missing mask would give."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.advantage import Advantages, generalised_advantages, n_step_advantages

GAMMA = 0.9


def _estimate(
    *,
    reward: list[float],
    value: list[float],
    terminated: list[int],
    is_last: list[int],
    gae_lambda: float = 0.95,
    discount: float = GAMMA,
) -> Advantages:
    """One environment: lists over time become arrays [T, 1]."""
    return generalised_advantages(
        reward=jnp.asarray(reward, jnp.float32)[:, None],
        terminated=jnp.asarray(terminated, jnp.bool_)[:, None],
        is_last=jnp.asarray(is_last, jnp.bool_)[:, None],
        value=jnp.asarray(value)[:, None],
        discount=discount,
        gae_lambda=gae_lambda,
    )


def test_two_steps_by_hand() -> None:
    # Rows: o0 -> o1 -> o2, nothing ends. γ = 0.9, λ = 0.5.
    # δ0 = 1 + 0.9·20 − 10 = 9;  δ1 = 2 + 0.9·30 − 20 = 9
    # Â1 = 9;  Â0 = 9 + 0.45·9 = 13.05;  targets: 10 + 13.05, 20 + 9
    estimated = _estimate(reward=[1, 2], value=[10.0, 20.0, 30.0], terminated=[0, 0], is_last=[0, 0, 0], gae_lambda=0.5)
    np.testing.assert_allclose(estimated.advantage[:, 0], [13.05, 9.0], rtol=1e-6)
    np.testing.assert_allclose(estimated.value_target[:, 0], [23.05, 29.0], rtol=1e-6)


def test_trap_10_nothing_leaks_across_the_end_of_an_episode() -> None:
    # Row 0 ends its episode by truncation, row 1 holds its final observation (V = 50), row 2 begins the next episode.
    # δ0 = 1 + 0.9·50 − 10 = 36, and that is all of Â0.  Row 1: 0.
    # δ2 = 3 + 0.9·5 − 7 = 0.5.
    cut = _estimate(reward=[1, 0, 3], value=[10.0, 50.0, 7.0, 5.0], terminated=[0, 0, 0], is_last=[0, 1, 0, 0])
    np.testing.assert_allclose(cut.advantage[:, 0], [36.0, 0.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(cut.value_target[:, 0], [46.0, 50.0, 7.5], rtol=1e-6)
    # Terminated instead: δ0 = 1 + 0 − 10 = −9.
    ended = _estimate(reward=[1, 0, 3], value=[10.0, 50.0, 7.0, 5.0], terminated=[1, 0, 0], is_last=[0, 1, 0, 0])
    np.testing.assert_allclose(ended.advantage[:, 0], [-9.0, 0.0, 0.5], rtol=1e-6)
    # Negative control: without the mask the final observation's row counts as a step with reward 0 into the next
    # episode: δ1 = 0 + 0.9·7 − 50 = −43.7, Â1 = −43.7 + 0.855·0.5 = −43.2725, Â0 = 36 + 0.855·(−43.2725) = −0.998.
    naive = _estimate(reward=[1, 0, 3], value=[10.0, 50.0, 7.0, 5.0], terminated=[0, 0, 0], is_last=[0, 0, 0, 0])
    np.testing.assert_allclose(naive.advantage[:2, 0], [-0.9979875, -43.2725], rtol=1e-5)


@pytest.mark.parametrize("episode_length", [1, 4, 1000])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.95, 1.0])
def test_trap_11_reward_one_for_ever_is_worth_its_closed_form_truncated_or_not(
    episode_length: int, gae_lambda: float
) -> None:
    # V = 1/(1 − γ) = 10 everywhere is right, whatever the time limit: all advantages are 0, all targets 10.
    rows = 60
    dead = [int(row % (episode_length + 1) == episode_length) for row in range(rows + 1)]
    estimated = _estimate(
        reward=[0.0 if dead[row] else 1.0 for row in range(rows)],
        value=[10.0] * (rows + 1),
        terminated=[0] * rows,
        is_last=dead,
        gae_lambda=gae_lambda,
    )
    np.testing.assert_allclose(estimated.advantage, 0.0, atol=1e-5)
    np.testing.assert_allclose(estimated.value_target, 10.0, rtol=1e-6)
    if episode_length == 4:
        # Negative control: time limits taken as terminations give another number.
        ends = [int(bool(dead[row + 1])) for row in range(rows)]
        merged = _estimate(
            reward=[0.0 if dead[row] else 1.0 for row in range(rows)],
            value=[10.0] * (rows + 1),
            terminated=ends,
            is_last=dead,
            gae_lambda=gae_lambda,
        )
        assert float(jnp.min(merged.advantage)) < -8.9  # 1 − 10 in the last step


def test_equals_a_slow_reference_that_sums_each_row_by_itself() -> None:
    generator = np.random.default_rng(3)
    steps, environments, gae_lambda = 40, 3, 0.8
    is_last = np.zeros((steps + 1, environments), np.bool_)
    terminated = np.zeros((steps, environments), np.bool_)
    for column in range(environments):
        for row in range(1, steps + 1):
            if generator.random() < 0.2 and not is_last[row - 1, column]:
                is_last[row, column] = True
                terminated[row - 1, column] = generator.random() < 0.5
    reward = generator.normal(size=(steps, environments)).astype(np.float32)
    value = generator.normal(size=(steps + 1, environments)).astype(np.float32)
    expected = np.zeros((steps, environments))
    for column in range(environments):
        for start in range(steps):
            factor, row = 1.0, start
            while row < steps and not is_last[row, column]:
                bootstrap = 0.0 if terminated[row, column] else GAMMA * value[row + 1, column]
                expected[start, column] += factor * (reward[row, column] + bootstrap - value[row, column])
                factor, row = factor * GAMMA * gae_lambda, row + 1
    estimate = jax.jit(generalised_advantages, static_argnames=("discount", "gae_lambda"))
    estimated = estimate(
        reward=reward, terminated=terminated, is_last=is_last, value=value, discount=GAMMA, gae_lambda=gae_lambda
    )
    np.testing.assert_allclose(estimated.advantage, expected, rtol=1e-4, atol=1e-5)


def test_shapes_are_checked_at_the_entrance() -> None:
    arrays = {
        "reward": np.zeros((4, 2), np.float32),
        "terminated": np.zeros((4, 2), np.bool_),
        "is_last": np.zeros((5, 2), np.bool_),
        "value": np.zeros((5, 2), np.float32),
    }
    # Without the tests' annotation checker, as users run it.
    unchecked = getattr(generalised_advantages, "__wrapped__", generalised_advantages)
    for name in arrays:
        wrong = arrays | {name: arrays[name][:, :1]}
        with pytest.raises(ValueError, match="shape"):
            unchecked(**wrong, discount=GAMMA, gae_lambda=1.0)
    with pytest.raises(ValueError, match="value has the shape"):
        unchecked(**(arrays | {"value": arrays["value"][:-1]}), discount=GAMMA, gae_lambda=1.0)


def _n_step(*, n: int, terminated: bool, length: int = 6) -> Advantages:
    """Rows 0 and 1 of an episode, its final observation in row 2, rows 3 to 5 of the next one, which goes on."""
    is_last = np.zeros((length + 1, 1), np.bool_)
    is_last[2] = True
    return n_step_advantages(
        reward=jnp.array([[1.0], [2.0], [0.0], [3.0], [4.0], [5.0]]),
        terminated=jnp.array([[False], [terminated], [False], [False], [False], [False]]),
        is_last=jnp.asarray(is_last),
        value=jnp.array([[10.0], [20.0], [50.0], [7.0], [6.0], [5.0], [4.0]]),
        discount=0.5,
        n=n,
    )


def test_n_step_returns_by_hand() -> None:
    # γ = 0.5, two steps. The first episode ends after row 1, cut off: its value there is 50.
    # Row 0: 1 + 0.5·2 + 0.25·50 − 10 = 4.5.  Row 1, one step to the end: 2 + 0.5·50 − 20 = 7.  Row 2: no action.
    # Row 3: 3 + 0.5·4 + 0.25·5 − 7 = −0.75.  Row 4: 4 + 0.5·5 + 0.25·4 − 6 = 1.5.
    # Row 5, one step to the end of the rows: 5 + 0.5·4 − 5 = 2.
    estimated = _n_step(n=2, terminated=False)
    np.testing.assert_allclose(estimated.advantage[:, 0], [4.5, 7.0, 0.0, -0.75, 1.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(estimated.value_target[:, 0], [14.5, 27.0, 50.0, 6.25, 7.5, 7.0], rtol=1e-6)
    # Terminated instead: row 0: 1 + 0.5·2 − 10 = −8, row 1: 2 − 20 = −18; the next episode is as it was.
    ended = _n_step(n=2, terminated=True)
    np.testing.assert_allclose(ended.advantage[:, 0], [-8.0, -18.0, 0.0, -0.75, 1.5, 2.0], rtol=1e-6)


@pytest.mark.parametrize(("n", "gae_lambda"), [(1, 0.0), (6, 1.0), (100, 1.0)])
def test_one_step_and_all_steps_are_the_ends_of_generalised_advantages(n: int, gae_lambda: float) -> None:
    generator = np.random.default_rng(0)
    is_last = np.zeros((7, 3), np.bool_)
    is_last[3, 1] = True
    arrays: dict[str, Any] = {
        "reward": generator.normal(size=(6, 3)).astype(np.float32),
        "terminated": np.roll(is_last, -1, axis=0)[:-1] & (np.arange(3) == 1),
        "is_last": is_last,
        "value": generator.normal(size=(7, 3)).astype(np.float32),
        "discount": GAMMA,
    }
    steps, averaged = n_step_advantages(**arrays, n=n), generalised_advantages(**arrays, gae_lambda=gae_lambda)
    np.testing.assert_allclose(steps.advantage, averaged.advantage, rtol=1e-4, atol=1e-5)

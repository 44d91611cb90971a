"""MixedAction2D behind a Box: the mapping by hand, its errors, and what a random policy earns."""

from typing import Any

import gymnasium
import jaxtyping
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.utils.env_checker import check_env

from triax.environments import (
    ContinuingContinuousAction,
    ContinuousMixedAction,
    EnvironmentConfig,
    MixedAction2D,
    TerminatingContinuousAction,
)

TERMINATING = EnvironmentConfig(id="triax/MixedAction2D-v0", wrappers=(TerminatingContinuousAction,))
CONTINUING = EnvironmentConfig(id="triax/MixedAction2DContinuing-v0", wrappers=(ContinuingContinuousAction,))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code's own checks speak: a user's program runs without the tests' checker of annotations, and faster."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def numbers(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def terminating() -> TerminatingContinuousAction:
    return TerminatingContinuousAction(MixedAction2D())


@pytest.mark.parametrize(("config", "size"), [(TERMINATING, 5), (CONTINUING, 4)])
def test_action_space_is_a_box_of_scores_and_amounts(config: EnvironmentConfig, size: int) -> None:
    assert config.make().action_space == gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32)


@pytest.mark.parametrize(
    ("action", "choice", "move"),
    [
        # The greatest score wins; the amounts are a tenth of the numbers.
        (numbers(0.3, 0.2, 0.1, 1.0, -1.0), 0, (0.1, -0.1)),
        (numbers(-0.9, -0.2, -0.3, 0.5, 0.25), 1, (0.05, 0.025)),
        (numbers(0.0, 0.0, 0.01, 0.0, 0.0), 2, (0.0, 0.0)),
        # Equal scores: the first.
        (numbers(0.5, 0.5, 0.5, 0.0, -0.5), 0, (0.0, -0.05)),
    ],
)
def test_scores_choose_and_amounts_are_scaled(
    action: npt.NDArray[np.float32], choice: int, move: tuple[float, float]
) -> None:
    mapped = terminating().action(action)
    assert mapped["choice"] == choice
    np.testing.assert_allclose(mapped["move"], move, atol=1e-8)


def test_two_scores_in_the_continuing_variant() -> None:
    wrapped = ContinuingContinuousAction(MixedAction2D(continuing=True))
    mapped = wrapped.action(numbers(-0.5, 0.5, 1.0, -0.3))
    assert mapped["choice"] == 1
    np.testing.assert_allclose(mapped["move"], (0.1, -0.03), atol=1e-8)


@pytest.mark.parametrize("config", [TERMINATING, CONTINUING])
def test_every_action_of_the_box_is_an_action_of_the_environment(config: EnvironmentConfig) -> None:
    wrapped = next(layer for layer in [config.make()] if isinstance(layer, ContinuousMixedAction))
    space = wrapped.action_space
    space.seed(0)
    assert isinstance(space, gymnasium.spaces.Box)
    for action in [space.low, space.high, *(space.sample() for _ in range(500))]:
        assert wrapped.env.action_space.contains(wrapped.action(action))


def test_stepping_is_stepping_the_wrapped_environment() -> None:
    # Target (0.5, 0.9), agent (0.2, 0.5). x by 0.1: the way is (0.2, 0.4), its length √0.2.
    environment = TERMINATING.make()
    environment.reset(options={"position": (0.2, 0.5), "target": (0.5, 0.9)})
    observation, reward, terminated, *_ = environment.step(numbers(1.0, 0.0, 0.0, 1.0, 1.0))
    np.testing.assert_allclose(observation, [0.2, 0.4, np.sqrt(0.2)], rtol=1e-6)
    assert reward == pytest.approx(-np.sqrt(0.2))
    assert terminated is False
    # The third score: done, outside the zone.
    _, reward, terminated, *_ = environment.step(numbers(0.0, 0.0, 1.0, 1.0, 1.0))
    assert reward == pytest.approx(-100.0 - np.sqrt(0.2))
    assert terminated is True


@pytest.mark.parametrize(
    "action",
    [numbers(0, 0, 0, 0, 1.01), numbers(0, 0, 0, 0), np.zeros(5), numbers(0, float("nan"), 0, 0, 0)],
    ids=["outside", "shape", "float64", "nan"],
)
@pytest.mark.usefixtures("unchecked")
def test_actions_outside_the_box_are_refused(action: Any) -> None:
    environment = terminating()
    environment.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction, match="lies outside the action space"):
        environment.step(action)


def test_the_wrapper_of_the_other_variant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"for environments with 3 choices.*has 2.*ContinuingContinuousAction"):
        TerminatingContinuousAction(MixedAction2D(continuing=True))
    with pytest.raises(ValueError, match=r"for environments with 2 choices.*has 3"):
        ContinuingContinuousAction(MixedAction2D())
    # The general class takes both.
    assert ContinuousMixedAction(MixedAction2D()).action_space.shape == (5,)
    assert ContinuousMixedAction(MixedAction2D(continuing=True)).action_space.shape == (4,)


def test_other_action_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs an action space Dict\(choice=…, move=…\), and got Box"):
        TerminatingContinuousAction(gymnasium.make("Pendulum-v1"))
    swapped = MixedAction2D()
    box = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    swapped.action_space = gymnasium.spaces.Dict({"choice": box, "move": box})
    with pytest.raises(ValueError, match="needs a Discrete choice and a Box of moves"):
        TerminatingContinuousAction(swapped)


@pytest.mark.parametrize("config", [TERMINATING, CONTINUING])
@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version.*:UserWarning")
def test_gymnasiums_checker_has_nothing_else_to_say(config: EnvironmentConfig) -> None:
    check_env(config.make())


def test_the_spec_makes_the_wrapped_environment_again() -> None:
    environment = TERMINATING.make()
    assert environment.spec is not None
    assert environment.spec.make().action_space == environment.action_space


@pytest.mark.usefixtures("unchecked")
def test_a_random_policy_succeeds_in_less_than_one_of_a_hundred_episodes() -> None:
    # "Done" comes at a third of the steps, wherever the agent is by then; the zone is π·0.05² = 0.79 % of the square,
    # and a part of it is cut off where the target is near an edge. (2,000,000 episodes in plain NumPy: 0.744 %.)
    environment = TERMINATING.make()
    # Two seeds: with one for both, places and actions come from the same stream, and fewer episodes succeed.
    environment.action_space.seed(0)
    environment.reset(seed=100)
    episodes, successes = 5000, 0
    for _ in range(episodes):
        environment.reset()
        ended = False
        while not ended:
            _, reward, terminated, truncated, info = environment.step(environment.action_space.sample())
            ended = terminated or truncated
        successes += info["success"]
        assert info["success"] == (reward == 100.0)
    assert 0.003 < successes / episodes < 0.015


def test_a_policy_that_looks_succeeds_always() -> None:
    # The negative control of the test above: the task can be solved through the wrapper.
    environment = TERMINATING.make()
    for seed in range(100):
        observation, info = environment.reset(seed=seed)
        terminated = False
        while not terminated:
            dx, dy, distance = (float(number) for number in observation)
            scores = (-1.0, -1.0, 1.0) if distance < 0.04 else (abs(dx), abs(dy), -1.0)
            amounts = np.clip([10.0 * dx, 10.0 * dy], -1.0, 1.0)
            observation, _, terminated, truncated, info = environment.step(numbers(*scores, *amounts))
            assert not truncated
        assert info["success"]

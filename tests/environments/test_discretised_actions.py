"""Box actions made discrete: which member of the Box each choice is."""

import functools
from typing import Any

import gymnasium
import jaxtyping
import numpy as np
import pytest

from triax.environments import BangBangAction, DiscreteAction, EnvironmentConfig, LevelAction
from triax.spaces import space_spec


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code's own checks speak: a user's program runs without the tests' checker of annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


class Recorder(gymnasium.Env[Any, Any]):
    """Remembers its last action."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,))

    def __init__(self, low: Any = (-2.0, -0.5), high: Any = (2.0, 1.5)) -> None:
        self.action_space = gymnasium.spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
        self.last: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        self.last = action
        return np.zeros(1, np.float32), 0.0, False, False, {}


def taken(environment: gymnasium.Env[Any, Any], action: Any) -> list[float]:
    environment.reset(seed=0)
    environment.step(action)
    return [float(number) for number in np.ravel(environment.get_wrapper_attr("last"))]


def test_three_to_the_n_choices() -> None:
    environment = DiscreteAction(Recorder())
    assert environment.action_space == gymnasium.spaces.Discrete(9)
    # d₀ + 3 d₁: the first actuator from −2 over 0 to 2, the second from −0.5 over 0.5 to 1.5.
    expected = [[first, second] for second in (-0.5, 0.5, 1.5) for first in (-2.0, 0.0, 2.0)]
    assert [taken(environment, np.int64(choice)) for choice in range(9)] == expected


def test_bang_bang() -> None:
    environment = BangBangAction(Recorder())
    assert environment.action_space == gymnasium.spaces.MultiBinary(2)
    for bits in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected = [(-2.0, 2.0)[bits[0]], (-0.5, 1.5)[bits[1]]]
        assert taken(environment, np.array(bits, np.int8)) == expected


def test_levels_of_one_actuator_and_of_several() -> None:
    one = LevelAction(Recorder(low=(-1.0,), high=(1.0,)))
    assert one.action_space == gymnasium.spaces.Discrete(11)
    found = [taken(one, np.int64(level))[0] for level in range(11)]
    np.testing.assert_allclose(found, np.linspace(-1.0, 1.0, 11), atol=1e-7)
    several = LevelAction(Recorder(), levels=15)
    assert several.action_space == gymnasium.spaces.MultiDiscrete([15, 15])
    assert taken(several, np.array([0, 14])) == [-2.0, 1.5]
    assert taken(several, np.array([7, 7])) == [0.0, 0.5]


@pytest.mark.parametrize(
    "wrapper", [DiscreteAction, BangBangAction, LevelAction, functools.partial(LevelAction, levels=13)]
)
def test_any_box_environment_can_be_learnt_in_with_them(wrapper: Any) -> None:
    environment = EnvironmentConfig(id="Pendulum-v1", wrappers=(wrapper,)).make()
    space_spec(space=environment.action_space, role="action")
    environment.reset(seed=0)
    environment.action_space.seed(0)
    for _ in range(20):
        environment.step(environment.action_space.sample())
    assert environment.spec is not None
    assert environment.spec.make().action_space == environment.action_space


@pytest.mark.parametrize("wrapper", [DiscreteAction, BangBangAction, LevelAction])
def test_other_spaces_are_refused(wrapper: Any) -> None:
    with pytest.raises(ValueError, match=r"needs a Box with bounds as the action space, and got Discrete"):
        wrapper(gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match="needs a Box with bounds"):
        wrapper(Recorder(low=(-np.inf,), high=(1.0,)))


def test_numbers_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ValueError, match=r"would have 3\^17 choices, more than 100,000\. Take BangBangAction"):
        DiscreteAction(Recorder(low=(-1.0,) * 17, high=(1.0,) * 17))
    with pytest.raises(ValueError, match="`levels` has to be at least 2, and is 1"):
        LevelAction(Recorder(), levels=1)


@pytest.mark.parametrize(
    ("wrapper", "action"), [(DiscreteAction, np.int64(9)), (BangBangAction, np.array([0, 2])), (LevelAction, 3)]
)
@pytest.mark.usefixtures("unchecked")
def test_actions_outside_are_refused(wrapper: Any, action: Any) -> None:
    environment = wrapper(Recorder())
    environment.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction, match="lies outside the action space"):
        environment.step(action)

"""What all probe environments share: seeding, the step counter, and the refusal of actions outside the space."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import gymnasium
import numpy as np
import numpy.typing as npt

from triax.environments.checks import check_action, check_running

ActionKind = Literal["discrete", "continuous", "mixed", "nested"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a probe's step leads to."""

    observation: Any
    reward: float
    terminated: bool = False
    truncated: bool = False


class Probe(gymnasium.Env[Any, Any]):
    """A small environment with a known answer; a subclass says how an episode begins and what a step does."""

    #: Steps made in the running episode.
    steps_made: int = 0
    _running: bool = False

    @abstractmethod
    def begin(self) -> Any:
        """Start an episode, by ``self.np_random`` alone.

        :return: the first observation, a new object.
        """

    @abstractmethod
    def advance(self, action: Any) -> Outcome:
        """Make one step; ``self.steps_made`` counts it already, so that it is 1 in the first step.

        :param action: an action within the space.
        :return: what it leads to, the observation a new object.
        """

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        :param seed: seed of this and the following episodes.
        :param options: not used.
        :return: the first observation and an empty info.
        """
        super().reset(seed=seed)
        self.steps_made = 0
        self._running = True
        return self.begin(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make one step.

        :param action: an action within the space.
        :return: observation, reward, terminated, truncated, and an empty info.
        :raises gymnasium.error.InvalidAction: if the action lies outside the space.
        :raises gymnasium.error.ResetNeeded: if no episode is running.
        """
        check_running(running=self._running)
        check_action(action=action, space=self.action_space)
        self.steps_made += 1
        outcome = self.advance(action)
        self._running = not (outcome.terminated or outcome.truncated)
        return outcome.observation, outcome.reward, outcome.terminated, outcome.truncated, {}


def action_space_of(kind: ActionKind) -> gymnasium.Space[Any]:
    """Make the action space that the probes mean by a kind.

    :param kind: "discrete": two choices; "continuous": one number in [-1, 1]; "mixed": a Dict of both; "nested": a
        Tuple of MultiDiscrete, MultiBinary and a Dict with a Box.
    :return: a new space.
    """
    amount = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    match kind:
        case "discrete":
            return gymnasium.spaces.Discrete(2)
        case "continuous":
            return amount
        case "mixed":
            return gymnasium.spaces.Dict({"amount": amount, "choice": gymnasium.spaces.Discrete(2)})
        case "nested":
            return gymnasium.spaces.Tuple(
                (
                    gymnasium.spaces.MultiDiscrete([3, 2]),
                    gymnasium.spaces.MultiBinary(2),
                    gymnasium.spaces.Dict({"amount": amount}),
                )
            )
        case _:
            assert_never(kind)


def vector(*values: float) -> npt.NDArray[np.float32]:
    """Write an observation.

    :param values: its numbers.
    :return: a new float32 vector.
    """
    return np.array(values, dtype=np.float32)


def vector_space(*, low: float = -1.0, high: float = 1.0, size: int = 1) -> gymnasium.spaces.Box:
    """Make the space of such observations.

    :param low: lower bound of each number.
    :param high: upper bound of each number.
    :param size: how many numbers.
    :return: a Box.
    """
    return gymnasium.spaces.Box(low, high, (size,), np.float32)

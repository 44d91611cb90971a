"""Probes of the machinery: one that marks every step, so that each stored row can be checked, and two that fail."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from triax.environments.probes.base import ActionKind, Outcome, Probe, action_space_of, vector, vector_space

IDENTITIES = 2**24  # float32 holds each smaller integer exactly


class ProbeFailure(RuntimeError):
    """What :class:`RaisingProbe` raises."""


@dataclass(frozen=True, kw_only=True)
class CountedEpisode:
    """What a seed makes of an episode of :class:`CounterProbe`."""

    identity: int
    """A number below 2²⁴ that tells the episode from others."""

    steps: int
    """The episode's length."""

    terminated: bool
    """Whether it ends by termination, and otherwise by truncation."""


class CounterProbe(Probe):
    """Observation (episode's identity, step's number, last action), all exact in float32; five choices.

    The first observation of an episode with identity e is (e, 0, −1). The action a in step number t (from 1) leads to
    the observation (e, t, a) and to the reward t. The length lies between two bounds, and the episode terminates or is
    truncated at even odds. :meth:`episode` says beforehand what a seed leads to.
    """

    def __init__(self, *, minimum_steps: int = 3, maximum_steps: int = 8) -> None:
        """Make the spaces.

        :param minimum_steps: the shortest episode's length, at least 1.
        :param maximum_steps: the longest episode's length.
        :raises ValueError: if the bounds leave no length.
        """
        if not 1 <= minimum_steps <= maximum_steps:
            raise ValueError(
                f"CounterProbe: 1 <= minimum_steps <= maximum_steps has to hold, and they are {minimum_steps} and "
                f"{maximum_steps}."
            )
        self.minimum_steps = minimum_steps
        self.maximum_steps = maximum_steps
        self.action_space = gymnasium.spaces.Discrete(5)
        self.observation_space = gymnasium.spaces.Box(
            low=vector(0.0, 0.0, -1.0), high=vector(IDENTITIES - 1, maximum_steps, 4.0), dtype=np.float32
        )
        self._episode = self.episode(seed=0)

    def episode(self, *, seed: int) -> CountedEpisode:
        """Say which episode follows upon ``reset(seed=seed)``.

        :param seed: the seed.
        :return: the episode.
        """
        generator, _ = gymnasium.utils.seeding.np_random(seed)
        return self._draw(generator)

    def begin(self) -> Any:
        """Draw the episode and show its identity."""
        self._episode = self._draw(self.np_random)
        return vector(self._episode.identity, 0.0, -1.0)

    def advance(self, action: Any) -> Outcome:
        """Show the step's number and the action; reward with the number."""
        ended = self.steps_made >= self._episode.steps
        return Outcome(
            observation=vector(self._episode.identity, self.steps_made, int(action)),
            reward=float(self.steps_made),
            terminated=ended and self._episode.terminated,
            truncated=ended and not self._episode.terminated,
        )

    def _draw(self, generator: np.random.Generator) -> CountedEpisode:
        """Draw an episode.

        :param generator: where the numbers come from.
        :return: the episode.
        """
        return CountedEpisode(
            identity=int(generator.integers(IDENTITIES)),
            steps=int(generator.integers(self.minimum_steps, self.maximum_steps, endpoint=True)),
            terminated=bool(generator.integers(2)),
        )


class NanProbe(Probe):
    """Observation 0 and reward 0, but the observation after step ``at_step`` of an episode is NaN.

    A collector or a learner has to say so, and not to go on with it. The episode is truncated after ``steps`` steps.
    """

    def __init__(self, *, at_step: int = 5, steps: int = 10, actions: ActionKind = "discrete") -> None:
        """Make the spaces.

        :param at_step: the step, from 1, whose observation is NaN.
        :param steps: steps until the truncation.
        :param actions: kind of the action space; actions have no effect.
        """
        self.at_step = at_step
        self.steps = steps
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space()

    def begin(self) -> Any:
        """Show 0."""
        return vector(0.0)

    def advance(self, action: Any) -> Outcome:
        """Show 0, or NaN at the one step."""
        shown = float("nan") if self.steps_made == self.at_step else 0.0
        return Outcome(observation=vector(shown), reward=0.0, truncated=self.steps_made >= self.steps)


class RaisingProbe(Probe):
    """Observation 0 and reward 0, but step ``at_step`` of each episode raises :class:`ProbeFailure`."""

    def __init__(self, *, at_step: int = 5, actions: ActionKind = "discrete") -> None:
        """Make the spaces.

        :param at_step: the step, from 1, that raises.
        :param actions: kind of the action space; actions have no effect.
        """
        self.at_step = at_step
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space()

    def begin(self) -> Any:
        """Show 0."""
        return vector(0.0)

    def advance(self, action: Any) -> Outcome:
        """Show 0, or raise at the one step."""
        if self.steps_made >= self.at_step:
            raise ProbeFailure(f"RaisingProbe fails at step {self.at_step}, as it was told to.")
        return Outcome(observation=vector(0.0), reward=0.0)

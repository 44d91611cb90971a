"""One environment whose every episode begins from a seed of its own, and whose failures say where they happened.

:class:`SeededEnvironment` is what rollout and evaluation step. It keeps the count of the running episode, and turns
what goes wrong inside into errors that name the environment, the episode, its seed, the step and the last action, so
that the failure can be seen again in a few lines::

    environment.reset(seed=...)   # the episode's seed
    environment.step(...)         # the actions of the policy, up to the step that the error names
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium
import jax
import numpy as np

from triax.spaces import InvalidSet, SpaceSpec, impossible_choices
from triax.trees import Tree

LARGEST_REWARD = float(np.finfo(np.float32).max)
"""Rewards are kept in 32 bits."""

MakeEnvironment: TypeAlias = Callable[[], "gymnasium.Env[Any, Any]"]
"""Makes a new environment."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodePlace:
    """A moment in an environment's life.

    :ivar environment: the environment's number.
    :ivar episode: the episode's number in that environment.
    :ivar episode_seed: the seed with which it was reset.
    :ivar step: the number of actions taken in the episode, the last one included.
    :ivar last_action: the last action, in the environment's units; None after a reset.
    """

    environment: int
    episode: int
    episode_seed: int
    step: int
    last_action: Any

    @property
    def action_is_finite(self) -> bool:
        """Whether the last action has neither NaN nor infinity in it."""
        return all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(self.last_action))

    def __str__(self) -> str:
        action = "the reset" if self.step == 0 else f"action {self.last_action!r}"
        return (
            f"environment {self.environment}, episode {self.episode} (reset with seed {self.episode_seed}), "
            f"step {self.step}, after {action}"
        )


class _PlacedError(RuntimeError):
    """An error that knows where it happened, and can be pickled.

    :ivar place: where.
    """

    def __init__(self, message: str, place: EpisodePlace) -> None:
        super().__init__(message, place)
        self.place = place

    def __str__(self) -> str:
        return str(self.args[0])


class EnvironmentFailed(_PlacedError):
    """An environment raised an exception, which is this error's ``__cause__``, or gave what its spaces exclude."""


class NonFiniteExperience(_PlacedError):
    """An observation or a reward was NaN or infinite."""


class NonFiniteAction(_PlacedError):
    """An environment failed, or gave what is not finite, upon an action that was NaN or infinite itself."""


class SeededEnvironment:
    """An environment, and the episode that runs in it.

    :ivar number: the environment's number.
    :ivar environment: the Gymnasium environment.
    :ivar observation: the current observation, as the environment gave it.
    :ivar reward: what the last action earned; 0 after a reset.
    :ivar terminated: the last action ended the episode for good.
    :ivar truncated: the episode was cut off after the last action. If the environment reports both, it terminated:
        there is nothing to bootstrap from, whatever the clock says, so this is False then.
    :ivar info: what the environment said beside it.
    :ivar episode: the number of the episode.
    :ivar length: its steps so far.
    :ivar undiscounted_return: the sum of its rewards so far, in 64 bits.
    """

    __slots__ = (
        "_episode_seed",
        "_last_action",
        "environment",
        "episode",
        "info",
        "length",
        "number",
        "observation",
        "reward",
        "terminated",
        "truncated",
        "undiscounted_return",
    )

    def __init__(self, *, environment: "gymnasium.Env[Any, Any]", number: int) -> None:
        self.environment = environment
        self.number = number
        self.observation: Any = None
        self.info: dict[str, Any] = {}
        self._last_action: Any = None
        self.episode = -1
        self._begin_counting(seed=0)

    @property
    def ended(self) -> bool:
        """The episode is over: only :meth:`begin` may follow."""
        return self.terminated or self.truncated

    @property
    def place(self) -> EpisodePlace:
        """Where the environment stands."""
        return EpisodePlace(
            environment=self.number,
            episode=self.episode,
            episode_seed=self._episode_seed,
            step=self.length,
            last_action=self._last_action,
        )

    def begin(self, *, episode: int, seed: int) -> None:
        """Reset the environment for an episode.

        :param episode: the episode's number.
        :param seed: the seed for its reset.
        :raises EnvironmentFailed: if the environment raises.
        """
        self.episode = episode
        self._begin_counting(seed=seed)
        try:
            self.observation, info = self.environment.reset(seed=seed)
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error
        self.info = info or {}

    def advance(self, action: Any) -> None:
        """Take an action.

        :param action: in the environment's units.
        :raises EnvironmentFailed: if the environment raises, or the reward is larger than 32 bits hold.
        :raises NonFiniteExperience: if the reward is NaN or infinite.
        :raises NonFiniteAction: in the place of either, if the action is.
        """
        self.length += 1
        self._last_action = action
        try:
            self.observation, reward, terminated, truncated, info = self.environment.step(action)
            self.reward = float(reward)
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error
        self.info = info or {}
        self.terminated = bool(terminated)
        self.truncated = bool(truncated) and not self.terminated
        if not math.isfinite(self.reward):
            raise self.non_finite(f"the reward is {self.reward}")
        if abs(self.reward) > LARGEST_REWARD:
            raise self.failure(f"the reward is {self.reward}, more than 32 bits hold")
        self.undiscounted_return += self.reward

    def continue_counting(self, *, length: int, undiscounted_return: float, ended: bool) -> None:
        """Take over the counts of an episode that was brought back to where it stood.

        :param length: its steps.
        :param undiscounted_return: the sum of its rewards.
        :param ended: it is over; by what makes no difference to what comes next.
        """
        self.length = length
        self.undiscounted_return = undiscounted_return
        if ended != self.ended:
            self.terminated, self.truncated = False, ended

    def non_finite(self, what: str) -> NonFiniteExperience | NonFiniteAction:
        """Make the error for a number that is not one.

        :param what: which number.
        :return: the error, to be raised.
        """
        place = self.place
        if not place.action_is_finite:
            return _non_finite_action(place)
        return NonFiniteExperience(f"{what} in {place}; the observation is {self.observation!r}", place)

    def failure(self, what: str) -> EnvironmentFailed:
        """Make the error for an observation that cannot be.

        :param what: what is wrong with it.
        :return: the error, to be raised.
        """
        place = self.place
        return EnvironmentFailed(f"{what}; in {place}", place)

    def close(self) -> None:
        """Close the environment."""
        close_environment(self.environment)

    def _begin_counting(self, *, seed: int) -> None:
        self._episode_seed = seed
        self._last_action = None
        self.reward = 0.0
        self.terminated = False
        self.truncated = False
        self.length = 0
        self.undiscounted_return = 0.0

    def _failure(self, error: Exception | SystemExit) -> EnvironmentFailed | NonFiniteAction:
        place = self.place
        if not place.action_is_finite:
            return _non_finite_action(place)
        return EnvironmentFailed(f"{type(error).__name__}: {error}; raised in {place}", place)


def _non_finite_action(place: EpisodePlace) -> NonFiniteAction:
    return NonFiniteAction(f"the policy's action is not finite in {place}", place)


def close_environment(environment: gymnasium.Env[Any, Any]) -> None:
    """Close an environment; one that fails in it is of no use any more, which ends nothing else.

    :param environment: which.
    """
    try:
        environment.close()
    except (Exception, SystemExit) as error:
        warnings.warn(
            f"the environment's close() raised {type(error).__name__}: {error}; what it held open may stay so",
            stacklevel=2,
        )


def stack_observations(*, environments: Sequence[SeededEnvironment], spec: SpaceSpec) -> Tree:
    """Bring the current observations of some environments to the inside, checked; the first of an episode thoroughly.

    :param environments: B environments.
    :param spec: the observations' spec.
    :return: inside form, [B, ...], in arrays of its own.
    :raises NonFiniteExperience: if a number is NaN or infinite.
    :raises NonFiniteAction: in the place of that, if the action before it is.
    :raises EnvironmentFailed: if an observation is not what its space promises.
    """
    for environment in environments:
        if environment.length == 0:
            _check_observation(environment=environment, spec=spec)
    try:
        inside = spec.stack_to_inside([environment.observation for environment in environments])
    except InvalidSet as error:
        raise environments[error.row].failure(str(error)) from error
    except (IndexError, KeyError, TypeError, ValueError):
        for environment in environments:
            _check_observation(environment=environment, spec=spec)
        raise
    for leaf_spec, leaf in spec.with_leaves(inside):
        if leaf.shape[1:] != leaf_spec.shape:
            _check_observation(environment=environments[0], spec=spec)
    broken = spec.non_finite_rows(inside)
    if broken is not None:
        raise environments[int(np.argmax(broken))].non_finite("the observation is not finite")
    return inside


def _check_observation(*, environment: SeededEnvironment, spec: SpaceSpec) -> None:
    try:
        spec.check(environment.observation)
    except ValueError as error:
        raise environment.failure(f"the observation is none of its space: {error}") from error


def check_choices(
    *,
    environments: Sequence[SeededEnvironment],
    observation: Tree,
    observation_spec: SpaceSpec,
    action_spec: SpaceSpec,
) -> None:
    """Refuse observations that leave nothing to choose; at an episode's end nothing has to be possible.

    :param environments: B environments.
    :param observation: theirs, inside form, [B, ...].
    :param observation_spec: the observations' spec.
    :param action_spec: the actions' spec, with its relations.
    :raises EnvironmentFailed: if one of them allows nothing.
    """
    impossible = impossible_choices(spec=action_spec, observation_spec=observation_spec, observation=observation)
    for what, stuck in impossible:
        for environment, is_stuck in zip(environments, stuck, strict=True):
            if is_stuck and not environment.ended:
                raise environment.failure(what)

"""Environments side by side: stepped by hand in this process, seeded for each episode, resumable to the bit.

By hand, because that is faster than Gymnasium's vector classes (a process for each environment costs more than it
gives below some 100 µs a step) and because each reset can be given its own seed: the episode ``k`` of environment ``b``
begins in the same way in every run with the same seed, whatever happened before it.
"""

import dataclasses
import warnings
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from triax.random import episode_seed
from triax.rollout.resuming import ActionLog, Resumable, UnfaithfulEnvironment, observation_digest, take_again
from triax.rollout.seeded import MakeEnvironment, SeededEnvironment, check_choices, stack_observations
from triax.spaces import SpaceSpec, allowed_options
from triax.trees import Tree, tree_dataclass
from triax.types import EpisodeSummary


@runtime_checkable
class Watcher(Protocol):
    """Is told what the environments are about to do, by the loop that does it."""

    def resetting(self) -> None:
        """An environment is about to be reset."""

    def stepping(self) -> None:
        """An environment is about to be stepped."""


@dataclasses.dataclass(kw_only=True, slots=True)
class EnvironmentStep:
    """What followed an action of each environment; not frozen, for that would take two microseconds a step.

    :ivar observation: inside form, [B, ...].
    :ivar reward: [B]; 0 where the action was ignored because the episode had ended.
    :ivar terminated: the action ended the episode for good, [B].
    :ivar truncated: the episode was cut off after the action, and did not terminate, [B].
    :ivar is_first: the observation is the first of an episode, [B].
    :ivar is_last: the observation is the final one of an episode: the next action will be ignored, [B].
    :ivar episodes: the episodes that ended with the action.
    """

    observation: Tree
    reward: Float32[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]
    truncated: Bool[np.ndarray, " B"]
    is_first: Bool[np.ndarray, " B"]
    is_last: Bool[np.ndarray, " B"]
    episodes: tuple[EpisodeSummary, ...]


@tree_dataclass
class EnvironmentBatchState:
    """Where some environments stand; NumPy arrays in a fixed structure, whose lengths change.

    :ivar episode: the number of the running episode, [B].
    :ivar length: its steps, [B].
    :ivar undiscounted_return: the sum of its rewards, [B].
    :ivar is_last: the episode has ended, [B].
    :ivar digest: SHA-256 of the current observation, [B, 32].
    :ivar action_count: how many actions are recorded, [B].
    :ivar action: the actions of all environments since their resets, inside form, one after the other.
    :ivar own_state_size: bytes of the state that the environment offers itself; −1 if it offers none, [B].
    :ivar own_state: those states, one after the other.
    :ivar resets: how many episodes were begun, [].
    """

    episode: Int[np.ndarray, " B"]
    length: Int[np.ndarray, " B"]
    undiscounted_return: Float[np.ndarray, " B"]
    is_last: Bool[np.ndarray, " B"]
    digest: UInt8[np.ndarray, "B 32"]
    action_count: Int[np.ndarray, " B"]
    action: Tree
    own_state_size: Int[np.ndarray, " B"]
    own_state: UInt8[np.ndarray, " bytes"]
    resets: Int[np.ndarray, ""]


class EnvironmentBatch:
    """B environments, each in its own episode.

    An episode's final observation is a current observation like any other (``is_last``). The next call of :meth:`step`
    resets that environment instead of stepping it: its action is ignored, the reward is 0.

    :ivar count: B.
    :ivar first_environment: the number of the first environment in the run; they count up from it.
    :ivar observation: the current observations, inside form, [B, ...].
    :ivar is_first: whether they are the first of an episode, [B].
    :ivar is_last: whether they are the final one, [B].
    :ivar resets: how many episodes were begun.
    """

    def __init__(
        self,
        *,
        make: MakeEnvironment,
        count: int,
        seed: int,
        first_environment: int = 0,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        watcher: Watcher | None = None,
    ) -> None:
        """Make the environments and begin their first episodes.

        :param make: makes one environment.
        :param count: B.
        :param seed: the seed of all episodes' seeds; different for training and evaluation.
        :param first_environment: the number of the first environment in the run.
        :param observation_spec: the spec of their observations.
        :param action_spec: the spec of their actions.
        :param watcher: is told of each reset and step before it is made.
        :raises EnvironmentFailed: if an environment raises in its reset.
        """
        if count < 1:
            raise ValueError(f"a batch needs at least one environment, not {count}.")
        self.count = count
        self.first_environment = first_environment
        self.resets = 0
        self._seed = seed
        self._watcher = watcher
        self._observation_spec = observation_spec
        self._action_spec = action_spec
        self._log = ActionLog(spec=action_spec, count=count)
        self._environments: list[SeededEnvironment] = []
        try:
            for number in range(first_environment, first_environment + count):
                self._environments.append(SeededEnvironment(environment=make(), number=number))
            for row, environment in enumerate(self._environments):
                self._begin(row=row, environment=environment, episode=0)
        except BaseException:
            self.close()
            raise
        self._refresh()

    @property
    def allowed(self) -> dict[tuple[str, int], Bool[np.ndarray, "B options"]]:
        """What the current observations allow of choices that are masked; see :func:`triax.spaces.allowed_options`."""
        return allowed_options(
            spec=self._action_spec, observation_spec=self._observation_spec, observation=self.observation
        )

    def step(self, action: Tree) -> EnvironmentStep:
        """Take an action in each environment, or begin its next episode if the last one has ended.

        :param action: inside form, [B, ...].
        :return: what followed.
        :raises EnvironmentFailed: if an environment raises, or an observation is not as its space declares, or allows
            no choice.
        :raises NonFiniteExperience: if an observation or a reward is NaN or infinite.
        :raises NonFiniteAction: in the place of these, if the action is.
        """
        self._log.append(action)
        outside = self._action_spec.unstack_to_outside(action)
        rewards: list[float] = []
        flags: list[tuple[bool, bool, bool, bool]] = []
        episodes: list[EpisodeSummary] = []
        for row, environment in enumerate(self._environments):
            begins = environment.terminated or environment.truncated
            if begins:
                self._begin(row=row, environment=environment, episode=environment.episode + 1)
            else:
                if self._watcher is not None:
                    self._watcher.stepping()
                environment.advance(outside[row])
            ends = environment.terminated or environment.truncated
            if ends:
                episodes.append(
                    EpisodeSummary(
                        undiscounted_return=environment.undiscounted_return,
                        length=environment.length,
                        environment=environment.number,
                        physics=environment.info.get("physics"),
                    )
                )
            rewards.append(environment.reward)
            flags.append((environment.terminated, environment.truncated, begins, ends))
        self.observation = stack_observations(environments=self._environments, spec=self._observation_spec)
        terminated, truncated, self.is_first, self.is_last = np.array(flags).T.copy()
        self._check_choices()
        return EnvironmentStep(
            observation=self.observation,
            reward=np.array(rewards, np.float32),
            terminated=terminated,
            truncated=truncated,
            is_first=self.is_first,
            is_last=self.is_last,
            episodes=tuple(episodes),
        )

    def state(self) -> EnvironmentBatchState:
        """Describe where the environments stand.

        :return: arrays of its own.
        """
        own = [
            np.frombuffer(environment.environment.get_episode_state(), np.uint8)
            if isinstance(environment.environment, Resumable)
            else None
            for environment in self._environments
        ]
        actions = [self._log.since_reset(row) for row in range(self.count)]
        actions = [
            steps if state is None else jax.tree.map(lambda leaf: leaf[:0], steps)
            for state, steps in zip(own, actions, strict=True)
        ]
        each = self._environments
        return EnvironmentBatchState(
            episode=np.array([environment.episode for environment in each], np.int64),
            length=np.array([environment.length for environment in each], np.int64),
            undiscounted_return=np.array([environment.undiscounted_return for environment in each], np.float64),
            is_last=np.array([environment.ended for environment in each], np.bool_),
            digest=np.stack([observation_digest(environment.observation) for environment in each]),
            action_count=np.array([len(jax.tree.leaves(steps)[0]) for steps in actions], np.int64),
            action=jax.tree.map(lambda *leaves: np.concatenate(leaves), *actions),
            own_state_size=np.array([-1 if state is None else len(state) for state in own], np.int64),
            own_state=np.concatenate([np.zeros(0, np.uint8), *(state for state in own if state is not None)]),
            resets=np.array(self.resets, np.int64),
        )

    def restore(self, state: EnvironmentBatchState) -> None:
        """Bring the environments to where they stood.

        An environment that does not get there, which is told by its observation, is warned of
        (:class:`UnfaithfulEnvironment`) and begins its next episode instead.

        :param state: what :meth:`state` returned.
        :raises EnvironmentFailed: if an environment raises.
        :raises ValueError: if the state is one of another number of environments.
        """
        if len(state.episode) != self.count:
            raise ValueError(f"the state is one of {len(state.episode)} environments, and these are {self.count}.")
        actions, own_states = _cut(state.action, state.action_count), _cut(state.own_state, state.own_state_size)
        given_up = 0
        for row, environment in enumerate(self._environments):
            self._begin(row=row, environment=environment, episode=int(state.episode[row]))
            if state.own_state_size[row] >= 0:
                faithful = self._set_own_state(environment=environment, own_state=own_states[row])
            else:
                outside = self._action_spec.unstack_to_outside(actions[row])
                faithful = take_again(environment=environment, actions=outside)
                faithful &= environment.undiscounted_return == state.undiscounted_return[row]
                faithful &= environment.ended == state.is_last[row]
            if faithful and np.array_equal(observation_digest(environment.observation), state.digest[row]):
                environment.continue_counting(
                    length=int(state.length[row]),
                    undiscounted_return=float(state.undiscounted_return[row]),
                    ended=bool(state.is_last[row]),
                )
            else:
                self._give_up(row=row, environment=environment)
                given_up += 1
                actions[row] = jax.tree.map(lambda leaf: leaf[:0], actions[row])
        self._log.replace(actions)
        self.resets = int(state.resets) + given_up
        self._refresh()

    def close(self) -> None:
        """Close the environments. Closing twice does nothing more."""
        environments, self._environments = self._environments, []
        for environment in environments:
            environment.close()

    def _begin(self, *, row: int, environment: SeededEnvironment, episode: int) -> None:
        if self._watcher is not None:
            self._watcher.resetting()
        seed = episode_seed(seed=self._seed, environment=environment.number, episode=episode)
        environment.begin(episode=episode, seed=seed)
        self._log.forget(row)
        self.resets += 1

    def _refresh(self) -> None:
        self.observation = stack_observations(environments=self._environments, spec=self._observation_spec)
        self.is_first = np.array([environment.length == 0 for environment in self._environments])
        self.is_last = np.array([environment.ended for environment in self._environments])
        self._check_choices()

    def _check_choices(self) -> None:
        check_choices(
            environments=self._environments,
            observation=self.observation,
            observation_spec=self._observation_spec,
            action_spec=self._action_spec,
        )

    def _set_own_state(self, *, environment: SeededEnvironment, own_state: UInt8[np.ndarray, " bytes"]) -> bool:
        if not isinstance(environment.environment, Resumable):
            return False
        environment.observation = environment.environment.set_episode_state(own_state.tobytes())
        return True

    def _give_up(self, *, row: int, environment: SeededEnvironment) -> None:
        warnings.warn(
            f"environment {environment.number} did not come back to where it was in episode {environment.episode}: the "
            "same actions from the same seed (or its own state) led to another observation. Resuming is not exact for "
            "it; it begins its next episode instead. An environment is faithful if everything random in it follows "
            "from the seed of its reset, and nothing outlasts a reset.",
            UnfaithfulEnvironment,
            stacklevel=3,
        )
        self._begin(row=row, environment=environment, episode=environment.episode + 1)


def _cut(tree: Tree, sizes: Int[np.ndarray, " B"]) -> list[Tree]:
    """Cut concatenated rows into the pieces of each environment; a negative size is none."""
    ends = np.cumsum(np.maximum(sizes, 0))
    starts = [0, *ends[:-1]]
    return [jax.tree.map(lambda leaf, a=a, b=b: leaf[a:b], tree) for a, b in zip(starts, ends, strict=True)]

"""The collector: lets a policy act in a batch of environments, and writes down what happens.

One call makes one :class:`~triax.types.Chunk`: a few steps of all environments, made by one policy version. A chunk
begins where the last one ended, in the middle of an episode as a rule, and its first observation is the last one's
final one.
"""

from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Int

from triax.random import derive_key
from triax.rollout.acting import CompiledPolicy, random_actions
from triax.rollout.environments import EnvironmentBatch, EnvironmentBatchState
from triax.spaces import SpaceSpec
from triax.trees import Tree, to_numpy, tree_dataclass
from triax.types import ActionMode, Chunk, EpisodeSummary, Policy, Trajectory


@tree_dataclass
class CollectorState:
    """Where collecting stands; NumPy arrays.

    :ivar environments: where the environments stand.
    :ivar carry: the policy's memory, [B, ...].
    :ivar counter: how many steps each environment was told to make, [].
    """

    environments: EnvironmentBatchState
    carry: Tree
    counter: Int[np.ndarray, ""]


class Collector:
    """Makes experience with a policy in a batch of environments.

    :ivar environments: the environments.
    """

    def __init__(
        self,
        *,
        environments: EnvironmentBatch,
        policy: Policy,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        extras_spec: Mapping[str, SpaceSpec],
        seed: int,
    ) -> None:
        """Prepare; nothing is stepped yet.

        :param environments: the environments; the collector alone steps them from now on.
        :param policy: how to act.
        :param observation_spec: the spec of the observations.
        :param action_spec: the spec of the actions.
        :param extras_spec: what to store beside each action.
        :param seed: the seed of the actions' randomness. Collectors with the same seed differ if their environments'
            numbers do.
        """
        self.environments = environments
        self._observation_spec = observation_spec
        self._action_spec = action_spec
        self._extras_spec = dict(extras_spec)
        self._name = ("acting", environments.first_environment)
        self._seed = seed
        self._key = derive_key(seed=seed, name=self._name)
        self._policy = CompiledPolicy(
            policy=policy, count=environments.count, action_spec=action_spec, extras_spec=extras_spec
        )
        self._carry = self._policy.initial_carry()
        self._counter = 0

    def collect(self, *, parameters: Tree, mode: ActionMode, steps: int, policy_version: int) -> Chunk:
        """Step each environment so many times.

        Rows in which no action was taken (``is_last``) hold what the policy said to the episode's final observation: an
        action that was ignored, and extras that may be of use (its value).

        :param parameters: the learner's ``policy_parameters``; not looked at if the mode is RANDOM.
        :param mode: how to act. RANDOM draws uniformly in the inside form without asking the policy, leaves the extras
            zero and the carry as at the start.
        :param steps: T, at least 1. Dead rows are among them.
        :param policy_version: the version that the parameters are.
        :return: what happened, in arrays that nobody else writes to.
        """
        count = self.environments.count
        trajectory = blank_trajectory(
            observation_spec=self._observation_spec,
            action_spec=self._action_spec,
            extras_spec=self._extras_spec,
            steps=steps,
            environments=count,
        )
        observation, action, extras = map(
            jax.tree.leaves, (trajectory.observation, trajectory.action, trajectory.extras)
        )
        episodes: list[EpisodeSummary] = []
        if mode is ActionMode.RANDOM:
            self._carry = self._policy.initial_carry()
        _write(observation, 0, self.environments.observation)
        trajectory.is_first[0], trajectory.is_last[0] = self.environments.is_first, self.environments.is_last
        for row in range(steps):
            chosen = self._act(parameters=parameters, mode=mode, extras=extras, row=row)
            step = self.environments.step(chosen)
            _write(action, row, chosen)
            _write(observation, row + 1, step.observation)
            trajectory.reward[row] = step.reward
            trajectory.terminated[row] = step.terminated
            trajectory.truncated[row] = step.truncated
            trajectory.is_first[row + 1] = step.is_first
            trajectory.is_last[row + 1] = step.is_last
            episodes.extend(step.episodes)
        return Chunk(
            trajectory=trajectory,
            first_environment=self.environments.first_environment,
            policy_version=policy_version,
            steps=steps * count - int(np.count_nonzero(trajectory.is_last[:-1])),
            episodes=tuple(episodes),
        )

    def state(self) -> CollectorState:
        """Describe where collecting stands.

        :return: NumPy arrays of its own.
        """
        return CollectorState(
            environments=self.environments.state(),
            carry=to_numpy(self._carry),
            counter=np.array(self._counter, np.int64),
        )

    def restore(self, state: CollectorState) -> None:
        """Go on from where collecting stood.

        :param state: what :meth:`state` returned.
        """
        self.environments.restore(state.environments)
        self._carry = self._policy.place(state.carry)
        self._counter = int(state.counter)

    def close(self) -> None:
        """Close the environments."""
        self.environments.close()

    def _act(self, *, parameters: Tree, mode: ActionMode, extras: list[np.ndarray], row: int) -> Tree:
        counter, self._counter = self._counter, self._counter + 1
        if mode is ActionMode.RANDOM:
            return random_actions(
                spec=self._action_spec,
                count=self.environments.count,
                seed=self._seed,
                name=(*self._name, "random", counter),
                allowed=self.environments.allowed,
            )
        output = self._policy.act(
            parameters=parameters,
            carry=self._carry,
            observation=self.environments.observation,
            is_first=self.environments.is_first,
            key=self._key,
            counter=counter,
            mode=mode,
        )
        self._carry = output.carry
        if extras:
            _write(extras, row, output.extras)
        return output.action


def blank_trajectory(
    *,
    observation_spec: SpaceSpec,
    action_spec: SpaceSpec,
    extras_spec: Mapping[str, SpaceSpec],
    steps: int,
    environments: int,
) -> Trajectory:
    """Make a trajectory of zeros, to be written to.

    :param observation_spec: the spec of the observations.
    :param action_spec: the spec of the actions.
    :param extras_spec: what is stored beside each action.
    :param steps: T.
    :param environments: B.
    :return: NumPy arrays.
    """
    rows, observations = (steps, environments), (steps + 1, environments)
    return Trajectory(
        observation=observation_spec.zeros(batch_shape=observations),
        action=action_spec.zeros(batch_shape=rows),
        reward=np.zeros(rows, np.float32),
        terminated=np.zeros(rows, np.bool_),
        truncated=np.zeros(rows, np.bool_),
        is_first=np.zeros(observations, np.bool_),
        is_last=np.zeros(observations, np.bool_),
        extras={name: spec.zeros(batch_shape=rows) for name, spec in extras_spec.items()},
    )


def _write(arrays: list[np.ndarray], row: int, value: Tree) -> None:
    leaves = (value,) if isinstance(value, np.ndarray) else jax.tree.leaves(value)
    for array, leaf in zip(arrays, leaves, strict=True):
        array[row] = leaf

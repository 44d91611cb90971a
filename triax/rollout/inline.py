"""The fleet in the trainer's own process: deterministic to the bit, and nothing to wait for."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from triax.random import derive_seed
from triax.rollout.collector import Collector, CollectorState
from triax.rollout.environments import EnvironmentBatch
from triax.rollout.fleet import FleetReport, RolloutConfig
from triax.rollout.seeded import MakeEnvironment
from triax.spaces import SpaceSpec
from triax.trees import Tree, tree_dataclass, tree_map
from triax.types import ActionMode, Chunk, Policy


@tree_dataclass
class InlineFleetState:
    """Where the fleet stands; NumPy arrays.

    :ivar collector: where collecting stands.
    :ivar environment_steps: actions taken so far, [].
    :ivar episodes: episodes ended so far, [].
    """

    collector: CollectorState
    environment_steps: Int[np.ndarray, ""]
    episodes: Int[np.ndarray, ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Published:
    parameters: Tree
    version: int
    mode: ActionMode


class InlineFleet:
    """A :class:`~triax.rollout.fleet.Fleet` of one collector over all environments."""

    def __init__(
        self,
        *,
        config: RolloutConfig,
        make: MakeEnvironment,
        policy: Policy,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        extras_spec: Mapping[str, SpaceSpec],
        seed: int,
    ) -> None:
        """Make the environments and begin their first episodes.

        :param config: how many environments.
        :param make: makes one environment.
        :param policy: how to act.
        :param observation_spec: the spec of the observations.
        :param action_spec: the spec of the actions.
        :param extras_spec: what to store beside each action.
        :param seed: the run's seed.
        :raises EnvironmentFailed: if an environment raises in its reset.
        """
        environments = EnvironmentBatch(
            make=make,
            count=config.environments,
            seed=derive_seed(seed=seed, name=("rollout", "environments")),
            observation_spec=observation_spec,
            action_spec=action_spec,
        )
        self._collector = Collector(
            environments=environments,
            policy=policy,
            observation_spec=observation_spec,
            action_spec=action_spec,
            extras_spec=extras_spec,
            seed=derive_seed(seed=seed, name=("rollout", "actions")),
        )
        self._copy = jax.jit(lambda parameters: tree_map(jnp.copy, parameters))
        self._published: _Published | None = None
        self._environment_steps = 0
        self._episodes = 0

    @property
    def environments(self) -> int:
        """How many environments there are."""
        return self._collector.environments.count

    @property
    def is_concurrent(self) -> bool:
        """The trainer itself steps the environments."""
        return False

    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        """Set the policy that acts from now on.

        :param parameters: the learner's ``policy_parameters``; copied.
        :param version: its number.
        :param mode: how to act with it.
        """
        # A copy, since the learner's next update may take the originals' memory for its own results (donation).
        kept = None if mode is ActionMode.RANDOM else self._copy(parameters)
        self._published = _Published(parameters=kept, version=version, mode=mode)

    def collect(self, *, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        """Step all environments ``minimum / environments`` times, rounded up.

        :param minimum: rows to make; 0 makes none.
        :param maximum: of no effect, except that it must not be below the minimum.
        :param timeout: of no effect.
        :return: one chunk.
        :raises ValueError: if the maximum is below the minimum, or nothing was published.
        """
        if minimum < 0 or (maximum is not None and maximum < minimum):
            raise ValueError(f"collect(minimum={minimum}, maximum={maximum}): 0 ≤ minimum ≤ maximum must hold.")
        if self._published is None:
            raise ValueError("the fleet has no policy: publish one before collecting, and after restoring.")
        if minimum == 0:
            return []
        chunk = self._collector.collect(
            parameters=self._published.parameters,
            mode=self._published.mode,
            steps=-(-minimum // self.environments),
            policy_version=self._published.version,
        )
        self._environment_steps += chunk.steps
        self._episodes += len(chunk.episodes)
        return [chunk]

    def report(self) -> FleetReport:
        """Count what was done.

        :return: the counts.
        """
        return FleetReport(
            environment_steps=self._environment_steps,
            episodes=self._episodes,
            resets=self._collector.environments.resets,
        )

    def state(self) -> InlineFleetState:
        """Describe where the fleet stands.

        :return: NumPy arrays of its own.
        """
        return InlineFleetState(
            collector=self._collector.state(),
            environment_steps=np.array(self._environment_steps, np.int64),
            episodes=np.array(self._episodes, np.int64),
        )

    def restore(self, state: Any) -> None:
        """Go on from where a fleet stood.

        :param state: what :meth:`state` returned.
        """
        self._collector.restore(state.collector)
        self._environment_steps = int(state.environment_steps)
        self._episodes = int(state.episodes)
        self._published = None

    def close(self) -> None:
        """Close the environments. Closing twice does nothing more."""
        self._collector.close()

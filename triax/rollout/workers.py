"""What all workers have in common, wherever they run: what they are sent, and what they are made of."""

import dataclasses
import pickle
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from triax.random import derive_seed
from triax.rollout.collector import Collector, blank_trajectory
from triax.rollout.environments import EnvironmentBatch, Watcher
from triax.rollout.seeded import MakeEnvironment
from triax.rollout.supervision import pickled_for_workers
from triax.spaces import SpaceSpec
from triax.trees import Tree
from triax.types import ActionMode, Policy, Trajectory

MakePolicy = Callable[[], Policy]
"""Makes a policy, in the process that is to act with it."""

VARIABLES = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
"""Environment variables that a worker's process starts with: accelerators are the trainer's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What all workers of a fleet have in common; sent to them as a pickle.

    :ivar make: makes one environment.
    :ivar make_policy: makes the policy.
    :ivar observation_spec: of the environments.
    :ivar action_spec: of the environments.
    :ivar extras_spec: what to store beside each action.
    :ivar seed: the seed of the fleet.
    :ivar environments: how many each worker steps.
    :ivar chunk_steps: steps of each environment in a chunk.
    :ivar lead: chunks that a worker may be ahead of the trainer.
    """

    make: MakeEnvironment
    make_policy: MakePolicy
    observation_spec: SpaceSpec
    action_spec: SpaceSpec
    extras_spec: Mapping[str, SpaceSpec]
    seed: int
    environments: int
    chunk_steps: int
    lead: int

    def blank_trajectory(self) -> Trajectory:
        """Make a trajectory of zeros as long and as wide as the workers' chunks."""
        return blank_trajectory(
            observation_spec=self.observation_spec,
            action_spec=self.action_spec,
            extras_spec=self.extras_spec,
            steps=self.chunk_steps,
            environments=self.environments,
        )

    def pickled(self, *, dumps: Callable[[Any], bytes] = pickle.dumps) -> bytes:
        """Make it what is sent.

        :param dumps: pickles one thing.
        :return: the pickle.
        :raises CannotSendToWorkers: if the environment or the policy cannot be pickled.
        """
        return pickled_for_workers(self, environment=self.make, policy=self.make_policy, dumps=dumps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedPolicy:
    """A policy on its way to the workers.

    :ivar parameters: NumPy arrays; None if actions are random.
    :ivar version: its number.
    :ivar mode: how to act.
    """

    parameters: Tree
    version: int
    mode: ActionMode


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerFailure:
    """What a worker says last if it fails.

    :ivar summary: the error, in a line.
    :ivar traceback: where it came from, in full.
    """

    summary: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "WorkerFailure":
        """Describe an error; unlike itself, the description can always be sent.

        :param error: what was raised.
        :return: the description.
        """
        return cls(summary=f"{type(error).__name__}: {error}", traceback="".join(traceback.format_exception(error)))


def make_collector(*, setup: WorkerSetup, worker: int, life: int, watcher: Watcher | None = None) -> Collector:
    """Make what a worker collects with. Its environments begin their first episodes.

    :param setup: what the worker was sent.
    :param worker: the worker's number.
    :param life: how often it was started before.
    :param watcher: is told of each reset and step before it is made.
    :return: the collector.
    """
    policy = setup.make_policy()
    # A new life has other random numbers than the one before, in its environments and in its actions.
    seed = derive_seed(seed=setup.seed, name=("life", life))
    return Collector(
        environments=EnvironmentBatch(
            make=setup.make,
            count=setup.environments,
            seed=derive_seed(seed=seed, name=("environments",)),
            first_environment=worker * setup.environments,
            observation_spec=setup.observation_spec,
            action_spec=setup.action_spec,
            watcher=watcher,
        ),
        policy=policy,
        observation_spec=setup.observation_spec,
        action_spec=setup.action_spec,
        extras_spec=setup.extras_spec,
        seed=derive_seed(seed=seed, name=("actions",)),
    )

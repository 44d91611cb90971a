"""The fleet of Ray actors."""

import sys
from collections.abc import Mapping
from typing import Any

from triax.rollout.cluster.connection import RayConnection, import_ray
from triax.rollout.cluster.life import PROGRESS, ActorLife
from triax.rollout.cluster.worker import RayWorker
from triax.rollout.fleet import RolloutConfig
from triax.rollout.seeded import MakeEnvironment
from triax.rollout.worker_fleet import WorkerFleet
from triax.rollout.workers import VARIABLES, MakePolicy, PublishedPolicy, WorkerFailure, WorkerSetup
from triax.spaces import SpaceSpec
from triax.trees import Tree, to_numpy
from triax.types import ActionMode, Chunk


class RayFleet(WorkerFleet[ActorLife]):
    """A :class:`~triax.rollout.fleet.Fleet` of Ray actors. They are created when experience is first asked for.

    Each actor has ``rollout.lead`` chunks to make at any time, each with the policy that was the newest when it was
    asked for. A policy lies in Ray's object store once, whatever the number of workers.
    """

    def __init__(
        self,
        *,
        config: RolloutConfig,
        make: MakeEnvironment,
        make_policy: MakePolicy,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        extras_spec: Mapping[str, SpaceSpec],
        chunk_steps: int,
        seed: int,
    ) -> None:
        """Connect to Ray, or start one.

        :param config: how many workers and environments, how they are watched, and where Ray is.
        :param make: makes one environment; can be pickled by Ray, which takes what stands in ``__main__`` along.
        :param make_policy: makes the policy in the worker; likewise.
        :param observation_spec: the spec of the observations.
        :param action_spec: the spec of the actions.
        :param extras_spec: what to store beside each action.
        :param chunk_steps: steps of each environment in a chunk.
        :param seed: the run's seed.
        :raises RayNotInstalled: if there is no Ray.
        :raises CannotSendToWorkers: if the environment or the policy cannot be pickled.
        :raises NoRayCluster: if no cluster answers at ``rollout.ray_address``.
        """
        super().__init__(config=config)
        self._setup = WorkerSetup(
            make=make,
            make_policy=make_policy,
            observation_spec=observation_spec,
            action_spec=action_spec,
            extras_spec=dict(extras_spec),
            seed=seed,
            environments=config.environments_per_worker,
            chunk_steps=chunk_steps,
            lead=config.lead,
        ).pickled(dumps=import_ray().cloudpickle.dumps)
        self._connection = RayConnection(address=config.ray_address, workers=config.workers)
        self._ray = self._connection.ray
        self._policy: Any = None

    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        """Put a policy where workers find it; see :meth:`triax.rollout.fleet.Fleet.publish`."""
        shown = None if mode is ActionMode.RANDOM else to_numpy(parameters)
        self._policy = self._ray.put(PublishedPolicy(parameters=shown, version=version, mode=mode))

    def close(self) -> None:
        """End the workers, and leave Ray. Closing twice does nothing more."""
        super().close()
        self._connection.close()

    @property
    def _has_policy(self) -> bool:
        return self._policy is not None

    def _end_workers(self) -> None:
        super()._end_workers()
        self._policy = None

    def _start(self, *, worker: int, number: int, is_first: bool) -> ActorLife:
        actor = (
            self._ray.remote(concurrency_groups={PROGRESS: 1})(RayWorker)
            .options(
                num_cpus=1,
                max_concurrency=1,
                max_restarts=0,  # a new life has other random numbers, so that we begin it
                max_task_retries=0,
                scheduling_strategy="SPREAD",
                runtime_env={"env_vars": {**VARIABLES, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}},
            )
            .remote(setup=self._setup, paths=sys.path, worker=worker, life=number)
        )
        life = ActorLife(ray=self._ray, actor=actor, is_first=is_first)
        life.ask(policy=self._policy, lead=self._config.lead)
        return life

    def _take(self, worker: int) -> Chunk | None:
        life = self._workers[worker]
        try:
            found = life.take()
        except self._ray.exceptions.RayError as error:
            # What raises in its constructor, such as an import, would do so again.
            permanent = isinstance(error, self._ray.exceptions.RayActorError) and error.actor_init_failed
            self._replace(worker=worker, reason=f"is gone: {error}", permanent=permanent)
            return None
        if isinstance(found, WorkerFailure):
            self._replace(worker=worker, reason=f"failed with {found.summary}\n{found.traceback}", permanent=True)
            return None
        if found is not None:
            life.ask(policy=self._policy, lead=self._config.lead)
        return found

    def _supervise(self) -> None:
        for worker, life in list(self._workers.items()):
            if not life.is_placed or life.has_answered:
                continue  # What it has said comes first.
            reason = life.overdue(self._config.supervision)
            if reason is not None:
                self._replace(worker=worker, reason=reason)

    def _wait(self, *, seconds: float) -> None:
        self._ray.wait([life.next_answer for life in self._workers.values()], timeout=max(0.0, seconds))

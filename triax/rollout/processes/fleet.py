"""The fleet of worker processes on this machine."""

import pickle
import time
from collections.abc import Mapping

from triax.rollout.fleet import RolloutConfig
from triax.rollout.processes.board import PolicyBoard
from triax.rollout.processes.channel import ChannelDamaged
from triax.rollout.processes.life import WorkerLife
from triax.rollout.processes.memory import wait_for_signals
from triax.rollout.processes.records import ChunkRecords
from triax.rollout.processes.spawning import ending_of
from triax.rollout.processes.status import Phase, overdue
from triax.rollout.seeded import MakeEnvironment
from triax.rollout.supervision import WatchClock
from triax.rollout.worker_fleet import WorkerFleet
from triax.rollout.workers import MakePolicy, PublishedPolicy, WorkerFailure, WorkerSetup
from triax.spaces import SpaceSpec
from triax.trees import Tree, to_numpy
from triax.types import ActionMode, Chunk


class ProcessFleet(WorkerFleet[WorkerLife]):
    """A :class:`~triax.rollout.fleet.Fleet` of processes. They start when experience is first asked for."""

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
        """Prepare.

        :param config: how many workers and environments, and how they are watched.
        :param make: makes one environment; can be pickled.
        :param make_policy: makes the policy in the worker; can be pickled.
        :param observation_spec: the spec of the observations.
        :param action_spec: the spec of the actions.
        :param extras_spec: what to store beside each action.
        :param chunk_steps: steps of each environment in a chunk.
        :param seed: the run's seed.
        :raises CannotSendToWorkers: if the environment or the policy cannot be pickled.
        """
        super().__init__(config=config)
        setup = WorkerSetup(
            make=make,
            make_policy=make_policy,
            observation_spec=observation_spec,
            action_spec=action_spec,
            extras_spec=dict(extras_spec),
            seed=seed,
            environments=config.environments_per_worker,
            chunk_steps=chunk_steps,
            lead=config.lead,
        )
        self._setup = setup.pickled()
        self._records = ChunkRecords(like=setup.blank_trajectory())
        # Beside the arrays: the summaries of episodes, or a long traceback.
        chunk_bytes = self._records.size + 64 * chunk_steps * config.environments_per_worker + 2**17
        self._channel_bytes = (config.lead + 1) * chunk_bytes
        self._board: PolicyBoard | None = None
        self._clock = WatchClock(config=config.supervision)

    @property
    def processes(self) -> tuple[int, ...]:
        """The workers' processes."""
        return tuple(life.process_id for life in self._workers.values())

    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        """Show the workers a policy; see :meth:`triax.rollout.fleet.Fleet.publish`."""
        # The parameters count in random mode, too: they say how large a policy is.
        whole = pickle.dumps(PublishedPolicy(parameters=to_numpy(parameters), version=version, mode=mode))
        if mode is ActionMode.RANDOM:
            content = pickle.dumps(PublishedPolicy(parameters=None, version=version, mode=mode))
        else:
            content = whole
        if self._board is None:
            self._board = PolicyBoard(slot_size=len(whole) + 4096)
        self._board.publish(content)

    @property
    def _has_policy(self) -> bool:
        return self._board is not None

    def _start(self, *, worker: int, number: int, is_first: bool) -> WorkerLife:
        assert self._board is not None
        return WorkerLife(
            setup=self._setup,
            board=self._board,
            worker=worker,
            number=number,
            is_first=is_first,
            channel_bytes=self._channel_bytes,
            niceness=self._config.niceness,
        )

    def _wait(self, *, seconds: float) -> None:
        wait_for_signals([life.channel.filled for life in self._workers.values()], seconds=seconds)

    def _end_workers(self) -> None:
        super()._end_workers()
        board, self._board = self._board, None
        if board is not None:
            board.close()

    def _take(self, worker: int) -> Chunk | None:
        life = self._workers[worker]
        life.channel.filled.clear()
        try:
            record = life.channel.take()
        except ChannelDamaged as error:
            self._replace(worker=worker, reason=str(error))
            return None
        if record is None:
            return None
        found = self._records.read(record)
        if isinstance(found, WorkerFailure):
            self._replace(worker=worker, reason=f"failed with {found.summary}\n{found.traceback}", permanent=True)
            return None
        life.room_since = time.monotonic()
        life.delivered_steps += found.steps
        return found

    def _supervise(self) -> None:
        now = self._clock.look()
        for worker, life in list(self._workers.items()):
            if not life.channel.is_empty:
                continue  # First what it has said; a worker that is gone or hangs stays so.
            if life.is_alive:
                self._check_progress(worker=worker, life=life, now=now)
            elif life.channel.is_empty:  # Asked again: it may have said something with its last breath.
                reason = f"ended by itself, with {ending_of(life.exit_code)}"
                self._replace(worker=worker, reason=reason, permanent=(life.exit_code or 0) > 0)

    def _check_progress(self, *, worker: int, life: WorkerLife, now: float) -> None:
        phase, seconds = life.status.phase, life.status.seconds_in_phase
        watched = life.watch.seconds(thing=(life.status.since, life.room_since), now=now)
        if phase is Phase.WAITING:
            # With room for its next chunk it has nothing to wait for: it was stopped from outside.
            if life.channel.written - life.channel.read >= self._config.lead:
                return
            phase, seconds = Phase.STEP, min(seconds, time.monotonic() - life.room_since)
        reason = overdue(phase=phase, seconds=min(seconds, watched), supervision=self._config.supervision)
        if reason is not None:
            self._replace(worker=worker, reason=reason)

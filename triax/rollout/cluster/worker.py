"""A worker as a Ray actor: it makes one chunk a call."""

import dataclasses
import os
import pickle
import socket
import sys
from collections.abc import Sequence

from triax.rollout.acting import on_device
from triax.rollout.collector import Collector
from triax.rollout.processes.spawning import use_one_thread
from triax.rollout.processes.status import Phase, WorkerStatus
from triax.rollout.workers import PublishedPolicy, WorkerFailure, WorkerSetup, make_collector
from triax.types import Chunk, ChunkOrigin


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerNews:
    """What a worker answers.

    :ivar chunk: its experience; None at the beginning.
    :ivar resets: how many episodes it has begun.
    :ivar seconds_waited: how long it has waited for calls.
    """

    chunk: Chunk | None
    resets: int
    seconds_waited: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerProgress:
    """What a worker is at.

    :ivar phase: what.
    :ivar seconds: for how long.
    """

    phase: Phase
    seconds: float


class RayWorker:
    """The actor. It answers its calls one after the other, in their order; :meth:`progress` also meanwhile."""

    def __init__(self, *, setup: bytes, paths: Sequence[str], worker: int, life: int) -> None:
        """Take note; nothing is made yet.

        :param setup: a pickled :class:`~triax.rollout.workers.WorkerSetup`.
        :param paths: where the trainer finds modules; used here, too, where these folders exist.
        :param worker: the worker's number.
        :param life: how often it was started before.
        """
        self._setup_bytes = setup
        self._paths = paths
        self._worker, self._life = worker, life
        self._collector: Collector | None = None
        self._sequence = 0
        self._status = WorkerStatus()

    def place(self) -> str:
        """Say where it runs.

        :return: the machine and the process.
        """
        return f"process {os.getpid()} on {socket.gethostname()}"

    def progress(self) -> WorkerProgress:
        """Say what it is at.

        :return: what its stepping loop has written down.
        """
        return WorkerProgress(phase=self._status.phase, seconds=self._status.seconds_in_phase)

    def begin(self) -> WorkerNews | WorkerFailure:
        """Make policy and environments, and begin their first episodes.

        :return: what to tell the trainer.
        """
        self._status.enter(Phase.START)
        try:
            sys.path.extend(path for path in self._paths if path not in sys.path and os.path.exists(path))
            use_one_thread(core=self._worker)
            self._setup: WorkerSetup = pickle.loads(self._setup_bytes)
            self._collector = make_collector(
                setup=self._setup, worker=self._worker, life=self._life, watcher=self._status
            )
            return self._news(collector=self._collector, chunk=None)
        except BaseException as error:  # whatever it is, the trainer is to know
            return WorkerFailure.of(error)

    def collect(self, policy: PublishedPolicy) -> WorkerNews | WorkerFailure:
        """Make one chunk.

        :param policy: how to act.
        :return: what to tell the trainer.
        """
        # The first call of a policy compiles it: that is part of the start, and has the start's time.
        self._status.enter(Phase.START)
        collector = self._collector
        try:
            assert collector is not None, "the worker could not begin"
            chunk = collector.collect(
                parameters=on_device(policy.parameters),
                mode=policy.mode,
                steps=self._setup.chunk_steps,
                policy_version=policy.version,
            )
            origin = ChunkOrigin(worker=self._worker, life=self._life, sequence=self._sequence)
            self._sequence += 1
            return self._news(collector=collector, chunk=dataclasses.replace(chunk, origin=origin))
        except BaseException as error:
            return WorkerFailure.of(error)

    def close(self) -> None:
        """Close the environments."""
        if self._collector is not None:
            self._collector.close()

    def _news(self, *, collector: Collector, chunk: Chunk | None) -> WorkerNews:
        self._status.enter(Phase.WAITING)
        return WorkerNews(chunk=chunk, resets=collector.environments.resets, seconds_waited=self._status.seconds_waited)

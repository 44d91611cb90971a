"""A worker: a process that steps its environments with the newest policy, chunk by chunk, until it is told to end."""

import contextlib
import dataclasses
import pickle
import sys
from multiprocessing.connection import Connection

from triax.rollout.acting import on_device
from triax.rollout.processes.board import PolicyBoard
from triax.rollout.processes.channel import Channel
from triax.rollout.processes.memory import SharedMemory, wait_for_signals
from triax.rollout.processes.records import ChunkRecords
from triax.rollout.processes.spawning import begin_child, received, use_one_thread
from triax.rollout.processes.status import Phase, WorkerStatus
from triax.rollout.workers import PublishedPolicy, WorkerFailure, WorkerSetup, make_collector
from triax.types import ChunkOrigin

_WAKE_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerLinks:
    """What a worker shares with the trainer; sent while it is being spawned.

    :ivar board: the newest policy.
    :ivar channel: where its experience goes.
    :ivar status: what it is at.
    :ivar lifeline: the trainer holds the other end; it ends with the trainer.
    """

    board: PolicyBoard
    channel: Channel
    status: WorkerStatus
    lifeline: Connection


def run_worker(*, setup: SharedMemory, links: WorkerLinks, worker: int, life: int, parent: int, niceness: int) -> None:
    """Be a worker; a process's whole life.

    :param setup: a :class:`~triax.rollout.workers.WorkerSetup`, pickled.
    :param links: to the trainer.
    :param worker: the worker's number.
    :param life: how often it was started before.
    :param parent: the trainer's process.
    :param niceness: how much it yields to the trainer where cores are scarce.
    """
    begin_child(parent=parent, lifeline=links.lifeline, niceness=niceness)
    try:
        use_one_thread(core=worker)
        with contextlib.closing(_Worker(setup=received(setup), links=links, worker=worker, life=life)) as made:
            made.run()
    except _Stopped:
        pass
    except BaseException as error:  # whatever it is, the trainer is to know
        links.channel.write(pickle.dumps(WorkerFailure.of(error)), wait=lambda: _wait_for_room(links))
        sys.exit(1)


class _Stopped(Exception):
    """The trainer asked the worker to end."""


class _Watcher:
    """Writes down what the environments are about to do, and lets a worker that is to end do so before it."""

    def __init__(self, links: WorkerLinks) -> None:
        self._links = links

    def resetting(self) -> None:
        """An environment is about to be reset."""
        _check_stop(self._links)
        self._links.status.resetting()

    def stepping(self) -> None:
        """An environment is about to be stepped."""
        _check_stop(self._links)
        self._links.status.stepping()


class _Worker:
    def __init__(self, *, setup: WorkerSetup, links: WorkerLinks, worker: int, life: int) -> None:
        self._links = links
        self._setup = setup
        self._worker, self._life = worker, life
        self._records = ChunkRecords(like=setup.blank_trajectory())
        self._collector = make_collector(setup=setup, worker=worker, life=life, watcher=_Watcher(links))

    def close(self) -> None:
        self._collector.close()

    def run(self) -> None:
        number, policy = 0, None
        while True:
            self._links.status.enter(Phase.WAITING)
            self._wait_until_wanted()
            newer = self._links.board.read(newer_than=number)
            if newer is not None:
                number, content = newer
                policy = pickle.loads(content)
                policy = dataclasses.replace(policy, parameters=on_device(policy.parameters))
            if policy is None:
                continue
            # The first call of a policy compiles it: that is part of the start, and has the start's time.
            self._links.status.enter(Phase.START)
            self._send(policy)

    def _send(self, policy: PublishedPolicy) -> None:
        channel = self._links.channel
        chunk = self._collector.collect(
            parameters=policy.parameters,
            mode=policy.mode,
            steps=self._setup.chunk_steps,
            policy_version=policy.version,
        )
        origin = ChunkOrigin(worker=self._worker, life=self._life, sequence=channel.written)
        self._links.status.enter(Phase.WAITING)
        channel.write(
            self._records.write(chunk, origin=origin),
            wait=lambda: _wait_for_room(self._links),
        )

    def _wait_until_wanted(self) -> None:
        _check_stop(self._links)
        while self._links.channel.written - self._links.channel.read >= self._setup.lead:
            _wait_for_room(self._links)


def _wait_for_room(links: WorkerLinks) -> None:
    _check_stop(links)
    wait_for_signals([links.channel.emptied], seconds=_WAKE_SECONDS)
    links.channel.emptied.clear()


def _check_stop(links: WorkerLinks) -> None:
    if links.status.stop_requested:
        raise _Stopped

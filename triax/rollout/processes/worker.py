"""A worker: a process that steps its environments with the newest policy, chunk by chunk, until it is told to end."""

import contextlib
import ctypes
import dataclasses
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import jax

from triax.random import derive_seed
from triax.rollout.collector import Collector
from triax.rollout.environments import EnvironmentBatch
from triax.rollout.processes.board import PolicyBoard
from triax.rollout.processes.channel import Channel
from triax.rollout.processes.memory import wait_for_signals
from triax.rollout.processes.status import Phase, WorkerStatus
from triax.rollout.seeded import MakeEnvironment
from triax.spaces import SpaceSpec
from triax.trees import Tree
from triax.types import ActionMode, Chunk, ChunkOrigin, Policy

MakePolicy = Callable[[], Policy]
"""Makes a policy, in the process that is to act with it."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that are held back while a worker is started."""

_PR_SET_PDEATHSIG = 1
_WAKE_SECONDS = 0.5


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
    :ivar lead: chunks that may lie in the channel before the worker waits.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedPolicy:
    """What the board holds.

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


def run_worker(*, setup: bytes, links: WorkerLinks, worker: int, life: int, parent: int) -> None:
    """Be a worker; a process's whole life.

    :param setup: a pickled :class:`WorkerSetup`.
    :param links: to the trainer.
    :param worker: the worker's number.
    :param life: how often it was started before.
    :param parent: the trainer's process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the trainer decides what it means.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    _die_with(parent=parent, lifeline=links.lifeline)
    try:
        _use_one_thread(worker=worker)
        with contextlib.closing(_Worker(setup=pickle.loads(setup), links=links, worker=worker, life=life)) as made:
            made.run()
    except _Stopped:
        pass
    except BaseException as error:  # whatever it is, the trainer is to know
        failure = WorkerFailure(
            summary=f"{type(error).__name__}: {error}", traceback="".join(traceback.format_exception(error))
        )
        links.channel.write(pickle.dumps(failure), wait=lambda: _wait_for_room(links))
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
        self._links.status.enter(Phase.RESET)

    def stepping(self) -> None:
        """An environment is about to be stepped."""
        _check_stop(self._links)
        self._links.status.enter(Phase.STEP)


class _Worker:
    def __init__(self, *, setup: WorkerSetup, links: WorkerLinks, worker: int, life: int) -> None:
        self._links = links
        self._setup = setup
        self._worker, self._life = worker, life
        policy = setup.make_policy()
        # A new life has other random numbers than the one before, in its environments and in its actions.
        seed = derive_seed(seed=setup.seed, name=("life", life))
        self._collector = Collector(
            environments=EnvironmentBatch(
                make=setup.make,
                count=setup.environments,
                seed=derive_seed(seed=seed, name=("environments",)),
                first_environment=worker * setup.environments,
                observation_spec=setup.observation_spec,
                action_spec=setup.action_spec,
                watcher=_Watcher(links),
            ),
            policy=policy,
            observation_spec=setup.observation_spec,
            action_spec=setup.action_spec,
            extras_spec=setup.extras_spec,
            seed=derive_seed(seed=seed, name=("actions",)),
        )

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
                policy = dataclasses.replace(policy, parameters=jax.device_put(policy.parameters))
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
            pickle.dumps(dataclasses.replace(chunk, origin=origin), protocol=pickle.HIGHEST_PROTOCOL),
            wait=lambda: _wait_for_room(self._links),
        )

    def _wait_until_wanted(self) -> None:
        _check_stop(self._links)
        while self._links.channel.written - self._links.channel.read >= self._setup.lead:
            _wait_for_room(self._links)


def read_record(record: bytes) -> Chunk | WorkerFailure:
    """Read what a worker wrote.

    :param record: from its channel.
    :return: what it said.
    """
    found: Chunk | WorkerFailure = pickle.loads(record)
    return found


def _wait_for_room(links: WorkerLinks) -> None:
    _check_stop(links)
    wait_for_signals([links.channel.emptied], seconds=_WAKE_SECONDS)
    links.channel.emptied.clear()


def _check_stop(links: WorkerLinks) -> None:
    if links.status.stop_requested:
        raise _Stopped


def _die_with(*, parent: int, lifeline: Connection) -> None:
    """End with the trainer, however that ends.

    :param parent: its process.
    :param lifeline: ends with it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

    def watch() -> None:
        try:
            lifeline.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _use_one_thread(*, worker: int) -> None:
    """Have JAX start with one thread, by showing it one core; then give all cores back."""
    cores: Any = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[worker % len(cores)]})
    jax.devices()
    os.sched_setaffinity(0, cores)

"""How a process beside the trainer begins and ends: accelerator and Ctrl-C are the trainer's, and it ends with it."""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.resource_tracker
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import jax

from triax.rollout.processes.memory import SharedMemory
from triax.rollout.workers import VARIABLES

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Held back while a process is started."""


class BegunByImport(ValueError):
    """A file that does its work when it is imported, too."""


def start_child(*, target: Callable[..., None], setup: bytes, arguments: Mapping[str, Any], name: str) -> SpawnProcess:
    """Start a process that is spawned, has JAX on the processor only, and holds signals back at first.

    :param target: its whole life, at the top level of a module; it calls :func:`begin_child` first, and gets the setup
        by :func:`received`.
    :param setup: a pickle of what it is to do; the target's argument of this name.
    :param arguments: the target's others. They go through a pipe, which the child reads when it has imported what it
        needs: were they larger than the pipe, the trainer would wait for that, and for ever if the child hangs.
    :param name: for lists of processes.
    :return: the process.
    :raises OSError: if the machine has no memory or no descriptors left, or the program that runs is no file.
    """
    program = str(getattr(sys.modules["__main__"], "__file__", ""))
    if program.startswith("<"):  # "<stdin>"; the child would import it
        raise OSError(f'the program comes from {program}; put it into a file, or use rollout.backend="inline".')
    with contextlib.closing(SharedMemory.holding(setup)) as memory:
        process = multiprocessing.get_context("spawn").Process(
            target=target, kwargs={"setup": memory, **arguments}, name=name, daemon=True
        )
        with _signals_wait(), _variables(**VARIABLES):
            process.start()
    return process


def received(setup: SharedMemory) -> Any:
    """Take what :func:`start_child` was given, in the process that was started.

    :param setup: the target's argument; closed.
    :return: what was pickled.
    """
    with contextlib.closing(setup):
        return pickle.loads(setup.data)


def check_not_imported_by_child() -> None:
    """Refuse to begin something in a process that has come no further than importing the main module.

    :raises BegunByImport: if this is such a process.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):  # what multiprocessing itself asks before it starts a process
        raise BegunByImport(
            f"{process.name} imports the file that was started, and that begins a training of its own; put the call of "
            'triax.main or triax.train in that file under `if __name__ == "__main__":`.'
        )


def end_child(process: SpawnProcess, *, deadline: float) -> None:
    """Wait for a process that was asked to end, and end it.

    :param process: the process; not to be used any more afterwards.
    :param deadline: when to use force, on the clock of ``time.monotonic``.
    """
    process.join(max(0.0, deadline - time.monotonic()))
    if process.is_alive():
        process.kill()
    process.join()
    process.close()


def ending_of(exit_code: int | None) -> str:
    """Say how a process ended, for the user.

    :param exit_code: as :mod:`multiprocessing` gives it: negative for a signal.
    :return: the words.
    """
    code = exit_code or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def begin_child(*, parent: int, lifeline: Connection, niceness: int) -> None:
    """Make a process that was started one that ends with the trainer, and leaves Ctrl-C to it.

    :param parent: the trainer's process.
    :param lifeline: the trainer holds the other end; it ends with the trainer.
    :param niceness: how much the process yields to the trainer where cores are scarce.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the trainer decides what it means.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    system = ctypes.CDLL(None)
    system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    system.prctl(_PR_SET_NAME, multiprocessing.current_process().name.encode())  # as ps and top show it
    if os.getppid() != parent:
        os._exit(1)
    os.nice(niceness)
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()


def use_one_thread(*, core: int) -> None:
    """Have JAX start with one thread, by showing it one core; then give all cores back.

    :param core: which; counted around if there are fewer.
    """
    # A call of the policy is shorter than handing it to that thread and being woken up would be.
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # type: ignore[no-untyped-call]
    cores: Any = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[core % len(cores)]})
    jax.devices()
    os.sched_setaffinity(0, cores)


def _watch(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold signals back: a process that is started meanwhile begins with them held back, and lets them through itself.

    So Ctrl-C, which goes to all processes, cannot end a worker before it knows what to do about it.
    """
    # It would let signals through again when it is started.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _variables(**values: str) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

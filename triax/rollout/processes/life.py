"""One life of a worker, as the trainer sees it: its process, and what both share."""

import contextlib
import multiprocessing
import multiprocessing.resource_tracker
import os
import signal
import time
from collections.abc import Iterator

from triax.rollout.processes.board import PolicyBoard
from triax.rollout.processes.channel import Channel
from triax.rollout.processes.status import WorkerStatus
from triax.rollout.processes.worker import SIGNALS, WorkerLinks, run_worker


class WorkerLife:
    """A worker from its start to its end.

    :ivar number: how often the worker was started before, over all processes of the run.
    :ivar is_first: whether it is the first one in this process.
    :ivar channel: where its experience comes from.
    :ivar status: what it is at.
    :ivar delivered: whether it has ever delivered anything.
    :ivar room_since: when the trainer last made room in its channel, on the clock of ``time.monotonic``.
    """

    def __init__(
        self, *, setup: bytes, board: PolicyBoard, worker: int, number: int, is_first: bool, channel_bytes: int
    ) -> None:
        """Start the process.

        :param setup: a pickled :class:`~triax.rollout.processes.worker.WorkerSetup`.
        :param board: where it finds policies.
        :param worker: the worker's number.
        :param number: how often it was started before.
        :param is_first: whether it is the first one in this process.
        :param channel_bytes: what its channel holds.
        :raises OSError: if the machine has no memory or no descriptors left.
        """
        self.number = number
        self.is_first = is_first
        self.delivered = False
        self.room_since = time.monotonic()
        with contextlib.ExitStack() as made:
            self.channel = Channel(capacity=channel_bytes)
            made.callback(self.channel.close)
            self.status = WorkerStatus()
            made.callback(self.status.close)
            theirs, lifeline = multiprocessing.Pipe(duplex=False)
            made.callback(lifeline.close)
            with theirs:
                self._process = multiprocessing.get_context("spawn").Process(
                    target=run_worker,
                    kwargs={
                        "setup": setup,
                        "links": WorkerLinks(board=board, channel=self.channel, status=self.status, lifeline=theirs),
                        "worker": worker,
                        "life": number,
                        "parent": os.getpid(),
                    },
                    name=f"triax-worker-{worker}",
                    daemon=True,
                )
                with _signals_wait(), _variables(JAX_PLATFORMS="cpu", OMP_NUM_THREADS="1"):
                    self._process.start()
            # A process that was started is of use to nobody once it cannot be reached any more.
            self._open = made.pop_all()
        self.process_id = self._process.pid or 0

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """How the process ended; negative for a signal, None while it runs."""
        return self._process.exitcode

    def request_stop(self) -> None:
        """Ask the worker to end."""
        self.status.request_stop()
        self.channel.emptied.notify()

    def close(self, *, deadline: float = 0.0) -> None:
        """End the process, and let go of what was shared with it. To be called once.

        :param deadline: when to use force, on the clock of ``time.monotonic``.
        """
        self._process.join(max(0.0, deadline - time.monotonic()))
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()
        self._open.close()


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold signals back: a process that is started meanwhile begins with them held back, and lets them through itself.

    So Ctrl-C, which goes to all processes, cannot end a worker before it knows what to do about it.
    """
    # It would let signals through again when it is started.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
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

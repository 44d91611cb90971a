"""One life of a worker, as the trainer sees it: its process, and what both share."""

import contextlib
import multiprocessing
import os
import time

from triax.rollout.processes.board import PolicyBoard
from triax.rollout.processes.channel import Channel
from triax.rollout.processes.spawning import end_child, start_child
from triax.rollout.processes.status import WorkerStatus
from triax.rollout.processes.worker import WorkerLinks, run_worker
from triax.rollout.supervision import Watch


class WorkerLife:
    """A worker from its start to its end.

    :ivar number: how often the worker was started before, over all processes of the run.
    :ivar is_first: whether it is the first one in this process.
    :ivar channel: where its experience comes from.
    :ivar status: what it is at.
    :ivar delivered_steps: environment steps in what it has delivered.
    :ivar room_since: when the trainer last made room in its channel, on the clock of ``time.monotonic``.
    :ivar watch: how long it has been seen at one thing.
    """

    def __init__(
        self,
        *,
        setup: bytes,
        board: PolicyBoard,
        worker: int,
        number: int,
        is_first: bool,
        channel_bytes: int,
        niceness: int,
    ) -> None:
        """Start the process.

        :param setup: a pickled :class:`~triax.rollout.workers.WorkerSetup`.
        :param board: where it finds policies.
        :param worker: the worker's number.
        :param number: how often it was started before.
        :param is_first: whether it is the first one in this process.
        :param channel_bytes: what its channel holds.
        :param niceness: how much it yields to the trainer where cores are scarce.
        :raises OSError: if the machine has no memory or no descriptors left.
        """
        self.number = number
        self.is_first = is_first
        self.delivered_steps = 0
        self.room_since = time.monotonic()
        self.watch = Watch()
        with contextlib.ExitStack() as made:
            self.channel = Channel(capacity=channel_bytes)
            made.callback(self.channel.close)
            self.status = WorkerStatus()
            made.callback(self.status.close)
            theirs, lifeline = multiprocessing.Pipe(duplex=False)
            made.callback(lifeline.close)
            with theirs:
                self._process = start_child(
                    target=run_worker,
                    setup=setup,
                    arguments={
                        "links": WorkerLinks(board=board, channel=self.channel, status=self.status, lifeline=theirs),
                        "worker": worker,
                        "life": number,
                        "parent": os.getpid(),
                        "niceness": niceness,
                    },
                    name=f"triax-worker-{worker}",
                )
            # A process that was started is of use to nobody once it cannot be reached any more.
            self._open = made.pop_all()
        self.process_id = self._process.pid or 0

    @property
    def has_stepped(self) -> bool:
        """Whether it has come so far that it steps its environments."""
        return self.status.steps > 0

    @property
    def resets(self) -> int:
        """How many episodes it has begun."""
        return self.status.resets

    @property
    def lost_steps(self) -> int:
        """How many environment steps it has made that are lost if it ends now."""
        return self.status.steps - self.delivered_steps

    @property
    def seconds_waited(self) -> float:
        """How long it has waited for the trainer."""
        return self.status.seconds_waited

    @property
    def place(self) -> str:
        """Where it runs, for the user."""
        return f"process {self.process_id}"

    @property
    def doing(self) -> str:
        """What it is at, for the user."""
        return f"is at {self.status.phase.name.lower()} for {self.status.seconds_in_phase:.0f} s"

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
        end_child(self._process, deadline=deadline)
        self._open.close()

"""Ctrl-C and ``kill``: a request to end in order, with a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """A run was asked to end before it was done; it has left a checkpoint."""


class StopRequest:
    """Whether, and why, the run shall end at the next opportunity.

    :ivar reason: None while it shall go on.
    :ivar interrupted: whether a signal asked.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.interrupted = False

    def __call__(self) -> bool:
        """Tell whether a signal asked."""
        return self.interrupted

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to SIGINT and SIGTERM.

        A second SIGINT (Ctrl-C, pressed again) ends the process at once, in the usual way. A second SIGTERM changes
        nothing: Slurm sends several, and a checkpoint may be half written. Signals reach the main thread only;
        elsewhere this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[signal.Signals, Any] = {}

        def on_signal(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            self.reason = f"interrupted by {signal.Signals(number).name}"
            signal.signal(signal.SIGINT, before[signal.SIGINT])

        for caught in (signal.SIGINT, signal.SIGTERM):
            before[caught] = signal.signal(caught, on_signal)
        try:
            yield
        finally:
            for caught, handler in before.items():
                signal.signal(caught, handler)

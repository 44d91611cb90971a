"""Scalars for TensorBoard.

This uses tensorboardX's event writer and not its ``SummaryWriter``, whose thread dies without a word when the disk is
full; its bounded queue then fills up, and the training loop waits for ever at the next scalar. Here a row is one event,
which takes some microseconds per scalar, once per row of the log.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FLUSH_SECONDS = 20.0


class TensorBoardWriter:
    """A writer of scalars. The folder and the file are made with the first of them.

    :param directory: the folder of events.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._writer: Any = None
        self._undone_from: int | None = None
        self._flushed_at = 0.0

    def write(self, *, step: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of one step.

        :param step: the step.
        :param scalars: the values by tag.
        :raises OSError: if the disk is full.
        """
        # Imported here, since reading a run does without it.
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=float(value)) for tag, value in scalars.items()]
        writer = self._opened()
        writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        if time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            writer.flush()
            self._flushed_at = time.monotonic()

    def undo_from(self, step: int) -> None:
        """Make TensorBoard hide what was written at this step and later, when the run goes on from an earlier moment.

        :param step: the first step that is undone.
        """
        self.close()
        self._undone_from = step

    def close(self) -> None:
        """Write all and close the file.

        On a full disk the last scalars are lost, and nothing else: they stand in the JSON lines as well.
        """
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None

    def _opened(self) -> Any:
        if self._writer is None:
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import Event, SessionLog

            self.directory.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files in the order of their names, which begin with the second; the number keeps two
            # lives of one second apart.
            number = len(list(self.directory.iterdir()))
            self._writer = EventsWriter(str(self.directory / "events"), f".{number:04d}.{os.getpid()}")
            if self._undone_from is not None:
                start = SessionLog(status=SessionLog.START)
                self._writer.write_event(Event(wall_time=time.time(), step=self._undone_from, session_log=start))
                self._undone_from = None
        return self._writer

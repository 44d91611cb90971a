"""An append-only file of one JSON object a line, which a resumed run cuts back to where its checkpoint stands."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from triax.runs.errors import LogError
from triax.runs.files import JSON

_BLOCK = 1 << 16


class JsonLines:
    """A writer of rows.

    Every row reaches the operating system when it is appended, so a killed process loses none; a power cut may cost
    those since :meth:`flush_to_disk`. A last line without its end, which a power cut can leave, is removed when the
    file is opened.

    :param path: the file; it is made if it is not there.
    :raises OSError: if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._length = self._file.seek(0, os.SEEK_END)
        self._truncate(_complete_length(path))

    @property
    def length(self) -> int:
        """The length of the file in bytes, up to the end of the last complete row."""
        return self._length

    def append(self, row: Mapping[str, JSON]) -> None:
        """Add a row.

        :param row: the object to write.
        :raises ValueError: if a number is not finite, which strict JSON cannot say.
        :raises LogError: if the disk is full or cannot be written; nothing of the row is then in the file.
        """
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            self._file.truncate(self._length)
            raise LogError(f"{self.path} could not be written: {error.strerror}") from error
        self._length += len(line)

    def flush_to_disk(self) -> None:
        """Wait until the disk has all rows.

        :raises OSError: if it cannot take them.
        """
        os.fsync(self._file.fileno())

    def cut_back(self, length: int) -> None:
        """Remove the rows after the end of a row.

        :param length: the length, as :attr:`length` was then.
        :raises LogError: if the file is shorter, or no row ends there.
        """
        self.require_row_end(length)
        self._truncate(length)
        self.flush_to_disk()

    def require_row_end(self, length: int) -> None:
        """Refuse a length that is not the end of a row of this file.

        :param length: the length.
        :raises LogError: if the file is shorter, or no row ends there.
        """
        if length > self._length:
            raise LogError(f"{self.path} has {self._length:,} bytes, fewer than the {length:,} of the checkpoint")
        if length < 0 or not _ends_row(path=self.path, length=length):
            raise LogError(f"{self.path}: no row ends at byte {length:,}; it is not the file of the checkpoint")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _truncate(self, length: int) -> None:
        if length != self._length:
            self._file.truncate(length)
            self._length = length


def read_rows(path: Path) -> tuple[dict[str, JSON], ...]:
    """Read all rows of a file, also of one that is being written.

    :param path: the file. One that does not exist has no rows.
    :return: the rows. A last line that is not complete is left out.
    :raises LogError: if any other line is not a JSON object.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return ()
    rows: list[dict[str, JSON]] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise LogError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise LogError(f"{path}, line {number}: {type(row).__name__} instead of an object")
        rows.append(cast(dict[str, JSON], row))
    return tuple(rows)


def read_last_row(path: Path) -> dict[str, JSON] | None:
    """Read the last complete row of a file, however long the file is; also of one that is being written.

    :param path: the file.
    :return: the row; None if there is none, or no file.
    :raises LogError: if it is not a JSON object.
    """
    try:
        with path.open("rb") as file:
            end = _after_last_newline(file, end=file.seek(0, os.SEEK_END))
            begin = _after_last_newline(file, end=max(end - 1, 0))
            file.seek(begin)
            line = file.read(end - begin)
    except FileNotFoundError:
        return None
    if not line:
        return None
    try:
        row = json.loads(line)
    except ValueError as error:
        raise LogError(f"{path}, last line: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise LogError(f"{path}, last line: {type(row).__name__} instead of an object")
    return cast(dict[str, JSON], row)


def _complete_length(path: Path) -> int:
    with path.open("rb") as file:
        return _after_last_newline(file, end=file.seek(0, os.SEEK_END))


def _after_last_newline(file: BinaryIO, *, end: int) -> int:
    """Find the place after the last end of a line among the first ``end`` bytes; 0 if there is none."""
    while end > 0:
        begin = max(end - _BLOCK, 0)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _ends_row(*, path: Path, length: int) -> bool:
    if length == 0:
        return True
    with path.open("rb") as file:
        file.seek(length - 1)
        return file.read(1) == b"\n"

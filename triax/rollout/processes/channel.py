"""From one worker to the trainer: a bounded ring of records in shared memory, with one writer and one reader.

Nothing is locked. The writer alone moves the head, the reader alone the tail, and a record is there once the head has
passed it: a writer that is killed in the middle of one leaves nothing. Each record carries its length, its sequence
number and a checksum, which the reader compares.
"""

import time
import zlib
from collections.abc import Callable

from triax.rollout.processes.memory import SharedMemory, Signal, rounded_up

_HEADER_BYTES = 64
_RECORD_WORDS = 3
_RECORD_BYTES = 8 * _RECORD_WORDS
_ATTEMPTS, _ATTEMPT_SECONDS = 50, 0.001
_HEAD, _TAIL, _WRITTEN, _READ = range(4)


class ChannelDamaged(RuntimeError):
    """A record is not as it was written."""


class Channel:
    """The ring. Sent to the worker while that is being spawned; either side uses its own methods only.

    :ivar capacity: bytes of records that it holds, their 24 bytes of header included.
    :ivar filled: raised by the writer after a record.
    :ivar emptied: raised by the reader after one.
    """

    def __init__(self, *, capacity: int) -> None:
        """Reserve the ring.

        :param capacity: bytes, rounded up to a multiple of 8.
        """
        self.capacity = rounded_up(capacity)
        self.filled = Signal()
        self.emptied = Signal()
        self._memory = SharedMemory(size=_HEADER_BYTES + self.capacity)

    @property
    def written(self) -> int:
        """How many records were written."""
        return self._memory.words[_WRITTEN]

    @property
    def read(self) -> int:
        """How many records were read."""
        return self._memory.words[_READ]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take. Tells of whole records only, however the writer ended."""
        words = self._memory.words
        return words[_HEAD] == words[_TAIL]

    def write(self, record: bytes, *, wait: Callable[[], None]) -> None:
        """Append a record, as soon as there is room.

        :param record: its content.
        :param wait: called again and again while there is no room; it should wait for :attr:`emptied`.
        :raises ValueError: if the ring could never hold it.
        """
        needed = _RECORD_BYTES + rounded_up(len(record))
        if needed > self.capacity:
            raise ValueError(f"a record of {len(record):,} bytes does not fit a channel of {self.capacity:,} bytes.")
        words = self._memory.words
        while words[_HEAD] + needed - words[_TAIL] > self.capacity:
            wait()
        head, sequence = words[_HEAD], words[_WRITTEN]
        header = b"".join(number.to_bytes(8, "little") for number in (len(record), sequence, zlib.crc32(record)))
        self._put(head, header)
        self._put(head + _RECORD_BYTES, record)
        words[_WRITTEN] = sequence + 1
        words[_HEAD] = head + needed  # the commit mark
        self.filled.notify()

    def take(self) -> bytes | None:
        """Take the oldest record.

        :return: its content; None if there is none.
        :raises ChannelDamaged: if it is not as it was written.
        """
        words = self._memory.words
        head, tail, sequence = words[_HEAD], words[_TAIL], words[_READ]
        if head == tail:
            return None
        for _ in range(_ATTEMPTS):
            record, end, problem = self._record(tail=tail, head=head, sequence=sequence)
            if not problem:
                break
            # Some processors show the commit mark before what it stands for.
            time.sleep(_ATTEMPT_SECONDS)
        else:
            raise ChannelDamaged(f"record {sequence} of a worker is damaged: {problem}.")
        words[_READ] = sequence + 1
        words[_TAIL] = end
        self.emptied.notify()
        return record

    def close(self) -> None:
        """Let go of it. Closing twice does nothing more."""
        self._memory.close()
        self.filled.close()
        self.emptied.close()

    def _record(self, *, tail: int, head: int, sequence: int) -> tuple[bytes, int, str]:
        """Read a record: its content, where it ends, and what is wrong with it."""
        header = self._get(tail, _RECORD_BYTES)
        length, number, checksum = (int.from_bytes(header[at : at + 8], "little") for at in range(0, _RECORD_BYTES, 8))
        end = tail + _RECORD_BYTES + rounded_up(length)
        if end > head or number != sequence:
            return b"", end, f"its header says {length} and {number}"
        record = self._get(tail + _RECORD_BYTES, length)
        return record, end, "" if zlib.crc32(record) == checksum else "its checksum is wrong"

    def _put(self, position: int, content: bytes) -> None:
        begin = position % self.capacity
        first = min(len(content), self.capacity - begin)
        data, start = self._memory.data, _HEADER_BYTES
        data[start + begin : start + begin + first] = content[:first]
        data[start : start + len(content) - first] = content[first:]

    def _get(self, position: int, length: int) -> bytes:
        begin = position % self.capacity
        first = min(length, self.capacity - begin)
        data, start = self._memory.data, _HEADER_BYTES
        return bytes(data[start + begin : start + begin + first]) + bytes(data[start : start + length - first])

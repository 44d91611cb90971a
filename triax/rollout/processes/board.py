"""From the trainer to all workers: the newest policy, in shared memory.

Publishing writes one copy, whatever the number of workers, and waits for none of them. A worker that reads while the
slot is written again notices by the slot's number or its checksum, and reads anew.
"""

import time
import zlib

from triax.rollout.processes.memory import SharedMemory

_SLOTS = 3
_LATEST = 0
_SLOT_WORDS = 3
_NUMBER, _LENGTH, _CHECKSUM = range(_SLOT_WORDS)
_HEADER_WORDS = 1 + _SLOTS * _SLOT_WORDS
_HEADER_BYTES = 8 * _HEADER_WORDS
_ATTEMPTS = 1000


class PolicyBoard:
    """Some slots, written in turn. Sent to workers while they are being spawned."""

    def __init__(self, *, slot_size: int) -> None:
        """Reserve the slots.

        :param slot_size: bytes of the largest content.
        """
        self._slot_size = slot_size
        self._memory = SharedMemory(size=_HEADER_BYTES + _SLOTS * slot_size)

    @property
    def latest(self) -> int:
        """The number of the newest publication; 0 before the first."""
        return int(self._memory.words(offset=0, count=1)[_LATEST])

    def publish(self, content: bytes) -> None:
        """Make this the newest.

        :param content: what workers are to read.
        :raises ValueError: if it does not fit a slot.
        """
        if len(content) > self._slot_size:
            raise ValueError(f"a policy of {len(content):,} bytes does not fit a slot of {self._slot_size:,} bytes.")
        number = self.latest + 1
        slot = number % _SLOTS
        words = self._memory.words(offset=8 * (1 + slot * _SLOT_WORDS), count=_SLOT_WORDS)
        words[_NUMBER] = 0
        start = self._start(slot)
        self._memory.data[start : start + len(content)] = content
        words[_LENGTH], words[_CHECKSUM] = len(content), zlib.crc32(content)
        words[_NUMBER] = number
        self._memory.words(offset=0, count=1)[_LATEST] = number

    def read(self, *, newer_than: int) -> tuple[int, bytes] | None:
        """Read the newest publication.

        :param newer_than: the number of the one that is known.
        :return: its number and content; None if there is no newer one.
        :raises RuntimeError: if it cannot be read whole, again and again.
        """
        for _ in range(_ATTEMPTS):
            number = self.latest
            if number <= newer_than:
                return None
            slot = number % _SLOTS
            words = self._memory.words(offset=8 * (1 + slot * _SLOT_WORDS), count=_SLOT_WORDS)
            length, checksum = int(words[_LENGTH]), int(words[_CHECKSUM])
            start = self._start(slot)
            content = bytes(self._memory.data[start : start + min(length, self._slot_size)])
            if int(words[_NUMBER]) == number and zlib.crc32(content) == checksum:
                return number, content
            time.sleep(0.001)
        raise RuntimeError("the newest policy could not be read whole; its memory is damaged.")

    def close(self) -> None:
        """Let go of it. Closing twice does nothing more."""
        self._memory.close()

    def _start(self, slot: int) -> int:
        return _HEADER_BYTES + slot * self._slot_size

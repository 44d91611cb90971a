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
        return self._memory.words[_LATEST]

    def publish(self, content: bytes) -> None:
        """Make this the newest.

        :param content: what workers are to read.
        :raises ValueError: if it does not fit a slot.
        """
        if len(content) > self._slot_size:
            raise ValueError(f"a policy of {len(content):,} bytes does not fit a slot of {self._slot_size:,} bytes.")
        number = self.latest + 1
        slot = number % _SLOTS
        words = self._memory.words
        numbered, length, checksum = _slot_words(slot)
        words[numbered] = 0
        start = self._start(slot)
        self._memory.data[start : start + len(content)] = content
        words[length], words[checksum] = len(content), zlib.crc32(content)
        words[numbered] = number
        words[_LATEST] = number

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
            words = self._memory.words
            numbered, length, checksum = _slot_words(slot)
            start, expected = self._start(slot), words[checksum]
            content = bytes(self._memory.data[start : start + min(words[length], self._slot_size)])
            if words[numbered] == number and zlib.crc32(content) == expected:
                return number, content
            time.sleep(0.001)
        raise RuntimeError("the newest policy could not be read whole; its memory is damaged.")

    def close(self) -> None:
        """Let go of it. Closing twice does nothing more."""
        self._memory.close()

    def _start(self, slot: int) -> int:
        return _HEADER_BYTES + slot * self._slot_size


def _slot_words(slot: int) -> tuple[int, int, int]:
    """Where the number, the length and the checksum of a slot's content are."""
    first = 1 + slot * _SLOT_WORDS
    return first, first + 1, first + 2

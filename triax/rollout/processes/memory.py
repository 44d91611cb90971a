"""Memory that processes share and that has no name: it is gone when the last of them is, however it ended."""

import contextlib
import mmap
import os
import select
from collections.abc import Sequence
from multiprocessing.reduction import DupFd
from typing import Any


class SharedMemory:
    """A piece of memory, mapped by this process and by every one that it is sent to while that is being spawned.

    :ivar data: all of its bytes.
    :ivar words: the same as whole numbers of 64 bits. Reading and writing one of them cannot be cut in two.
    """

    def __init__(self, *, size: int) -> None:
        """Reserve memory. Linux only.

        :param size: bytes, rounded up to a multiple of 8; zero at first.
        :raises OSError: if the machine has not so much left, or is no Linux.
        """
        if not hasattr(os, "memfd_create"):
            raise OSError('worker processes need Linux (memfd); use rollout.backend="inline" on this system.')
        size = rounded_up(size)
        self._descriptor = os.memfd_create("triax")
        try:
            # Without this a machine that has no memory left would end the process by a signal at some later write.
            os.posix_fallocate(self._descriptor, 0, size)
        except OSError as error:
            os.close(self._descriptor)
            raise OSError(
                f"{size / 2**20:,.1f} MiB of shared memory could not be reserved ({error.strerror}); use fewer "
                "rollout.workers, or a smaller rollout.lead."
            ) from error
        self._map(size)

    @classmethod
    def holding(cls, content: bytes) -> "SharedMemory":
        """Reserve memory and fill it.

        :param content: its bytes; up to 7 zeros follow them.
        :return: the memory.
        :raises OSError: see the class.
        """
        memory = cls(size=len(content))
        memory.data[: len(content)] = content
        return memory

    def close(self) -> None:
        """Let go of it. Closing twice does nothing more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
            self.words.release()
            self.data.release()
            self._map_object.close()

    def __getstate__(self) -> dict[str, Any]:
        """Say what another process needs; works only while that process is being spawned."""
        return {"descriptor": DupFd(self._descriptor), "size": len(self.data)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the memory in the process that was spawned."""
        self._descriptor = state["descriptor"].detach()
        self._map(state["size"])

    def _map(self, size: int) -> None:
        self._map_object = mmap.mmap(self._descriptor, size)
        self.data = memoryview(self._map_object)
        self.words = memoryview(self._map_object).cast("q")


def rounded_up(size: int) -> int:
    """Round up to whole words.

    :param size: bytes.
    :return: bytes, a multiple of 8.
    """
    return -(-size // 8) * 8


class Signal:
    """Wakes another process that waits for it: a counter in the kernel, without a name and without a lock."""

    def __init__(self) -> None:
        """Make one that is not raised."""
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Give the descriptor to wait for; it is readable while the signal is raised."""
        return self._descriptor

    def notify(self) -> None:
        """Wake whoever waits, or will wait."""
        os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Lower it."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        """Let go of it. Closing twice does nothing more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __getstate__(self) -> dict[str, Any]:
        """Say what another process needs; works only while that process is being spawned."""
        return {"descriptor": DupFd(self._descriptor)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take it over in the process that was spawned."""
        self._descriptor = state["descriptor"].detach()


def wait_for_signals(signals: Sequence[Signal], *, seconds: float) -> None:
    """Wait until one of some signals is raised.

    :param signals: the signals.
    :param seconds: how long to wait at most.
    """
    poll = select.poll()  # unlike select, it takes any number of descriptors
    for each in signals:
        poll.register(each.fileno(), select.POLLIN)
    poll.poll(1000.0 * max(0.0, seconds))

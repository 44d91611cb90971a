"""Locks on files that one process holds at a time, and that the kernel releases when it dies, however it dies."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_held: set[int] = set()


class Locked(Exception):
    """Another process holds the lock.

    :ivar holder: which, in words.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock. A forked child does not inherit it.

    :param path: the lock's file; it is made if it is not there, and stays.
    :return: a context in which the lock is held.
    :raises Locked: if another process holds it.
    :raises OSError: if the file cannot be made, or the file system knows no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 256, 0).decode(errors="replace").strip()
            raise Locked(holder or "another process") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        if descriptor in _held:  # not in a forked child, where the number may belong to another file by now
            _held.remove(descriptor)
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Tell whether a process holds a lock.

    :param path: the lock's file. One that does not exist is held by nobody.
    :return: whether.
    :raises OSError: if the file cannot be read, or the file system knows no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _let_go_in_child() -> None:
    # A forked child shares its parent's lock; were it kept, the lock would stay until the last child ends.
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go_in_child)

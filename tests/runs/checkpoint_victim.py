"""A process that saves checkpoints until it dies; :mod:`test_checkpoint_crashes` starts it and kills its children.

It reads orders from its standard input, one a line, and forks a child for each, which is much cheaper than to start
Python anew:

- ``loop <directory>``: the child saves without end; the process id is answered, and its death awaited.
- ``die <n> <directory>``: the child saves a fixed series and dies at the n-th change that it makes to the disk;
  ``died`` is answered, or ``survived`` when the series ended before.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from triax.runs.checkpoints import CheckpointStore

CHANGES = frozenset({"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"})


BEST = 2


def save(*, directory: Path, steps: int, life: int, keep_last: int = 2) -> None:
    replay = np.full(50_000, steps, np.int64)
    CheckpointStore(directory, keep_last=keep_last).save(
        steps=steps,
        parts={"agent": {"weights": np.full((64, 64), steps, np.float32)}, "replay": {"data": replay}},
        counters={"steps": steps, "life": life},
        agent_parts=["agent"],
        score=float(-abs(steps - BEST)),
    )


def save_series(directory: Path) -> None:
    """Save, delete, replace and slim."""
    for steps in (1, 2, 2, 3):
        save(directory=directory, steps=steps, life=0, keep_last=1)


def loop(directory: Path) -> None:
    newest = max(CheckpointStore(directory).steps(), default=0)
    while True:
        newest += 1
        for life in (0, 1):  # the second one replaces the first
            save(directory=directory, steps=newest, life=life)


def die_at(change: int) -> None:
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        # To open a file for reading changes nothing.
        if event in CHANGES and (event != "open" or arguments[2] & os.O_WRONLY):
            count += 1
            if count == change:
                os._exit(9)

    sys.addaudithook(hook)


def main() -> None:
    for line in sys.stdin:
        order, *arguments = line.split()
        child = os.fork()
        if child == 0:
            if order == "loop":
                loop(Path(arguments[0]))
            die_at(int(arguments[0]))
            save_series(Path(arguments[1]))
            os._exit(0)
        if order == "loop":
            print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print("survived" if status == 0 else "died", flush=True)


if __name__ == "__main__":
    main()

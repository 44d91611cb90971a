"""What the scripts of learning results share: seeds side by side, a core each, and files of JSON lines."""

import concurrent.futures
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def for_each_seed(*, seeds: int, jobs: int, work: Callable[[int, list[str]], Path]) -> list[Path]:
    """Work on some seeds at a time.

    :param seeds: how many; 0 to this, less one.
    :param jobs: how many at a time; each has a core for itself if there are several.
    :param work: from a seed, and the beginning of a command that keeps it to its core, to what was made.
    :return: what was made, in the order of the seeds.
    """
    cores = sorted(os.sched_getaffinity(0))
    free: list[list[str]] = [["taskset", "--cpu-list", str(core)] for core in cores[:jobs]] if jobs > 1 else [[]]

    def one(seed: int) -> Path:
        pin = free.pop()
        try:
            return work(seed, pin)
        finally:
            free.append(pin)

    with concurrent.futures.ThreadPoolExecutor(max_workers=len(free)) as pool:
        return list(pool.map(one, range(seeds)))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines.

    :param path: the file.
    :return: its rows.
    """
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a file of JSON lines.

    :param path: the file; its folder is made.
    :param rows: the rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

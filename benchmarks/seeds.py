"""What the scripts of learning results share: seeds side by side, a core each, and files of JSON lines."""

import argparse
import concurrent.futures
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def for_each_seed(*, seeds: Iterable[int], jobs: int, work: Callable[[int, list[str]], Path]) -> list[Path]:
    """Work on some seeds at a time.

    :param seeds: which.
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
        return list(pool.map(one, seeds))


def add_seeds(parser: argparse.ArgumentParser, *, default: int) -> None:
    """Add the options that :func:`seeds_of` reads.

    :param parser: of a command line.
    :param default: how many seeds.
    """
    parser.add_argument("--seeds", type=int, default=default, help=f"how many seeds (default: {default})")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them; the others follow (default: 0)")


def seeds_of(arguments: argparse.Namespace) -> range:
    """Say which seeds are asked for.

    :param arguments: of a command line with the options of :func:`add_seeds`.
    :return: the seeds.
    """
    return range(arguments.first_seed, arguments.first_seed + arguments.seeds)


def seed_options(seeds: range) -> list[str]:
    """Say the options of :func:`add_seeds` that ask for given seeds.

    :param seeds: which.
    :return: parts of a command.
    """
    first = ["--first-seed", str(seeds.start)] if seeds.start else []
    return ["--seeds", str(len(seeds)), *first]


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

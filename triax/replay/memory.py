"""How much memory a replay takes, computed from the specs before anything is allocated.

The rings are allocated at once but committed by the operating system only as they fill, so a replay that does not fit
would be noticed hours later, by being killed. It is refused at the start instead.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from triax.replay.config import ReplayConfig
from triax.spaces import SpaceSpec

REWARD_BYTES = 4
FLAG_BYTES = 1
TASK_BYTES = 4
VERSION_BYTES = 4


class ReplayTooLarge(MemoryError):
    """A replay needs more memory than there is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplaySize:
    """What a replay takes.

    Each stream has one row more than its share of the capacity: the newest observation, in which no action was taken
    yet, has a row too.

    :ivar capacity: rows that are kept, over all streams: of steps, and of episodes' final observations.
    :ivar streams: rings side by side, one an environment.
    :ivar rows_per_stream: rows of each ring.
    :ivar row_bytes: bytes of one row.
    :ivar most_rows: more will never be written, over all streams; None where that is not known.
    """

    capacity: int
    streams: int
    rows_per_stream: int
    row_bytes: int
    most_rows: int | None = None

    @property
    def bytes(self) -> int:
        """All bytes that will ever be written."""
        rows = self.streams * self.rows_per_stream
        if self.most_rows is not None:
            rows = min(rows, self.most_rows + self.streams)
        return rows * self.row_bytes

    def describe(self) -> str:
        """Say it in one line.

        :return: for example ``replay: 1,000,000 rows × 152 B = 145 MiB``.
        """
        rows = self.capacity if self.most_rows is None else min(self.capacity, self.most_rows)
        return f"replay: {rows:,} rows × {self.row_bytes:,} B = {format_bytes(self.bytes)}"

    def require(self, *, available: int) -> None:
        """Refuse what does not fit.

        :param available: bytes that may be used.
        :raises ReplayTooLarge: if the replay needs more, with the largest capacity that fits.
        """
        if self.bytes <= available:
            return
        largest = max(0, (available // (self.streams * self.row_bytes) - 1) * self.streams)
        fits = (
            f"set capacity to {largest:,}, the largest that fits" if largest else "no capacity fits: use smaller rows"
        )
        raise ReplayTooLarge(
            f"the replay does not fit into memory: capacity={self.capacity:,} needs {format_bytes(self.bytes)} "
            f"({self.row_bytes:,} B a row), and {format_bytes(available)} are available. Remedy: {fits}; or raise "
            "memory_limit_gib if there is more."
        )


def rows_per_stream(*, capacity: int, streams: int) -> int:
    """Divide the capacity among the streams, and add the row of the newest observation.

    :param capacity: rows over all streams.
    :param streams: rings side by side.
    :return: rows of each ring.
    """
    return math.ceil(capacity / streams) + 1


def replay_size(
    *,
    config: ReplayConfig,
    observation_spec: SpaceSpec,
    action_spec: SpaceSpec,
    extras_spec: Mapping[str, SpaceSpec] | None = None,
    streams: int,
    most_rows: int | None = None,
) -> ReplaySize:
    """Compute what a replay will take.

    :param config: the replay's config.
    :param observation_spec: the observations.
    :param action_spec: the actions.
    :param extras_spec: what is stored beside each action.
    :param streams: environments over all workers.
    :param most_rows: more will never be written, over all streams; None where that is not known.
    :return: the size, without allocating anything.
    """
    specs = [observation_spec, action_spec, *(extras_spec or {}).values()]
    stored = sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for spec in specs for leaf in spec.leaves())
    return ReplaySize(
        capacity=config.capacity,
        streams=streams,
        rows_per_stream=rows_per_stream(capacity=config.capacity, streams=streams),
        row_bytes=stored + REWARD_BYTES + FLAG_BYTES + TASK_BYTES + VERSION_BYTES,
        most_rows=most_rows,
    )


def replay_bytes(
    *,
    config: ReplayConfig,
    observation_spec: SpaceSpec,
    action_spec: SpaceSpec,
    extras_spec: Mapping[str, SpaceSpec] | None = None,
    streams: int,
) -> int:
    """Compute how many bytes a replay will take; see :func:`replay_size`.

    :param config: the replay's config.
    :param observation_spec: the observations.
    :param action_spec: the actions.
    :param extras_spec: what is stored beside each action.
    :param streams: environments over all workers.
    :return: bytes.
    """
    return replay_size(
        config=config,
        observation_spec=observation_spec,
        action_spec=action_spec,
        extras_spec=extras_spec,
        streams=streams,
    ).bytes


def available_bytes(*, root: Path = Path("/")) -> int | None:
    """Ask what memory is left: the machine's, and that of the control groups this process is in.

    :param root: where ``proc`` and ``sys`` are.
    :return: the smallest of these, in bytes; None where the system does not say.
    """
    figures = [_machine_bytes(root=root), *_control_group_bytes(root=root)]
    known = [figure for figure in figures if figure is not None]
    return min(known) if known else None


def format_bytes(count: int) -> str:
    """Write a number of bytes for people.

    :param count: bytes.
    :return: for example ``145 MiB``.
    """
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.3g} {units[0]}" if value < 1000 else f"{value:.0f} {units[0]}"


def _machine_bytes(*, root: Path) -> int | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
    except (OSError, ValueError, IndexError):
        return None


def _control_group_bytes(*, root: Path) -> list[int | None]:
    """What the control groups leave, from the process's own group up to the top (version 2, and version 1)."""
    found: list[int | None] = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            top, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
            cache = "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        folder = top / group.strip("/")
        # Inside a container the group's path may not exist; the container's own limit then stands at the top.
        for place in (folder, *folder.parents):
            left = _difference(limit=place / limit, usage=place / usage)
            # Files that were read or written and are kept in memory for a while make room for what needs it.
            found.append(None if left is None else left + _figure(place / "memory.stat", name=cache))
            if place == top:
                break
    return found


def _difference(*, limit: Path, usage: Path) -> int | None:
    try:
        return max(0, int(limit.read_text()) - int(usage.read_text()))
    except (OSError, ValueError):  # no such group, or "max": no limit
        return None


def _figure(path: Path, *, name: str) -> int:
    figures = (line.split() for line in _lines(path))
    return next((int(words[1]) for words in figures if len(words) == 2 and words[0] == name), 0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []

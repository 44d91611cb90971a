"""What goes into a checkpoint, how it is written, and what is let go of when it is safe."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from triax.runs.arrays import LeafType, Tree, encode_leaves, leaf_type, named_leaves
from triax.runs.files import JSON, encode_json, write_synced
from triax.runs.folders import CheckpointFolders, remove_unlisted
from triax.runs.manifest import COUNTERS_NAME, Manifest, UnsoundFile, part_file, read_manifest
from triax.runs.retention import plan_retention

_PART_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class CheckpointContent:
    """What a checkpoint is to hold; checked when it is made, before a byte is written.

    :param steps: the environment steps after which the checkpoint is made.
    :param parts: what it consists of, by name.
    :param counters: numbers and words beside the arrays.
    :param agent_parts: the parts that acting needs.
    :param score: what "best" goes by, higher is better.
    :param complete: whether training can go on from it.
    :param needs: the checkpoints of policies that are to be evaluated yet when training goes on from it.
    :raises TypeError: if a leaf or a counter cannot be stored.
    :raises ValueError: if a name is not fit for a file, or the agent has no parts.
    """

    steps: int
    parts: Mapping[str, Tree]
    counters: Mapping[str, JSON]
    agent_parts: Collection[str]
    score: float | None
    complete: bool = True
    needs: Collection[int] = ()

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"a checkpoint after {self.steps} steps")
        for part in self.parts:
            if not _PART_NAME.fullmatch(part):
                raise ValueError(f"a part cannot be called {part!r}: letters, digits, '_' and '-' only")
        agent, parts = sorted(self.agent_parts), sorted(self.parts)
        if not agent or not set(agent) <= set(parts):
            raise ValueError(f"the agent's parts {agent} have to be one or more of the parts {parts}")
        encode_json(self.counters, path="counters")
        self._leaf_types()

    @property
    def size(self) -> int:
        """How many bytes its arrays take."""
        return sum(leaf.size for leaf in self._leaf_types())

    def write(self, folder: Path) -> None:
        """Write all files into a folder, the manifest last, and wait until the disk has them.

        :param folder: the folder, empty.
        :raises OSError: if the disk is full or cannot be written.
        """
        document = encode_json(self.counters, path="counters")
        files = {COUNTERS_NAME: write_synced(path=folder / COUNTERS_NAME, chunks=[document])}
        for part, tree in self.parts.items():
            name = part_file(part)
            files[name] = write_synced(path=folder / name, chunks=encode_leaves(named_leaves(tree)))
        Manifest(
            steps=int(self.steps),
            score=finite_score(self.score),
            parts=tuple(self.parts),
            agent_parts=tuple(part for part in self.parts if part in self.agent_parts),
            complete=self.complete,
            needs=tuple(sorted(self.needs)),
            files=files,
        ).write(folder)

    def _leaf_types(self) -> list[LeafType]:
        return [
            leaf_type(leaf, name=f"{part}: {name}")
            for part, tree in self.parts.items()
            for name, leaf in named_leaves(tree).items()
        ]


def finite_score(score: float | None) -> float | None:
    """Take a score as it is stored.

    :param score: what "best" goes by.
    :return: the score; None if it is none or not finite.
    """
    return float(score) if score is not None and math.isfinite(score) else None


def let_go(*, folders: CheckpointFolders, keep_last: int) -> None:
    """Slim and delete the checkpoints that need not be kept.

    :param folders: the checkpoints.
    :param keep_last: how many of the newest are kept in full.
    :raises OSError: if a manifest cannot be written or a file not be removed.
    """
    manifests: dict[int, Manifest] = {}
    for steps, folder in folders.all().items():
        try:
            manifests[steps] = read_manifest(folder)
        except UnsoundFile:
            continue  # A damaged checkpoint is the user's to look at; it neither counts nor goes.
    retention = plan_retention(manifests.values(), keep_last=keep_last)
    for steps in retention.slim:
        # The manifest first: after a kill between the two, files remain that nobody lists, and not the reverse.
        manifests[steps].slimmed().write(folders.of(steps))
        remove_unlisted(folders.of(steps))
    for steps in retention.delete:
        folders.delete(steps)

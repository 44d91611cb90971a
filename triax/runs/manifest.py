"""The manifest of a checkpoint: which files belong to it, and the checksums that they had when they were written.

The manifest is the truth. A file that it does not list does not exist; one that it lists and that differs makes the
checkpoint damaged. It is the last file to be written into a checkpoint, and it carries a checksum of itself.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triax.runs.files import FileSeal, seal_of, write_atomically

MANIFEST_NAME = "manifest.json"
COUNTERS_NAME = "counters.json"
PART_SUFFIX = ".safetensors"
_FORMAT = 2


class UnsoundFile(Exception):
    """A file of a checkpoint is not what was written.

    :param path: the file.
    :param reason: what is wrong with it.
    """

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a checkpoint holds.

    :param steps: the environment steps after which it was made.
    :param score: what "best" goes by, higher is better; ``None`` if it has none.
    :param parts: the names of the parts that it holds.
    :param agent_parts: those of the parts that acting needs, and that are kept longest.
    :param complete: whether it still holds every part that it was written with, so that training can go on from it.
    :param files: the files that belong to it, by name, this one apart.
    :param needs: the checkpoints of policies that are to be evaluated yet when training goes on from this one.
    """

    steps: int
    score: float | None
    parts: tuple[str, ...]
    agent_parts: tuple[str, ...]
    complete: bool
    files: Mapping[str, FileSeal]
    needs: tuple[int, ...] = ()

    def slimmed(self) -> "Manifest":
        """Describe the checkpoint without the parts that acting does not need.

        :return: the manifest of what remains.
        """
        kept = {part_file(part) for part in self.agent_parts} | {COUNTERS_NAME}
        files = {name: seal for name, seal in self.files.items() if name in kept}
        return replace(self, parts=self.agent_parts, complete=self.parts == self.agent_parts, files=files)

    def write(self, folder: Path) -> None:
        """Write the manifest into a checkpoint's folder, atomically.

        :param folder: the folder.
        :raises OSError: if it cannot be written.
        """
        body = {
            "format": _FORMAT,
            "steps": self.steps,
            "score": self.score,
            "complete": self.complete,
            "parts": list(self.parts),
            "agent_parts": list(self.agent_parts),
            "needs": list(self.needs),
            "files": {name: {"size": seal.size, "sha256": seal.sha256} for name, seal in self.files.items()},
        }
        write_atomically(path=folder / MANIFEST_NAME, content=_sealed(body))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a checkpoint and verify it against itself.

    :param folder: the checkpoint's folder.
    :return: the manifest.
    :raises UnsoundFile: if it is missing, damaged or of a format that this version does not know.
    """
    path = folder / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnsoundFile(path=path, reason=_unreadable(error)) from error
    try:
        body = json.loads(content)
        del body["seal"]
        # Compared as bytes: a flip in a blank or in the checksum itself counts, too.
        sound = _sealed(body) == content
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnsoundFile(path=path, reason="is not the manifest that was written") from error
    if not sound:
        raise UnsoundFile(path=path, reason="differs from its own checksum")
    if body["format"] != _FORMAT:
        raise UnsoundFile(path=path, reason=f"has format {body['format']}, and this version reads format {_FORMAT}")
    return Manifest(
        steps=body["steps"],
        score=body["score"],
        parts=tuple(body["parts"]),
        agent_parts=tuple(body["agent_parts"]),
        complete=body["complete"],
        needs=tuple(body.get("needs", ())),
        files={name: FileSeal(size=seal["size"], sha256=seal["sha256"]) for name, seal in body["files"].items()},
    )


def verify_file(*, folder: Path, manifest: Manifest, name: str) -> None:
    """Compare a file with what the manifest says of it.

    :param folder: the checkpoint's folder.
    :param manifest: its manifest.
    :param name: the file, one that the manifest lists.
    :raises UnsoundFile: if it is missing, unreadable or different.
    """
    path, expected = folder / name, manifest.files[name]
    try:
        found = seal_of(path)
    except OSError as error:
        raise UnsoundFile(path=path, reason=_unreadable(error)) from error
    if found.size != expected.size:
        raise UnsoundFile(path=path, reason=f"has {found.size:,} bytes instead of {expected.size:,}")
    if found.sha256 != expected.sha256:
        raise UnsoundFile(path=path, reason="differs from its checksum")


def part_file(part: str) -> str:
    """Name the file of a part.

    :param part: the part's name.
    :return: the name of its file.
    """
    return part + PART_SUFFIX


def _sealed(body: Mapping[str, Any]) -> bytes:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**body, "seal": digest}, indent=2) + "\n").encode()


def _unreadable(error: OSError) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"

"""Files that are whole or absent: written aside, synced to the disk, renamed into place; and strict JSON."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""A value that JSON can hold."""

_READ_SIZE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FileSeal:
    """What identifies the content of a file.

    :param size: its length in bytes.
    :param sha256: the SHA-256 of its content, in hexadecimal.
    """

    size: int
    sha256: str


def write_synced(*, path: Path, chunks: Iterable[bytes | memoryview]) -> FileSeal:
    """Write a new file and wait until the disk has it.

    :param path: the file to write.
    :param chunks: its content, in pieces, which are written and forgotten one after the other.
    :return: its length and checksum, computed from the pieces and not from what the disk made of them.
    :raises OSError: if the disk is full or cannot be written.
    """
    digest = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return FileSeal(size=size, sha256=digest.hexdigest())


def seal_of(path: Path) -> FileSeal:
    """Read a file and compute its length and checksum.

    :param path: the file to read.
    :return: the seal.
    :raises OSError: if it cannot be read.
    """
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_READ_SIZE):
            digest.update(chunk)
            size += len(chunk)
    return FileSeal(size=size, sha256=digest.hexdigest())


def sync_directory(path: Path) -> None:
    """Wait until the disk has the names in a directory, not only the content of its files.

    :param path: the directory.
    :raises OSError: if it cannot be synced.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(*, path: Path, content: bytes) -> None:
    """Write a file so that, after a kill or a power cut at any moment, it is the old one or the new one.

    :param path: the file to write; an existing one is replaced.
    :param content: its content.
    :raises OSError: if it cannot be written; the old file is then untouched.
    """
    aside = aside_of(path)
    try:
        write_synced(path=aside, chunks=[content])
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def aside_of(path: Path) -> Path:
    """Name the file that is written before it is renamed to ``path``: hidden, beside it, with the same suffix.

    :param path: the final file.
    :return: the file to write.
    """
    return path.with_name(f".{path.stem}.writing{path.suffix}")


def encode_json(document: Mapping[str, JSON], *, path: str) -> bytes:
    """Write a document as JSON that reads back as exactly the same document.

    Python writes a tuple as a list, an integer key as a string and a NumPy number not at all; the first two would come
    back as something else, so all are refused. NaN and infinities are kept, in the spelling that Python reads.

    :param document: the document.
    :param path: what the document is called in messages.
    :return: UTF-8 text, indented, with a final newline.
    :raises TypeError: if a value would not come back as it is.
    """
    _require_json(document, path=path)
    return (json.dumps(document, indent=2) + "\n").encode()


def read_json_object(path: Path) -> dict[str, JSON]:
    """Read a file that holds one JSON object.

    :param path: the file.
    :return: the object.
    :raises OSError: if it cannot be read.
    :raises ValueError: if it is not JSON, or not an object.
    """
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError(f"it holds {type(document).__name__} instead of an object")
    return cast(dict[str, JSON], document)


def _require_json(value: object, *, path: str) -> None:
    if value is None or type(value) in (bool, int, float, str):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{path}: the key {key!r} is not a string")
            _require_json(item, path=f"{path}[{key!r}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _require_json(item, path=f"{path}[{index}]")
    else:
        raise TypeError(f"{path}: {value!r} of type {type(value).__name__} is not a JSON value")

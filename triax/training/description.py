"""Configurations as JSON: how an experiment is stored with its run, and read back.

Dataclasses and callables are stored by their importable name. Reading back never runs code that lies in the run
directory: a *resolver* decides which names may be looked up, and where.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from triax.runs import RunDirectory, RunDirectoryError
from triax.training.importing import importable_name

FORMAT = 1
"""Of experiment.json."""

WHOLE = ("experiment", "machine", "seed", "sources", "spec")
"""What experiment.json holds at least."""

Description: TypeAlias = Any
"""JSON values."""

Resolver: TypeAlias = Callable[[str], Any]
"""From ``module:qualified name`` to the thing, or an error."""


@runtime_checkable
class Pinnable(Protocol):
    """A configuration that names something which can become something else, such as the newest checkpoint of a run."""

    def pinned(self) -> Any:
        """Name what that is now.

        :return: the configuration that is stored in the place of this one.
        """


class CannotDescribe(ValueError):
    """A value of an experiment cannot be stored, so that the run could not be resumed."""


def read_document(run: RunDirectory) -> dict[str, Any]:
    """Read what a run is, with all that loading its agent or going on with it needs.

    :param run: the run's directory.
    :return: the document.
    :raises RunDirectoryError: if it cannot be read, is of another format, or is not whole.
    """
    document: dict[str, Any] = run.document()
    if document.get("format") != FORMAT:
        raise RunDirectoryError(
            f"{run.experiment_path} has the format {document.get('format')}, and this version of Triax reads {FORMAT}"
        )
    missing = [name for name in WHOLE if name not in document]
    if missing:
        raise RunDirectoryError(f"{run.experiment_path} is not whole: it has no {', '.join(missing)}")
    return document


def pinned(value: Any) -> Any:
    """Name what a configuration's parts are now, wherever one names something that can become something else.

    :param value: a configuration.
    :return: the same, with :meth:`Pinnable.pinned` in the place of those that have it.
    """
    if isinstance(value, list | tuple):
        parts = [pinned(part) for part in value]
        return type(value)(parts) if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    if isinstance(value, Mapping):
        named = {key: pinned(part) for key, part in value.items()}
        return named if any(named[key] is not value[key] for key in named) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = value.pinned() if isinstance(value, Pinnable) else value
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        changed = {name: new for name, old in fields.items() if (new := pinned(old)) is not old}
        return dataclasses.replace(value, **changed) if changed else value
    return value


def describe(value: Any, *, path: str = "experiment") -> Description:
    """Turn a configuration into JSON values.

    :param value: dataclasses, tuples, lists, dicts, numbers, strings, paths, and callables that can be imported.
    :param path: names the value in errors.
    :return: JSON values.
    :raises CannotDescribe: if a value cannot be stored, with its path and the remedy.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, Path):
        return {"$path": str(value)}
    if isinstance(value, list | tuple):
        parts = [describe(part, path=f"{path}[{index}]") for index, part in enumerate(value)]
        return {"$list": parts} if isinstance(value, list) else parts
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) and not key.startswith("$") for key in value):
            raise CannotDescribe(f"{path}: the keys of a mapping must be strings that do not begin with $.")
        return {key: describe(part, path=f"{path}[{key!r}]") for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = value.pinned() if isinstance(value, Pinnable) else value
        fields = {
            field.name: describe(getattr(value, field.name), path=f"{path}.{field.name}")
            for field in dataclasses.fields(value)
            if field.init
        }
        return {"$type": _name(type(value), path=path), "fields": fields}
    if isinstance(value, functools.partial):
        return {
            "$partial": describe(value.func, path=f"{path}.func"),
            "arguments": describe(value.args, path=f"{path}.args"),
            "keywords": describe(value.keywords, path=f"{path}.keywords"),
        }
    if callable(value):
        return {"$import": _name(value, path=path)}
    raise CannotDescribe(
        f"{path}: {value!r} of type {type(value).__name__} cannot be stored with the run; use Python's "
        "own numbers, strings, tuples, lists, dicts, frozen dataclasses, or functions and classes that can be imported."
    )


def restore(description: Description, *, resolve: Resolver) -> Any:
    """Read back what :func:`describe` wrote.

    :param description: JSON values.
    :param resolve: looks names up.
    :return: the configuration; a sequence is a list where it was one, and a tuple elsewhere.
    :raises ValueError: if a dataclass refuses its fields, or does not have one that was saved.
    """
    read = functools.partial(restore, resolve=resolve)
    if isinstance(description, list):
        return tuple(read(part) for part in description)
    if not isinstance(description, dict):
        return description
    if "$float" in description:
        return float(description["$float"])
    if "$list" in description:
        return [read(part) for part in description["$list"]]
    if "$path" in description:
        return Path(description["$path"])
    if "$import" in description:
        return resolve(description["$import"])
    if "$partial" in description:
        return functools.partial(
            read(description["$partial"]), *read(description["arguments"]), **read(description["keywords"])
        )
    if "$type" in description:
        kind = resolve(description["$type"])
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise ValueError(f"{description['$type']} is not a dataclass.")
        fields = {name: read(value) for name, value in description["fields"].items()}
        unknown = sorted(fields.keys() - {field.name for field in dataclasses.fields(kind) if field.init})
        if unknown:
            raise ValueError(
                f"{kind.__name__} has no field {unknown[0]!r}, which was saved as {fields[unknown[0]]!r}: the run was "
                "made with another version of this class. Use that version, or take the field out of experiment.json."
            )
        return kind(**fields)
    return {key: read(value) for key, value in description.items()}


def named_modules(description: Description) -> set[str]:
    """List the modules that a description names.

    :param description: JSON values.
    :return: names of modules.
    """
    if isinstance(description, list):
        return set().union(*map(named_modules, description)) if description else set()
    if not isinstance(description, dict):
        return set()
    own = {description[key].split(":")[0] for key in ("$type", "$import") if key in description}
    return own.union(*(named_modules(value) for value in description.values()))


def _name(value: Any, *, path: str) -> str:
    try:
        return importable_name(value)
    except ValueError as error:
        raise CannotDescribe(f"{path}: {error}") from None

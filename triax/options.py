"""How options of the command line are read whose types tyro does not know, and which fields are no options."""

import ast
import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import tyro

from triax.learners.terms import LinearSchedule, Scheduled
from triax.networks.noise import ExplorationNoise, PinkNoise, WhiteNoise

Info: TypeAlias = tyro.constructors.PrimitiveTypeInfo
Reading: TypeAlias = tyro.constructors.PrimitiveConstructorSpec[Any]

TYPES = tyro.constructors.ConstructorRegistry()
"""The rules of this file."""

CODE_ONLY = (
    "--environment.factory",
    "--environment.wrappers",
    "--relations",
    "--load",
    "--callbacks",
    "--replay.sampler",
    "--learner.further-terms",
    "--learner.*optimizer.parts",
)
"""Patterns of fields that hold functions, classes or lists of objects, which are written in Python alone."""


def code_only(words: Iterable[str]) -> str | None:
    """Find an option that is none.

    :param words: of a command line.
    :return: the first that names a field which is set in code alone.
    """
    names = (word.partition("=")[0].replace("_", "-") for word in words)
    return next((name for name in names for pattern in CODE_ONLY if fnmatch.fnmatchcase(name, pattern)), None)


@TYPES.primitive_rule
def _scheduled(info: Info) -> Reading | None:
    """Read a number, or a schedule as INITIAL:FINAL:UPDATES."""
    if info.type != Scheduled:
        return None

    def read(words: list[str]) -> Scheduled:
        initial, *rest = words[0].split(":")
        if not rest:
            return float(initial)
        if len(rest) != 2:
            raise ValueError(f"{words[0]!r} is neither a number nor a schedule, INITIAL:FINAL:UPDATES")
        final, updates = rest
        return LinearSchedule(initial=float(initial), final=float(final), updates=int(updates))

    def write(value: Scheduled) -> list[str]:
        return [f"{value.initial}:{value.final}:{value.updates}" if isinstance(value, LinearSchedule) else str(value)]

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT|INITIAL:FINAL:UPDATES",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, float | int | LinearSchedule),
        str_from_instance=write,
    )


@TYPES.primitive_rule
def _noise(info: Info) -> Reading | None:
    """Read exploration noise by its name, pink noise with its number of octaves."""
    if info.type != ExplorationNoise:
        return None

    def read(words: list[str]) -> ExplorationNoise:
        match words[0].split(":"):
            case ["white"]:
                return WhiteNoise()
            case ["pink"]:
                return PinkNoise()
            case ["pink", octaves]:
                return PinkNoise(octaves=int(octaves))
        raise ValueError(f"{words[0]!r} is no noise; write white, pink, or pink:OCTAVES such as pink:8.")

    def write(value: ExplorationNoise) -> list[str]:
        return [f"pink:{value.octaves}" if isinstance(value, PinkNoise) else "white"]

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="white|pink|pink:OCTAVES",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, WhiteNoise | PinkNoise),
        str_from_instance=write,
    )


@TYPES.primitive_rule
def _arguments(info: Info) -> Reading | None:
    """Read keyword arguments: each a name, and a value as Python writes it."""
    if info.type != Mapping[str, Any]:
        return None

    def read(words: list[str]) -> dict[str, Any]:
        if len(words) % 2:
            raise ValueError(f"KEY VALUE pairs are wanted, and {words[-1]!r} has no value.")
        return {key: literal(value) for key, value in zip(words[::2], words[1::2], strict=True)}

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="[KEY VALUE [KEY VALUE ...]]",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, Mapping),
        str_from_instance=lambda value: [word for key, part in value.items() for word in (key, repr(part))],
    )


def literal(word: str) -> Any:
    """Read a value that can be stored as JSON.

    :param word: a number, True, False, None, a text in quotes, or a list, tuple or dict of these, as Python writes it.
    :return: the value.
    :raises ValueError: if it is none of these.
    """
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        value = ...
    if not _is_data(value):
        raise ValueError(
            f"{word} is no value as Python writes it; write a number, True, False, None, a text in quotes that the "
            """shell leaves ('"text"'), or a tuple, list or dict of these."""
        )
    return value


def _is_data(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_data(part) for key, part in value.items())
    return value is None or isinstance(value, bool | int | float | str)

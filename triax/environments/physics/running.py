"""Exchanging the numbers of a MuJoCo model that is in use.

The model that an environment holds stays the same object, so that its renderer, its data and all that refers to it stay
valid. What differs between two compiled models (derived numbers such as inertias included) is written into it, entry by
entry; what the environment itself changed in its model stays as it is.
"""

import functools
import re
from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from triax.environments.physics.appliers import PhysicsOverwritten

Numbers = dict[str, npt.NDArray[Any]]
"""A model's numbers by name; those of its options and statistics are called "opt.gravity" and so on."""

_LEFT_OUT = ("_", "tex_", "names", "paths", "text_data")
"""What physics does not touch. Textures are compiled small, to save time."""

_SIZES_LEFT_OUT = frozenset({"ntexdata", "nbuffer", "nnames", "npaths"})


class ModelDiffers(ValueError):
    """Two models are not the same but for their numbers."""


def read_numbers(model: Any) -> Numbers:
    """Read a model's numbers.

    :param model: a ``mujoco.MjModel``.
    :return: arrays; those of the model itself, where it has arrays.
    """
    found: Numbers = {}
    for prefix, holder in (("", model), ("opt.", model.opt), ("stat.", model.stat)):
        kind: Any = type(holder)
        for name in _array_names(kind):
            value = getattr(holder, name)
            if isinstance(value, np.ndarray):
                if value.size:
                    found[f"{prefix}{name}"] = value
            elif prefix and isinstance(value, int | float):
                found[f"{prefix}{name}"] = np.array([value])
    return found


@functools.cache
def _array_names(kind: Hashable) -> tuple[str, ...]:
    return tuple(name for name in dir(kind) if not name.startswith(_LEFT_OUT) and name not in _size_names(kind))


@functools.cache
def _size_names(kind: Hashable) -> tuple[str, ...]:
    """List the sizes, which MuJoCo names by n and what is counted."""
    return tuple(name for name in dir(kind) if re.fullmatch("n[a-zA-Z]+", name) and name not in _SIZES_LEFT_OUT)


class RunningModel:
    """A model that is in use.

    :param model: the ``mujoco.MjModel`` of an environment.
    :param compiled: the one that its specification gives.
    :raises ModelDiffers: if these are not the same model.
    """

    def __init__(self, *, model: Any, compiled: Any) -> None:
        self._model = model
        self._own = {name: value.copy() for name, value in read_numbers(model).items()}
        self._compiled = read_numbers(compiled)
        self._sizes = _sizes(compiled)
        self._written: dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]] = {}
        self._check_sizes(_sizes(model))

    def exchange(self, compiled: Any) -> None:
        """Take over what differs in another model from the compiled one.

        :param compiled: a ``mujoco.MjModel`` of the same specification with other numbers.
        :raises ModelDiffers: if its structure is another one.
        """
        self._check_sizes(_sizes(compiled))
        # By name: most of a model's arrays are empty, and the structure has just been seen to be the same.
        wanted = {name: np.atleast_1d(getattr(*_place(compiled, name))) for name in self._compiled}
        different = differences(wanted, self._compiled)
        for name in {*different, *self._written}:
            now = different.get(name, np.zeros(self._own[name].shape, np.bool_))
            before = self._written[name][0] if name in self._written else now
            self._write(name, entries=now | before, values=np.where(now, wanted[name], self._own[name]))
        self._written = {name: (entries, wanted[name].copy()) for name, entries in different.items()}

    def check(self) -> None:
        """Find out whether what was taken over is still there.

        :raises PhysicsOverwritten: if not.
        """
        for name, (entries, values) in self._written.items():
            if not np.array_equal(np.atleast_1d(getattr(*_place(self._model, name)))[entries], values[entries]):
                raise PhysicsOverwritten(
                    f"the environment sets {name!r} of its MuJoCo model itself when it is reset, so that what was "
                    "sampled is lost. Leave the parameters that concern it out of the table, or set them in the "
                    "environment."
                )

    def _check_sizes(self, sizes: dict[str, int]) -> None:
        wrong = sorted(name for name, size in self._sizes.items() if sizes[name] != size)
        if wrong:
            raise ModelDiffers(
                f"the running MuJoCo model has another {wrong[0]} ({sizes[wrong[0]]} against {self._sizes[wrong[0]]}): "
                "either the environment changed the structure of its model after loading it, or a parameter did. Only "
                "numbers can be randomised."
            )

    def _write(self, name: str, *, entries: npt.NDArray[np.bool_], values: npt.NDArray[Any]) -> None:
        holder, attribute = _place(self._model, name)
        current = getattr(holder, attribute)
        if isinstance(current, np.ndarray):
            current[entries] = values[entries]
        else:
            setattr(holder, attribute, values.item())


def _place(model: Any, name: str) -> tuple[Any, str]:
    """Find the object and the attribute that a name stands for."""
    prefix, _, attribute = name.rpartition(".")
    return (getattr(model, prefix) if prefix else model), attribute


def _sizes(model: Any) -> dict[str, int]:
    kind: Any = type(model)
    return {name: value for name in _size_names(kind) if isinstance(value := getattr(model, name), int)}


def differences(left: Numbers, right: Numbers) -> dict[str, npt.NDArray[np.bool_]]:
    """Compare the numbers of two models.

    :param left: those of one.
    :param right: those of the other, of the same structure.
    :return: where they differ, for those that do. NaN equals NaN.
    """
    found = {}
    for name, value in left.items():
        other = right[name]
        # Most are the same, and their bytes say so fastest.
        if value.tobytes() == other.tobytes():
            continue
        entries = value != other
        if value.dtype.kind == "f":
            entries &= ~(np.isnan(value) & np.isnan(other))
        if np.any(entries):
            found[name] = np.asarray(entries)
    return found

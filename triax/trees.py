"""Dataclasses that are JAX pytrees, and the few operations on trees that the project needs.

Everything that travels through ``jit``, ``scan`` and ``vmap`` is a :func:`tree_dataclass`. Its constructor may be
checked (shapes, types); the copies that JAX makes while it transforms are not, since JAX puts tracers, axis numbers and
``None`` in place of arrays.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar, cast, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

Tree: TypeAlias = Any
"""A pytree of arrays: an array, or dicts, tuples and tree dataclasses of trees."""

_Class = TypeVar("_Class")
_T = TypeVar("_T")


def static_field(**options: Any) -> Any:
    """Declare a field of a tree dataclass that is configuration: hashable, and not traced by JAX.

    :param options: what :func:`dataclasses.field` takes.
    :return: the field.
    """
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field, static_field))
def tree_dataclass(cls: type[_Class]) -> type[_Class]:
    """Make a frozen, keyword-only dataclass that JAX treats as a pytree.

    :param cls: the class to decorate.
    :return: the dataclass, registered with JAX.
    """
    made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(cast(Any, made))
    dynamic = tuple(field.name for field in fields if not field.metadata.get("static", False))
    static = tuple(field.name for field in fields if field.metadata.get("static", False))

    def flatten_with_keys(instance: Any) -> tuple[tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
        children = tuple((jax.tree_util.GetAttrKey(name), getattr(instance, name)) for name in dynamic)
        return children, tuple(getattr(instance, name) for name in static)

    def flatten(instance: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(instance, name) for name in dynamic), tuple(getattr(instance, name) for name in static)

    def unflatten(auxiliary: tuple[Any, ...], children: Any) -> _Class:
        # Not through the constructor: JAX unflattens with placeholders, which a checked constructor would refuse.
        instance = object.__new__(made)
        for name, value in zip(dynamic, children, strict=True):
            object.__setattr__(instance, name, value)
        for name, value in zip(static, auxiliary, strict=True):
            object.__setattr__(instance, name, value)
        return instance

    jax.tree_util.register_pytree_with_keys(made, flatten_with_keys, unflatten, flatten)
    return made


def replace(instance: _T, **changes: Any) -> _T:
    """Copy a dataclass with some fields changed.

    :param instance: the dataclass instance.
    :param changes: the fields to change.
    :return: the copy.
    """
    return cast(_T, dataclasses.replace(cast(Any, instance), **changes))


def tree_map(function: Callable[..., Any], tree: _T, *rest: Any) -> _T:
    """Apply a function to the leaves, typed as returning a tree of the same kind.

    :param function: takes one leaf of each tree.
    :param tree: the first tree, whose structure the result has.
    :param rest: trees of the same structure.
    :return: the tree of results.
    """
    return cast(_T, jax.tree.map(function, tree, *rest))


def tree_select(*, where: Any, true: _T, false: _T) -> _T:
    """Choose between two trees along their leading axes.

    :param where: booleans of the leading axes, shape [...].
    :param true: leaves of shape [..., *rest], taken where ``where`` holds.
    :param false: leaves of the same shapes, taken elsewhere.
    :return: the chosen tree.
    """

    def select(a: Any, b: Any) -> Any:
        a, b = jnp.asarray(a), jnp.asarray(b)
        return jnp.where(jnp.reshape(where, where.shape + (1,) * (a.ndim - where.ndim)), a, b)

    return tree_map(select, true, false)


def leaves_by_path(tree: Tree) -> dict[str, Any]:
    """List the leaves of a tree by their paths, such as ``actor/torso/layers/0/kernel``.

    :param tree: a tree of arrays.
    :return: the leaves, in the tree's order.
    """
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def path_name(path: Any) -> str:
    """Write a path of JAX's, as :func:`jax.tree_util.tree_leaves_with_path` gives it.

    :param path: the keys.
    :return: their names, with / between them.
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def is_within(*, path: str, part: str) -> bool:
    """Say whether a leaf belongs to a part of its tree.

    :param path: of the leaf.
    :param part: the part's path; empty for the whole tree.
    :return: whether it does.
    """
    return not part or path == part or path.startswith(f"{part}/")


def part_names(paths: Iterable[str], *, depth: int = 2) -> str:
    """Name the parts of a tree, for messages.

    :param paths: of its leaves.
    :param depth: how far down.
    :return: the parts, with commas between them.
    """
    return ", ".join(dict.fromkeys("/".join(path.split("/")[:depth]) for path in paths)) or "nothing"


def to_numpy(tree: _T) -> _T:
    """Bring a tree to the host as NumPy arrays of its own (no views of device memory).

    A view of a buffer that is later donated would silently disable the donation, hence the copy.

    :param tree: a tree of arrays.
    :return: the same structure with NumPy arrays.
    """
    return tree_map(lambda leaf: np.array(leaf, copy=True), tree)


def byte_size(tree: Tree) -> int:
    """Sum the sizes of all arrays in a tree.

    :param tree: a tree of arrays or shape structures.
    :return: bytes.
    """
    return sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))

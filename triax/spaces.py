"""The border between Gymnasium's spaces and the inside of the project.

A Gymnasium space becomes a :class:`SpaceSpec` once, when an experiment is built: a tree of *leaves* (dicts and tuples
as in the space), each with shape, dtype and bounds or sizes. On the inside, actions and observations are trees of
arrays of that structure:

========================  ==========================================================  ============
space                     inside form                                                 leaf
========================  ==========================================================  ============
``Box``, floats           float32; components with finite bounds scaled to [-1, 1],   BoxLeaf
                          the others left in the environment's own units
``Box``, integers, bools  float32, scaled likewise (observations only)                BoxLeaf
``Box``, uint8            uint8 as it is, until the encoder (observations only)       ImageLeaf
``Discrete``              int32 in [0, n), whatever the space's start                 DiscreteLeaf
``MultiDiscrete``         int32, component i in [0, sizes[i])                         DiscreteLeaf
``MultiBinary``           int8, 0 or 1                                                BinaryLeaf
``Dict``, ``Tuple``       dict, tuple of these, to any depth
========================  ==========================================================  ============

An action's Boxes must have finite bounds: there is nothing to scale otherwise. What is not supported is refused here,
with the space, the leaf and the reason, as :class:`UnsupportedSpace`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import gymnasium
import jax
import numpy as np
from gymnasium import spaces

from triax.trees import Tree

Role: TypeAlias = Literal["action", "observation"]

LARGEST_BOUND = 1e6
"""A bound beyond this is a stand-in for "unbounded" (CartPole's velocities: 3.4e38) and is not scaled by."""

LARGEST_CHOICE = 2**31
"""The largest number of options of a choice: choices are int32 inside."""


class UnsupportedSpace(ValueError):
    """A space, or a leaf of it, has no inside form."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxLeaf:
    """A continuous leaf.

    :ivar shape: the shape of one value.
    :ivar low: lower bounds in the environment's units, flat in C order; −inf where unbounded.
    :ivar high: upper bounds likewise.
    :ivar outside_dtype: the dtype that the environment uses.
    """

    shape: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    outside_dtype: str = "float32"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.float32)

    def _offset_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        bounded = (np.abs(low) <= LARGEST_BOUND) & (np.abs(high) <= LARGEST_BOUND) & (high > low)
        with np.errstate(invalid="ignore", over="ignore"):
            centre = np.where(bounded, (low + high) / 2, 0.0)
            half_width = np.where(bounded, (high - low) / 2, 1.0)
        return centre.reshape(self.shape), half_width.reshape(self.shape)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of arrays of shape [..., *shape] to the inside form."""
        centre, half_width = self._offset_and_scale()
        if np.all(centre == 0.0) and np.all(half_width == 1.0):
            return lambda value: np.asarray(value, np.float32)
        if np.all(centre == 0.0):
            return lambda value: (value / half_width).astype(np.float32)
        return lambda value: ((value - centre) / half_width).astype(np.float32)

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of inside arrays [..., *shape] to the environment's units, within its bounds."""
        centre, half_width = self._offset_and_scale()
        dtype = np.dtype(self.outside_dtype)
        low = np.asarray(self.low, np.float64).reshape(self.shape)
        high = np.asarray(self.high, np.float64).reshape(self.shape)
        if np.issubdtype(dtype, np.floating):
            low, high = low.astype(dtype), high.astype(dtype)
            # Minimum and maximum instead of np.clip, which takes twice as long for small arrays. NumPy's functions
            # instead of operators, since the value may be an array of JAX; the products are of 64 bits.
            if np.all(centre == 0.0) and np.all(half_width == 1.0):
                return lambda value: np.minimum(np.maximum(value, low, dtype=dtype), high)
            if np.all(centre == 0.0):
                return lambda value: np.minimum(np.maximum(np.multiply(value, half_width).astype(dtype), low), high)
            return lambda value: np.minimum(
                np.maximum((np.multiply(value, half_width) + centre).astype(dtype), low), high
            )
        high = np.minimum(high, _largest_whole_float(dtype))

        def to_nearest(value: np.ndarray) -> np.ndarray:
            nearest: np.ndarray = np.clip(np.rint(np.asarray(value, np.float64) * half_width + centre), low, high)
            return nearest.astype(dtype)

        return to_nearest


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageLeaf:
    """Bytes that stay bytes until the encoder: an image [height, width, channels], or any other array of uint8.

    :ivar shape: the shape of one value.
    """

    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.uint8)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion to the inside form: none."""
        return lambda value: np.asarray(value, np.uint8)

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion from the inside form: a copy."""
        return lambda value: np.array(value, np.uint8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscreteLeaf:
    """One choice out of n (shape ``()``), or an array of choices, each with its own number of options.

    :ivar shape: the shape of one value.
    :ivar sizes: the number of options of each component, flat in C order; at least 1 each.
    :ivar start: the environment's name of option 0, likewise.
    :ivar outside_dtype: the dtype that the environment uses.
    """

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    start: tuple[int, ...]
    outside_dtype: str = "int64"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.int32)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of arrays of shape [..., *shape] to the inside form."""
        start = np.asarray(self.start, np.int64).reshape(self.shape)
        return lambda value: (np.asarray(value, np.int64) - start).astype(np.int32)

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of inside arrays of shape [..., *shape] to the environment's numbers."""
        start = np.asarray(self.start, np.int64).reshape(self.shape)
        dtype = np.dtype(self.outside_dtype)
        return lambda value: (np.asarray(value, np.int64) + start).astype(dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BinaryLeaf:
    """An array of independent bits.

    :ivar shape: the shape of one value.
    """

    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.int8)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion to the inside form: none."""
        return lambda value: np.asarray(value, np.int8)

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion from the inside form: a copy, which the environment may keep or change."""
        return lambda value: np.array(value, np.int8)


Leaf: TypeAlias = BoxLeaf | ImageLeaf | DiscreteLeaf | BinaryLeaf
LeafTree: TypeAlias = Leaf | dict[str, Any] | tuple[Any, ...]
"""A leaf, or dicts and tuples of leaf trees (said without recursion, which checkers at run time do not resolve)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceSpec:
    """What the inside knows of a space: a tree of leaves, and the conversions at the border.

    :ivar tree: dicts and tuples of leaves, or a single leaf. The keys of dicts are put in order, which is the order in
        which JAX flattens the inside form.
    """

    tree: LeafTree

    def __post_init__(self) -> None:
        """Put the keys of all dicts in order."""
        object.__setattr__(self, "tree", _in_order(self.tree))

    def __hash__(self) -> int:
        """Hash the structure and the leaves (dicts have no hash of their own)."""
        return hash((jax.tree.structure(self.tree, is_leaf=_is_leaf), tuple(self.leaves())))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the tree alone: the conversions are made again where they are needed."""
        return {"tree": self.tree}

    def leaves(self) -> list[Leaf]:
        """List the leaves in the order in which JAX flattens the inside form."""
        return jax.tree.leaves(self.tree, is_leaf=_is_leaf)

    def zeros(self, *, batch_shape: tuple[int, ...]) -> Tree:
        """Make an inside value of zeros.

        :param batch_shape: leading axes.
        :return: arrays of shape [*batch_shape, *leaf shape].
        """
        return self.map_leaves(lambda leaf: np.zeros((*batch_shape, *leaf.shape), leaf.dtype))

    def map_leaves(self, function: Callable[..., Any], *trees: Tree) -> Tree:
        """Apply a function to each leaf spec and the values at its place in other trees.

        :param function: takes a leaf spec and one value for each tree.
        :param trees: trees of the same structure.
        :return: the tree of results.
        """
        return jax.tree.map(function, self.tree, *trees, is_leaf=_is_leaf)

    def stack_to_inside(self, values: Sequence[Any]) -> Tree:
        """Convert values of the environment to one batch of the inside form.

        :param values: B values as the space's members are.
        :return: arrays of shape [B, *leaf shape].
        """
        if not isinstance(self.tree, dict | tuple):
            return self._conversions()[0][0](np.array(values))
        columns = [
            np.stack([np.asarray(part) for part in parts]) for parts in zip(*map(self.parts, values), strict=True)
        ]
        return self._join([convert(column) for convert, column in zip(self._conversions()[0], columns, strict=True)])

    def batch_to_inside(self, values: Any) -> Tree:
        """Convert a batch that the environment's side has already stacked.

        :param values: a tree like the space's members, leaves of shape [..., *leaf shape].
        :return: the same in the inside form; leaves that need no conversion are not copied.
        """
        pairs = zip(self._conversions()[0], self.parts(values), strict=True)
        return self._join([convert(np.asarray(part)) for convert, part in pairs])

    def batch_to_outside(self, values: Tree) -> Any:
        """Convert a batch of the inside form to the environment's units, still as one batch.

        :param values: inside arrays of shape [..., *leaf shape].
        :return: a tree like the space's members, leaves of shape [..., *leaf shape].
        """
        pairs = zip(self._conversions()[1], self.parts(values), strict=True)
        return self._join([convert(np.asarray(part)) for convert, part in pairs])

    def unstack_to_outside(self, values: Tree) -> list[Any]:
        """Convert a batch of the inside form to values that the environment takes.

        :param values: inside arrays of shape [B, *leaf shape].
        :return: B values as the space's members are.
        """
        if not isinstance(self.tree, dict | tuple) and self.tree.shape:
            return list(self._conversions()[1][0](np.asarray(values)))
        columns = self.parts(self.batch_to_outside(values))
        # A single choice is a scalar for Gymnasium; everything else is an array, also with the shape ().
        pairs = [
            (column, () if isinstance(leaf, DiscreteLeaf) else (...,))
            for leaf, column in zip(self.leaves(), columns, strict=True)
        ]
        return [self._join([column[row, *rest] for column, rest in pairs]) for row in range(len(columns[0]))]

    def describe(self) -> Any:
        """Describe the spec in JSON values, for storing it.

        :return: nested dicts and lists; :meth:`from_description` reads them.
        """
        return _describe(self.tree)

    @classmethod
    def from_description(cls, description: Any) -> "SpaceSpec":
        """Read what :meth:`describe` wrote.

        :param description: nested dicts and lists.
        :return: the spec.
        :raises ValueError: if the description is not one of a spec.
        """
        return cls(tree=_from_description(description))

    def parts(self, value: Any) -> list[Any]:
        """Take a value apart.

        :param value: a tree like the space's members.
        :return: its leaves, in the order of :meth:`leaves`.
        """
        parts: list[Any] = []
        _collect(self.tree, value, parts)
        return parts

    def _join(self, parts: list[Any]) -> Any:
        iterator = iter(parts)
        return _rebuild(self.tree, iterator)

    def _conversions(self) -> tuple[list[Callable[..., np.ndarray]], list[Callable[..., np.ndarray]]]:
        cached = self.__dict__.get("_cached_conversions")
        if cached is None:
            leaves = self.leaves()
            cached = ([leaf.to_inside() for leaf in leaves], [leaf.to_outside() for leaf in leaves])
            object.__setattr__(self, "_cached_conversions", cached)
        return cached


def space_spec(*, space: "gymnasium.Space[Any]", role: Role) -> SpaceSpec:
    """Turn a Gymnasium space into a spec.

    :param space: the environment's action or observation space.
    :param role: which of the two it is.
    :return: the spec.
    :raises UnsupportedSpace: if the space or one of its leaves is not supported, with the leaf's path and the reason.
    """
    return SpaceSpec(tree=_leaf_tree(space=space, role=role, path="", whole=space))


def _leaf_tree(*, space: "gymnasium.Space[Any]", role: Role, path: str, whole: "gymnasium.Space[Any]") -> LeafTree:
    def refuse(reason: str) -> UnsupportedSpace:
        where = f"at {path}" if path else "the whole space"
        return UnsupportedSpace(f"unsupported {role} space {whole}: {where}, {space}: {reason}")

    if isinstance(space, spaces.Dict):
        if not space.spaces:
            raise refuse("an empty Dict has nothing to learn from; remove it.")
        if not all(isinstance(key, str) for key in space.spaces):
            raise refuse(f"the keys of a Dict must be strings, and they are {list(space.spaces)}; rename them.")
        parts = space.spaces.items()
        return {key: _leaf_tree(space=part, role=role, path=f"{path}[{key!r}]", whole=whole) for key, part in parts}
    if isinstance(space, spaces.Tuple):
        if not space.spaces:
            raise refuse("an empty Tuple has nothing to learn from; remove it.")
        return tuple(
            _leaf_tree(space=part, role=role, path=f"{path}[{index}]", whole=whole)
            for index, part in enumerate(space.spaces)
        )
    if isinstance(space, spaces.Box):
        return _box_leaf(space=space, role=role, refuse=refuse)
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return _discrete_leaf(space=space, refuse=refuse)
    if isinstance(space, spaces.MultiBinary):
        return BinaryLeaf(shape=tuple(space.shape))
    raise refuse(
        f"a {type(space).__name__} space has no inside form; Box, Discrete, MultiDiscrete, MultiBinary, Dict and Tuple "
        "have. Wrap the environment so that it offers one of these."
    )


def _discrete_leaf(
    *, space: spaces.Discrete[Any] | spaces.MultiDiscrete[Any], refuse: Callable[[str], UnsupportedSpace]
) -> DiscreteLeaf:
    if isinstance(space, spaces.Discrete):
        leaf = DiscreteLeaf(
            shape=(), sizes=(int(space.n),), start=(int(space.start),), outside_dtype=str(np.dtype(space.dtype))
        )
    else:
        leaf = DiscreteLeaf(
            shape=space.nvec.shape,
            sizes=tuple(int(size) for size in space.nvec.flat),
            start=tuple(int(start) for start in space.start.flat),
            outside_dtype=str(np.dtype(space.dtype)),
        )
    if not leaf.sizes:
        raise refuse("a MultiDiscrete without components has nothing to learn; remove it.")
    if max(leaf.sizes) > LARGEST_CHOICE:
        raise refuse(f"more than {LARGEST_CHOICE} options; declare numbers as a Box.")
    return leaf


def _box_leaf(*, space: spaces.Box, role: Role, refuse: Callable[[str], UnsupportedSpace]) -> Leaf:
    shape = tuple(int(size) for size in space.shape)
    if 0 in shape:
        raise refuse("a Box without components has nothing to learn; remove it.")
    if np.dtype(space.dtype) == np.uint8 and role == "observation":
        return ImageLeaf(shape=shape)
    if role == "action":
        if np.dtype(space.dtype) == np.bool_:
            raise refuse("a Box of bools as an action is a MultiBinary; declare it as one.")
        if np.issubdtype(space.dtype, np.integer):
            raise refuse("an integer Box as an action is a MultiDiscrete; declare it as one.")
        if not np.all(np.isfinite(space.low) & np.isfinite(space.high)):
            raise refuse(
                "an action's Box needs finite bounds, since actions are scaled from [-1, 1]; wrap the environment with "
                "gymnasium.wrappers.RescaleAction or ClipAction, or declare the bounds."
            )
        if np.any(np.maximum(np.abs(space.low), np.abs(space.high)).astype(np.float64) > LARGEST_BOUND):
            raise refuse(f"an action's bounds must be within ±{LARGEST_BOUND:g}; declare the bounds that are meant.")
        if np.any(space.high <= space.low):
            raise refuse("an action's upper bounds must lie above its lower bounds; remove the fixed components.")
    return BoxLeaf(
        shape=shape,
        low=tuple(float(bound) for bound in space.low.flat),
        high=tuple(float(bound) for bound in space.high.flat),
        outside_dtype=str(np.dtype(space.dtype)),
    )


def _largest_whole_float(dtype: np.dtype[Any]) -> float:
    # The largest 64-bit integers are no floats: they would round up, out of the dtype's range.
    largest = int(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1
    return float(largest) if int(float(largest)) <= largest else float(np.nextafter(float(largest), 0.0))


def _is_leaf(value: object) -> bool:
    return isinstance(value, BoxLeaf | ImageLeaf | DiscreteLeaf | BinaryLeaf)


def _in_order(tree: LeafTree) -> LeafTree:
    if isinstance(tree, dict):
        return {key: _in_order(tree[key]) for key in sorted(tree)}
    if isinstance(tree, tuple):
        return tuple(_in_order(branch) for branch in tree)
    return tree


def _collect(tree: LeafTree, value: Any, parts: list[Any]) -> None:
    if isinstance(tree, dict):
        for key in tree:
            _collect(tree[key], value[key], parts)
    elif isinstance(tree, tuple):
        for branch, part in zip(tree, value, strict=True):
            _collect(branch, part, parts)
    else:
        parts.append(value)


def _rebuild(tree: LeafTree, parts: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _rebuild(branch, parts) for key, branch in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_rebuild(branch, parts) for branch in tree)
    return next(parts)


_LEAF_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (BoxLeaf, ImageLeaf, DiscreteLeaf, BinaryLeaf)}


def _describe(tree: LeafTree) -> Any:
    if isinstance(tree, dict):
        return {"Dict": {key: _describe(branch) for key, branch in tree.items()}}
    if isinstance(tree, tuple):
        return {"Tuple": [_describe(branch) for branch in tree]}
    # Infinite bounds are written as text, so that the file is strict JSON.
    fields = {name: _plain(value) for name, value in dataclasses.asdict(tree).items()}
    return {type(tree).__name__: fields}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _from_description(description: Any) -> LeafTree:
    if not isinstance(description, dict) or len(description) != 1:
        raise ValueError(f"not the description of a space: {description!r}")
    ((kind, content),) = description.items()
    if kind == "Dict" and isinstance(content, dict):
        return {key: _from_description(branch) for key, branch in content.items()}
    if kind == "Tuple" and isinstance(content, list):
        return tuple(_from_description(branch) for branch in content)
    if kind not in _LEAF_KINDS or not isinstance(content, dict):
        raise ValueError(f"not the description of a space: unknown kind {kind!r}, or its content {content!r}")
    if set(content) != {field.name for field in dataclasses.fields(_LEAF_KINDS[kind])}:
        raise ValueError(f"not the description of a space: the fields of {kind} do not match: {content!r}")
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    for bound in ("low", "high"):
        if bound in fields:
            fields[bound] = tuple(float(value) for value in fields[bound])
    leaf: Leaf = _LEAF_KINDS[kind](**fields)
    return leaf

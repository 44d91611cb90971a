"""Specs: trees of leaves, with the conversions at the border and a description for files."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from triax.spaces.leaves import LEAF_KINDS, BoxLeaf, DiscreteLeaf, InvalidSet, Leaf, LeafTree, SetLeaf, is_leaf
from triax.spaces.relations import Relation, describe_relation, relation_from_description
from triax.trees import Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceSpec:
    """What the inside knows of a space: a tree of leaves, and the conversions at the border.

    :ivar tree: dicts and tuples of leaves, or a single leaf. The keys of dicts are put in order, which is the order in
        which JAX flattens the inside form.
    :ivar relations: of an action's parts, to each other and to parts of the observation.
    """

    tree: LeafTree
    relations: tuple[Relation, ...] = ()

    def __post_init__(self) -> None:
        """Put the keys of all dicts in order."""
        object.__setattr__(self, "tree", _in_order(self.tree))

    def __hash__(self) -> int:
        """Hash the structure and the leaves (dicts have no hash of their own)."""
        return hash((jax.tree.structure(self.tree, is_leaf=is_leaf), tuple(self.leaves()), self.relations))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the fields alone: the conversions are made again where they are needed."""
        return {"tree": self.tree, "relations": self.relations}

    def leaves(self) -> list[Leaf]:
        """List the leaves in the order in which JAX flattens the inside form."""
        return jax.tree.leaves(self.tree, is_leaf=is_leaf)

    def paths(self) -> list[str]:
        """List where the leaves are, in the order of :meth:`leaves`: keys and places joined by dots.

        :return: such as "arm.0"; "" if the whole space is one leaf.
        """
        return _paths(self.tree, "")

    def leaf(self, path: str) -> Leaf:
        """Look a leaf up.

        :param path: as :meth:`paths` gives it.
        :return: the leaf.
        :raises KeyError: if there is none.
        """
        return dict(zip(self.paths(), self.leaves(), strict=True))[path]

    def part(self, value: Any, *, path: str) -> Any:
        """Take one leaf's part of a value.

        :param value: a tree like the space's members, or of the inside form.
        :param path: as :meth:`paths` gives it.
        :return: the part.
        """
        return self.parts(value)[self.paths().index(path)]

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
        if not isinstance(self.tree, dict | tuple):
            return function(self.tree, *trees)
        return jax.tree.map(function, self.tree, *trees, is_leaf=is_leaf)

    def check(self, value: Any) -> None:
        """Refuse what is none of the space: another structure, other shapes, other kinds of numbers, no such choice.

        :param value: a value of the environment.
        :raises ValueError: with the leaf's path, what is promised, and what there is.
        """
        try:
            parts = self.parts(value)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"its structure is another one ({type(error).__name__}: {error})") from error
        for path, leaf, part in zip(self.paths(), self.leaves(), parts, strict=True):
            try:
                leaf.check(part)
            except ValueError as error:
                raise ValueError(f"{path!r}: {error}" if path else str(error)) from error

    def with_leaves(self, values: Tree) -> list[tuple[Leaf, Any]]:
        """List the leaves, each with its array.

        :param values: inside form.
        :return: pairs, in the order of :meth:`leaves`.
        """
        if isinstance(self.tree, dict | tuple):
            return list(zip(self.leaves(), jax.tree.leaves(values), strict=True))
        return [(self.tree, values)]  # without JAX's way through trees, which a step of an environment would feel

    def non_finite_rows(self, values: Tree) -> np.ndarray | None:
        """Find the values of a batch that hold a number which is NaN or infinite.

        :param values: inside form, [B, ...].
        :return: whether, of the first leaf that has such a number, [B]; None if none has.
        """
        for leaf_spec, leaf in self.with_leaves(values):
            if isinstance(leaf_spec, BoxLeaf | SetLeaf):
                finite = np.isfinite(leaf)
                if not finite.all():
                    broken: np.ndarray = ~finite.reshape(len(leaf), -1).all(axis=1)
                    return broken
        return None

    def stack_to_inside(self, values: Sequence[Any]) -> Tree:
        """Convert values of the environment to one batch of the inside form.

        :param values: B values as the space's members are.
        :return: arrays of shape [B, *leaf shape].
        """
        if not isinstance(self.tree, dict | tuple):
            return self._conversions()[0][0](
                self.tree.pad(values) if isinstance(self.tree, SetLeaf) else np.array(values)
            )
        columns = zip(*map(self.parts, values), strict=True)
        triples = zip(self.leaves(), self._conversions()[0], columns, strict=True)
        return self._join(
            [
                convert(
                    self._padded(place, leaf, column)
                    if isinstance(leaf, SetLeaf)
                    else np.stack([np.asarray(part) for part in column])
                )
                for place, (leaf, convert, column) in enumerate(triples)
            ]
        )

    def batch_to_inside(self, values: Any) -> Tree:
        """Convert a batch that the environment's side has already stacked.

        :param values: a tree like the space's members, leaves of shape [..., *leaf shape]; sets one after the other.
        :return: the same in the inside form; leaves that need no conversion are not copied.
        """
        triples = zip(self.leaves(), self._conversions()[0], self.parts(values), strict=True)
        return self._join(
            [
                convert(self._padded(place, leaf, part) if isinstance(leaf, SetLeaf) else np.asarray(part))
                for place, (leaf, convert, part) in enumerate(triples)
            ]
        )

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
        pairs = list(zip(self.leaves(), columns, strict=True))
        return [self._join([_row(leaf, column, row) for leaf, column in pairs]) for row in range(len(columns[0]))]

    def describe(self) -> Any:
        """Describe the spec in JSON values, for storing it.

        :return: nested dicts and lists; :meth:`from_description` reads them.
        """
        description = _describe(self.tree)
        if not self.relations:
            return description
        return {"Related": [description, *(describe_relation(relation) for relation in self.relations)]}

    @classmethod
    def from_description(cls, description: Any) -> "SpaceSpec":
        """Read what :meth:`describe` wrote.

        :param description: nested dicts and lists.
        :return: the spec.
        :raises ValueError: if the description is not one of a spec.
        """
        relations: list[Any] = []
        if (
            isinstance(description, dict)
            and set(description) == {"Related"}
            and isinstance(description["Related"], list)
        ):
            description, *relations = description["Related"]
        return cls(
            tree=_from_description(description),
            relations=tuple(relation_from_description(relation) for relation in relations),
        )

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

    def _padded(self, place: int, leaf: SetLeaf, sets: Sequence[Any]) -> np.ndarray:
        try:
            return leaf.pad(sets)
        except InvalidSet as error:
            raise InvalidSet(f"{self.paths()[place]!r}: {error}", error.row) from None


def _row(leaf: Leaf, column: Any, row: int) -> Any:
    # A single choice is a scalar for Gymnasium; everything else is an array, also with the shape ().
    return column[row] if isinstance(leaf, DiscreteLeaf | SetLeaf) else column[row, ...]


def _paths(tree: LeafTree, path: str) -> list[str]:
    if not isinstance(tree, dict | tuple):
        return [path]
    branches: Iterable[tuple[Any, LeafTree]] = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return [found for key, branch in branches for found in _paths(branch, f"{path}.{key}" if path else str(key))]


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
    if kind not in LEAF_KINDS or not isinstance(content, dict):
        raise ValueError(f"not the description of a space: unknown kind {kind!r}, or its content {content!r}")
    if set(content) != {field.name for field in dataclasses.fields(LEAF_KINDS[kind])}:
        raise ValueError(f"not the description of a space: the fields of {kind} do not match: {content!r}")
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    for bound in ("low", "high"):
        if isinstance(fields.get(bound), tuple):
            fields[bound] = tuple(float(value) for value in fields[bound])
    leaf: Leaf = LEAF_KINDS[kind](**fields)
    return leaf

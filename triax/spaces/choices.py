"""All joint choices of an action, listed: what a policy and a critic need to treat each of them for itself."""

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from triax.spaces.leaves import BoxLeaf, UnsupportedSpace
from triax.spaces.masks import component_sizes
from triax.spaces.relations import UsedBy
from triax.spaces.spec import SpaceSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChoiceComponent:
    """One discrete number of an action.

    :ivar path: of its leaf.
    :ivar component: its place in the leaf, counted flat.
    :ivar size: the number of its options.
    """

    path: str
    component: int
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChoiceTable:
    """The joint choices of an action, one a row. Choices that another one makes meaningless are 0 there, and not used.

    An action without choices has one row.

    :ivar spec: of the action.
    :ivar components: its discrete numbers, in the order of the leaves.
    :ivar rows: which option each component takes; K rows.
    """

    spec: SpaceSpec
    components: tuple[ChoiceComponent, ...]
    rows: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @functools.cached_property
    def options(self) -> Int[np.ndarray, "K components"]:
        """The rows as an array."""
        return np.array(self.rows, np.int32).reshape(len(self.rows), len(self.components))

    @functools.cached_property
    def used(self) -> Bool[np.ndarray, "K components"]:
        """Which components mean something in each row."""
        return self._used([(component.path, component.component) for component in self.components])

    @functools.cached_property
    def parameters_used(self) -> Bool[np.ndarray, "K parameters"]:
        """Which continuous numbers (of all Boxes, in the order of the leaves) mean something in each row."""
        return self._used(
            [
                (path, component)
                for path, leaf in zip(self.spec.paths(), self.spec.leaves(), strict=True)
                if isinstance(leaf, BoxLeaf)
                for component in range(math.prod(leaf.shape))
            ]
        )

    def _used(self, parts: list[tuple[str, int]]) -> Bool[np.ndarray, "K parts"]:
        columns = [
            [_is_used(self.spec, part, dict(zip(self._keys, row, strict=True))) for row in self.rows] for part in parts
        ]
        return np.array(columns, np.bool_).reshape(len(parts), len(self.rows)).T

    @functools.cached_property
    def _keys(self) -> list[tuple[str, int]]:
        return [(component.path, component.component) for component in self.components]


def choice_table(*, spec: SpaceSpec, limit: int) -> ChoiceTable | None:
    """List the joint choices of an action.

    :param spec: of the action.
    :param limit: the largest number of rows.
    :return: the table; None if there are more joint choices.
    :raises UnsupportedSpace: if choices decide over each other in a circle.
    """
    sizes = component_sizes(spec=spec)
    components = [
        ChoiceComponent(path=path, component=component, size=size) for (path, component), size in sizes.items()
    ]
    partial: list[dict[tuple[str, int], int]] = [{}]
    for component in _deciding_first(spec, components):
        key = (component.path, component.component)
        partial = [
            {**row, key: option}
            for row in partial
            for option in range(component.size if _is_used(spec, key, row) else 1)
        ]
        if len(partial) > limit:
            return None
    rows = sorted(tuple(row[component.path, component.component] for component in components) for row in partial)
    return ChoiceTable(spec=spec, components=tuple(components), rows=tuple(rows))


def _relations(spec: SpaceSpec, part: tuple[str, int]) -> list[UsedBy]:
    path, component = part
    return [
        relation
        for relation in spec.relations
        if isinstance(relation, UsedBy) and relation.parameter == path and relation.component in (None, component)
    ]


def _is_used(spec: SpaceSpec, part: tuple[str, int], row: dict[tuple[str, int], int]) -> bool:
    """Say whether a part means something, from the components that decide over it."""
    return all(
        row[relation.choice, 0] in relation.options and _is_used(spec, (relation.choice, 0), row)
        for relation in _relations(spec, part)
    )


def _deciding_first(spec: SpaceSpec, components: list[ChoiceComponent]) -> list[ChoiceComponent]:
    """Order components such that each comes after those that decide over it."""
    ordered: list[ChoiceComponent] = []
    waiting = list(components)
    while waiting:
        placed: set[Any] = {component.path for component in ordered}
        ready = [
            component
            for component in waiting
            if all(relation.choice in placed for relation in _relations(spec, (component.path, component.component)))
        ]
        if not ready:
            names = ", ".join(sorted({component.path for component in waiting}))
            raise UnsupportedSpace(f"the relations go round in a circle: {names} decide over each other; remove one.")
        ordered += ready
        waiting = [component for component in waiting if component not in ready]
    return ordered

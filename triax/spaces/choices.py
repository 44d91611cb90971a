"""All joint choices of an action, listed: what a policy and a critic need to treat each of them for itself."""

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Bool, Int

from triax.spaces.conditions import Conditions, Part, component_sizes, conditions, deciding_first
from triax.spaces.leaves import BoxLeaf
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

    def _used(self, parts: list[Part]) -> Bool[np.ndarray, "K parts"]:
        conditional = conditions(self.spec)
        rows = [dict(zip(self._keys, row, strict=True)) for row in self.rows]
        columns = [[_is_used(conditional.get(part, {}), row) for row in rows] for part in parts]
        return np.array(columns, np.bool_).reshape(len(parts), len(self.rows)).T

    @functools.cached_property
    def _keys(self) -> list[Part]:
        return [(component.path, component.component) for component in self.components]


def choice_table(*, spec: SpaceSpec, limit: int) -> ChoiceTable | None:
    """List the joint choices of an action.

    :param spec: of the action.
    :param limit: the largest number of rows.
    :return: the table; None if there are more joint choices.
    :raises UnsupportedSpace: if choices decide over each other in a circle.
    """
    sizes, conditional = component_sizes(spec=spec), conditions(spec)
    partial: list[dict[Part, int]] = [{}]
    for part in deciding_first(spec=spec):
        is_used = [_is_used(conditional.get(part, {}), row) for row in partial]
        if sum(sizes[part] if used else 1 for used in is_used) > limit:
            return None
        partial = [
            {**row, part: option}
            for row, used in zip(partial, is_used, strict=True)
            for option in range(sizes[part] if used else 1)
        ]
    components = [
        ChoiceComponent(path=path, component=component, size=size) for (path, component), size in sizes.items()
    ]
    rows = sorted(tuple(row[part] for part in sizes) for row in partial)
    return ChoiceTable(spec=spec, components=tuple(components), rows=tuple(rows))


def _is_used(needed: Conditions, row: dict[Part, int]) -> bool:
    """Say whether a part means something, from what its conditions are and what was chosen."""
    return all(row[decider] in options for decider, options in needed.items())

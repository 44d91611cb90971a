"""When the parts of an action mean something: what its relations say together."""

import functools
import math
from collections.abc import Mapping
from typing import TypeAlias

from triax.spaces.leaves import BinaryLeaf, BoxLeaf, DiscreteLeaf, Leaf, UnsupportedSpace
from triax.spaces.relations import UsedBy
from triax.spaces.spec import SpaceSpec

Part: TypeAlias = tuple[str, int]
"""A number of an action: the path of its leaf, and its place there, counted flat."""

Conditions: TypeAlias = Mapping[Part, frozenset[int]]
"""By the discrete number that decides: the options that it has to take, one of each."""


@functools.lru_cache(maxsize=64)
def conditions(spec: SpaceSpec) -> Mapping[Part, Conditions]:
    """Say of each part of an action under which conditions it means something.

    :param spec: of the action, with its relations.
    :return: all conditions of each part that some choice decides over, also those of that choice. Parts, and the
        conditions of each, are in an order in which what decides comes before what it decides over.
    :raises UnsupportedSpace: if choices decide over each other in a circle, or a part would never mean anything.
    """
    found: dict[Part, Conditions] = {}
    waiting = {
        (path, component): direct
        for path, leaf in zip(spec.paths(), spec.leaves(), strict=True)
        for component in range(component_count(leaf))
        if (direct := _direct(spec, (path, component)))
    }
    while waiting:
        ready = [part for part, direct in waiting.items() if not any(_decider(one) in waiting for one in direct)]
        if not ready:
            names = ", ".join(sorted({path for path, _ in waiting}))
            raise UnsupportedSpace(f"the relations go round in a circle: {names} decide over each other; remove one.")
        for part in ready:
            found[part] = _together(part, waiting.pop(part), found)
    return found


def component_count(leaf: Leaf) -> int:
    """Count the numbers of a part of an action.

    :param leaf: the part.
    :return: how many.
    """
    return len(leaf.sizes) if isinstance(leaf, DiscreteLeaf) else math.prod(leaf.shape)


def component_sizes(*, spec: SpaceSpec) -> dict[Part, int]:
    """List the discrete components of an action.

    :param spec: of the action.
    :return: the number of options of each, by the path of its leaf and its place in it, in the order of the leaves.
    """
    sizes: dict[Part, int] = {}
    for path, leaf in zip(spec.paths(), spec.leaves(), strict=True):
        if isinstance(leaf, DiscreteLeaf):
            sizes |= {(path, component): size for component, size in enumerate(leaf.sizes)}
        elif isinstance(leaf, BinaryLeaf):
            sizes |= {(path, component): 2 for component in range(component_count(leaf))}
        else:
            assert isinstance(leaf, BoxLeaf)
    return sizes


def deciding_first(*, spec: SpaceSpec) -> list[Part]:
    """Order the discrete components of an action such that each comes after those that decide over it.

    :param spec: of the action.
    :return: the components.
    """
    components, conditional = component_sizes(spec=spec), conditions(spec)
    return [part for part in components if part not in conditional] + [
        part for part in conditional if part in components
    ]


def _direct(spec: SpaceSpec, part: Part) -> list[UsedBy]:
    path, component = part
    return [
        relation
        for relation in spec.relations
        if isinstance(relation, UsedBy) and relation.parameter == path and relation.component in (None, component)
    ]


def _decider(relation: UsedBy) -> Part:
    return relation.choice, relation.choice_component or 0


def _together(part: Part, direct: list[UsedBy], found: Mapping[Part, Conditions]) -> Conditions:
    whole: dict[Part, frozenset[int]] = {}
    for relation in direct:
        above = found.get(_decider(relation), {})
        for decider, options in {**above, _decider(relation): frozenset(relation.options)}.items():
            whole[decider] = whole.get(decider, options) & options
    for (choice, _), options in whole.items():
        if not options:
            raise UnsupportedSpace(
                f"the relations leave {part[0]!r} (component {part[1]}) no option of {choice!r} that uses it; several "
                "relations about a part have to hold together. Name an option that all of them share."
            )
    # Those that others decide over come after these.
    return dict(sorted(whole.items(), key=lambda condition: len(found.get(condition[0], {}))))

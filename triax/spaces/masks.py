"""What an observation allows of an action's choices."""

import math
from typing import Any

from triax.spaces.leaves import BinaryLeaf, BoxLeaf, DiscreteLeaf
from triax.spaces.relations import ElementsOf, UsedBy
from triax.spaces.spec import SpaceSpec


def allowed_options(*, spec: SpaceSpec, observation_spec: SpaceSpec, observation: Any) -> dict[tuple[str, int], Any]:
    """Read masks and sets.

    :param spec: of the action, with its relations.
    :param observation_spec: of the observation.
    :param observation: inside form, leaves [..., *leaf shape]; arrays of NumPy or JAX.
    :return: for each discrete component that is masked, by the path of its leaf and its place in it: booleans
        [..., options].
    """
    allowed: dict[tuple[str, int], Any] = {}
    for relation in spec.relations:
        if isinstance(relation, UsedBy):
            continue
        if isinstance(relation, ElementsOf):
            present = observation_spec.part(observation, path=relation.elements)[..., -1] > 0.0
            allowed[relation.choice, 0] = present
            continue
        mask = observation_spec.part(observation, path=relation.mask)
        bits = mask.reshape((*mask.shape[: mask.ndim - len(observation_spec.leaf(relation.mask).shape)], -1)) > 0
        choice = spec.leaf(relation.choice)
        assert isinstance(choice, DiscreteLeaf)
        start = 0
        for component, size in enumerate(choice.sizes):
            allowed[relation.choice, component] = bits[..., start : start + size]
            start += size
    return allowed


def always_used(*, spec: SpaceSpec, path: str, component: int) -> bool:
    """Say whether a part of an action means something whatever is chosen.

    :param spec: of the action, with its relations.
    :param path: of the part's leaf.
    :param component: its place in the leaf.
    :return: whether no choice decides over it.
    """
    return not any(
        isinstance(relation, UsedBy) and relation.parameter == path and relation.component in (None, component)
        for relation in spec.relations
    )


def component_sizes(*, spec: SpaceSpec) -> dict[tuple[str, int], int]:
    """List the discrete components of an action.

    :param spec: of the action.
    :return: the number of options of each, by the path of its leaf and its place in it, in the order of the leaves.
    """
    sizes: dict[tuple[str, int], int] = {}
    for path, leaf in zip(spec.paths(), spec.leaves(), strict=True):
        if isinstance(leaf, DiscreteLeaf):
            sizes |= {(path, component): size for component, size in enumerate(leaf.sizes)}
        elif isinstance(leaf, BinaryLeaf):
            sizes |= {(path, component): 2 for component in range(math.prod(leaf.shape))}
        else:
            assert isinstance(leaf, BoxLeaf)
    return sizes

"""What an observation allows of an action's choices."""

import functools
from typing import Any

import numpy as np
from jaxtyping import Bool

from triax.spaces.conditions import Part, component_sizes, conditions, deciding_first
from triax.spaces.leaves import DiscreteLeaf
from triax.spaces.relations import ElementsOf, UsedBy
from triax.spaces.spec import SpaceSpec

NOTHING_ALLOWED = (
    "the observation allows no option of the choice {choice}; at least one has to be allowed (one element has to be "
    "there, and what an option uses has to be possible) until the episode ends"
)


def allowed_options(*, spec: SpaceSpec, observation_spec: SpaceSpec, observation: Any) -> dict[Part, Any]:
    """Read masks and sets. What several of them say of one choice has to hold together.

    An option is not allowed either if it uses a further choice of which nothing is allowed. (If several choices decide
    over that one together, it is the last of them that may not take its option.)

    :param spec: of the action, with its relations.
    :param observation_spec: of the observation.
    :param observation: inside form, leaves [..., *leaf shape]; arrays of NumPy or JAX.
    :return: for each discrete component that is restricted, by the path of its leaf and its place in it: booleans
        [..., options].
    """
    allowed: dict[Part, Any] = {}

    def restrict(part: Part, options: Any) -> None:
        allowed[part] = allowed[part] & options if part in allowed else options

    for relation in spec.relations:
        if isinstance(relation, UsedBy):
            continue
        if isinstance(relation, ElementsOf):
            present = observation_spec.part(observation, path=relation.elements)[..., -1] > 0.0
            restrict((relation.choice, 0), present)
            continue
        mask = observation_spec.part(observation, path=relation.mask)
        bits = mask.reshape((*mask.shape[: mask.ndim - len(observation_spec.leaf(relation.mask).shape)], -1)) > 0
        choice = spec.leaf(relation.choice)
        assert isinstance(choice, DiscreteLeaf)
        start = 0
        for component, size in enumerate(choice.sizes):
            restrict((relation.choice, component), bits[..., start : start + size])
            start += size
    if allowed:
        for part, decider, uses in _conditional_choices(spec):
            if part in allowed:
                restrict(decider, allowed[part].any(axis=-1)[..., None] | ~uses)
    return allowed


def impossible_choices(
    *, spec: SpaceSpec, observation_spec: SpaceSpec, observation: Any
) -> list[tuple[str, Bool[np.ndarray, "*batch"]]]:
    """Find observations that leave nothing to choose.

    :param spec: of the action, with its relations.
    :param observation_spec: of the observation.
    :param observation: inside form, leaves [..., *leaf shape]; arrays of NumPy.
    :return: what is wrong, and in which observations, [...]; empty if something can be chosen in all of them.
    """
    allowed = allowed_options(spec=spec, observation_spec=observation_spec, observation=observation)
    conditional = conditions(spec) if allowed else {}
    found = []
    for (path, component), options in allowed.items():
        stuck = ~options.any(axis=-1)
        if (path, component) not in conditional and stuck.any():
            found.append((NOTHING_ALLOWED.format(choice=repr(path)), stuck))
    return found


@functools.lru_cache(maxsize=64)
def _conditional_choices(spec: SpaceSpec) -> list[tuple[Part, Part, Bool[np.ndarray, " options"]]]:
    """List choices that another one decides over, those that come last first, with the options of it that use them."""
    sizes, conditional = component_sizes(spec=spec), conditions(spec)
    found = []
    for part in reversed(deciding_first(spec=spec)):
        if part in conditional:
            decider, options = list(conditional[part].items())[-1]
            found.append((part, decider, np.isin(np.arange(sizes[decider]), list(options))))
    return found

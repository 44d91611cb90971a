"""Finding the relations of an action: what its spaces say, what their form says, and what the user declares."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium import spaces

from triax.spaces.conditions import component_count, conditions
from triax.spaces.declared import ElementOf, MaskOf
from triax.spaces.leaves import BinaryLeaf, DiscreteLeaf, Leaf, SetLeaf, UnsupportedSpace
from triax.spaces.reading import space_spec
from triax.spaces.relations import ElementsOf, MaskedBy, Relation, UsedBy
from triax.spaces.spec import SpaceSpec


def action_spec(
    *,
    observation: "gymnasium.Space[Any]",
    action: "gymnasium.Space[Any]",
    declared: tuple[UsedBy, ...] = (),
) -> SpaceSpec:
    """Turn an action space into a spec with its relations.

    Found are: ``Tuple(Discrete(n), Tuple(Box_1 … Box_n))`` at any depth, where Box_k belongs to option k (the form of
    parameterised actions), unless something is declared about Box_k; :class:`~triax.spaces.ElementOf` in the action;
    :class:`~triax.spaces.MaskOf` in the observation.

    :param observation: the environment's observation space.
    :param action: its action space.
    :param declared: what the spaces do not say themselves.
    :return: the spec.
    :raises UnsupportedSpace: if a space is not supported, a relation names what is not there, or relations contradict
        each other.
    :raises TypeError: if what is declared are no relations.
    """
    if not isinstance(declared, tuple) or not all(isinstance(relation, UsedBy) for relation in declared):
        raise TypeError(f"relations have to be a tuple of triax.UsedBy, such as (triax.UsedBy(…),), not {declared!r}.")
    observed = space_spec(space=observation, role="observation")
    spec = space_spec(space=action, role="action")
    told = {relation.parameter for relation in declared}
    relations: list[Relation] = [found for found in _parameterised(action, "") if found.parameter not in told]
    relations += declared
    relations += [
        ElementsOf(choice=path, elements=space.entry)
        for path, space in _walk(action, "")
        if isinstance(space, ElementOf)
    ]
    relations += [
        MaskedBy(choice=space.choice, mask=path) for path, space in _walk(observation, "") if isinstance(space, MaskOf)
    ]
    for relation in relations:
        match relation:
            case UsedBy():
                _check_used_by(relation, spec)
            case MaskedBy():
                _check_mask(relation, spec, observed)
            case ElementsOf():
                _check_elements(relation, spec, observed)
    related = dataclasses.replace(spec, relations=tuple(relations))
    conditions(related)  # Raises if they contradict each other.
    return related


def _walk(space: "gymnasium.Space[Any]", path: str) -> Iterator[tuple[str, "gymnasium.Space[Any]"]]:
    yield path, space
    if isinstance(space, spaces.Dict | spaces.Tuple):
        branches = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, branch in branches:
            yield from _walk(branch, f"{path}.{key}" if path else str(key))


def _parameterised(action: "gymnasium.Space[Any]", whole: str) -> Iterator[UsedBy]:
    for path, space in _walk(action, whole):
        if not isinstance(space, spaces.Tuple) or len(space.spaces) != 2:
            continue
        choice, parameters = space.spaces
        if not isinstance(choice, spaces.Discrete) or not isinstance(parameters, spaces.Tuple):
            continue
        if len(parameters.spaces) == choice.n and all(isinstance(part, spaces.Box) for part in parameters.spaces):
            start = f"{path}." if path else ""
            for option in range(int(choice.n)):
                yield UsedBy(parameter=f"{start}1.{option}", choice=f"{start}0", options=(option,))


def _check_used_by(relation: UsedBy, spec: SpaceSpec) -> None:
    parameter = _leaf(relation, "parameter", relation.parameter, spec, "action")
    choice = _leaf(relation, "choice", relation.choice, spec, "action")
    if not isinstance(choice, DiscreteLeaf | BinaryLeaf):
        raise UnsupportedSpace(f"{relation}: the choice has to be discrete, and {relation.choice!r} is {choice}.")
    components = component_count(choice)
    place = relation.choice_component
    if place is None and components != 1:
        raise UnsupportedSpace(
            f"{relation}: {relation.choice!r} has {components} components; name one of them by choice_component, 0 to "
            f"{components - 1}."
        )
    if place is not None and not 0 <= place < components:
        raise UnsupportedSpace(f"{relation}: {relation.choice!r} has the components 0 to {components - 1}.")
    if relation.parameter == relation.choice and relation.component in (None, place or 0):
        raise UnsupportedSpace(f"{relation}: a choice cannot decide over itself.")
    options = choice.sizes[place or 0] if isinstance(choice, DiscreteLeaf) else 2
    if not relation.options or not all(0 <= option < options for option in relation.options):
        raise UnsupportedSpace(
            f"{relation}: the options of {relation.choice!r} are 0 to {options - 1}; name at least one of them."
        )
    size = component_count(parameter)
    if relation.component is not None and not 0 <= relation.component < size:
        raise UnsupportedSpace(f"{relation}: {relation.parameter!r} has the components 0 to {size - 1}.")


def _check_mask(relation: MaskedBy, spec: SpaceSpec, observed: SpaceSpec) -> None:
    choice = _leaf(relation, "choice", relation.choice, spec, "action")
    if not isinstance(choice, DiscreteLeaf):
        raise UnsupportedSpace(f"{relation}: only Discrete and MultiDiscrete choices have masks, and this is {choice}.")
    mask = _leaf(relation, "mask", relation.mask, observed, "observation")
    if not isinstance(mask, BinaryLeaf):
        raise UnsupportedSpace(f"{relation}: {relation.mask!r} in the observation is no mask of bits, but {mask}.")
    if component_count(mask) != sum(choice.sizes):
        raise UnsupportedSpace(
            f"{relation}: the mask has {component_count(mask)} bits, and the choice {sum(choice.sizes)} options; "
            "declare one bit for each option."
        )


def _check_elements(relation: ElementsOf, spec: SpaceSpec, observed: SpaceSpec) -> None:
    choice = _leaf(relation, "choice", relation.choice, spec, "action")
    elements = _leaf(relation, "elements", relation.elements, observed, "observation")
    if not isinstance(elements, SetLeaf):
        raise UnsupportedSpace(f"{relation}: {relation.elements!r} in the observation is no set, but {elements}.")
    if not isinstance(choice, DiscreteLeaf) or choice.sizes != (elements.maximum,):
        raise UnsupportedSpace(
            f"{relation}: the set has at most {elements.maximum} elements, so the choice has to be a Discrete of as "
            f"many options, and it is {choice}; declare the same maximum for both."
        )


def _leaf(relation: Relation, field: str, path: str, spec: SpaceSpec, role: str) -> Leaf:
    if path not in spec.paths():
        raise UnsupportedSpace(
            f"{relation}: there is no {role} part {path!r} ({field}); there are {', '.join(map(repr, spec.paths()))}."
        )
    return spec.leaf(path)

"""Finding the relations of an action: what its spaces say, what their form says, and what the user declares."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium import spaces

from triax.spaces.declared import ElementOf, MaskOf
from triax.spaces.leaves import BinaryLeaf, BoxLeaf, DiscreteLeaf, SetLeaf, UnsupportedSpace
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
    parameterised actions); :class:`~triax.spaces.ElementOf` in the action; :class:`~triax.spaces.MaskOf` in the
    observation.

    :param observation: the environment's observation space.
    :param action: its action space.
    :param declared: what the spaces do not say themselves.
    :return: the spec.
    :raises UnsupportedSpace: if a space is not supported, or a relation names what is not there.
    """
    observed = space_spec(space=observation, role="observation")
    spec = space_spec(space=action, role="action")
    relations: list[Relation] = [*_parameterised(action, ""), *declared]
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
    return dataclasses.replace(spec, relations=tuple(relations))


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
    if not isinstance(choice, DiscreteLeaf) or len(choice.sizes) != 1:
        raise UnsupportedSpace(f"{relation}: the choice has to be a Discrete, and {relation.choice!r} is {choice}.")
    if relation.parameter == relation.choice:
        raise UnsupportedSpace(f"{relation}: a choice cannot decide over itself.")
    if not relation.options or not all(0 <= option < choice.sizes[0] for option in relation.options):
        raise UnsupportedSpace(
            f"{relation}: the options of {relation.choice!r} are 0 to {choice.sizes[0] - 1}; name at least one of them."
        )
    size = len(parameter.sizes) if isinstance(parameter, DiscreteLeaf) else _size(parameter.shape)
    if relation.component is not None and not 0 <= relation.component < size:
        raise UnsupportedSpace(f"{relation}: {relation.parameter!r} has the components 0 to {size - 1}.")


def _check_mask(relation: MaskedBy, spec: SpaceSpec, observed: SpaceSpec) -> None:
    choice = _leaf(relation, "choice", relation.choice, spec, "action")
    if not isinstance(choice, DiscreteLeaf):
        raise UnsupportedSpace(f"{relation}: only Discrete and MultiDiscrete choices have masks, and this is {choice}.")
    mask = observed.leaf(relation.mask)
    assert isinstance(mask, BinaryLeaf)
    if _size(mask.shape) != sum(choice.sizes):
        raise UnsupportedSpace(
            f"{relation}: the mask has {_size(mask.shape)} bits, and the choice {sum(choice.sizes)} options; declare "
            "one bit for each option."
        )


def _check_elements(relation: ElementsOf, spec: SpaceSpec, observed: SpaceSpec) -> None:
    choice = spec.leaf(relation.choice)
    elements = _leaf(relation, "elements", relation.elements, observed, "observation")
    if not isinstance(elements, SetLeaf):
        raise UnsupportedSpace(f"{relation}: {relation.elements!r} in the observation is no set, but {elements}.")
    assert isinstance(choice, DiscreteLeaf)
    if choice.sizes != (elements.maximum,):
        raise UnsupportedSpace(
            f"{relation}: the choice has {choice.sizes[0]} options, and the set at most {elements.maximum} elements; "
            "declare the same maximum for both."
        )


def _leaf(relation: Relation, field: str, path: str, spec: SpaceSpec, role: str) -> BoxLeaf | DiscreteLeaf | Any:
    if path not in spec.paths():
        raise UnsupportedSpace(
            f"{relation}: there is no {role} part {path!r} ({field}); there are {', '.join(map(repr, spec.paths()))}."
        )
    return spec.leaf(path)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size

"""Wrappers that say of an observation what its space does not: how large a set can be, which bits are a mask.

Entries are named by their path in the observation: keys joined by dots, "" for the whole observation. They stand in the
``wrappers`` of an :class:`~triax.environments.EnvironmentConfig`, with :func:`functools.partial`::

    wrappers=(functools.partial(DeclareSet, entry="asteroids", maximum=12),)
"""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Int8

from triax.spaces import MaskOf, SetOf, UnsupportedSpace


class DeclareSet(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Turns a ``Sequence`` of vectors into a set of a largest size.

    :param environment: the environment.
    :param maximum: the largest number of elements; an observation with more ends the run with an error.
    :param minimum: the smallest; with 0, a set may be empty.
    :param entry: path of the Sequence.
    :raises UnsupportedSpace: if there is no such entry, or it is no Sequence of vectors.
    """

    def __init__(
        self, environment: gymnasium.Env[Any, Any], *, maximum: int, minimum: int = 1, entry: str = ""
    ) -> None:
        super().__init__(environment)
        space = _at(environment.observation_space, entry)
        element = space.feature_space if isinstance(space, spaces.Sequence) else None
        if not isinstance(element, spaces.Box) or len(element.shape) != 1:
            raise UnsupportedSpace(
                f"DeclareSet: {entry!r} has to be a Sequence of vectors (Box of one axis), not {space}."
            )
        self._numbers = element.shape[0]
        self._entry = entry
        single = spaces.Box(element.low.astype(np.float32), element.high.astype(np.float32), dtype=np.float32)
        declared = SetOf(single, maximum=maximum, minimum=minimum)
        self.observation_space = _replaced(environment.observation_space, entry, declared)

    def observation(self, observation: Any) -> Any:
        """Stack the elements.

        :param observation: the environment's.
        :return: the same with an array [n, numbers] in the place of the Sequence's value.
        """
        return _changed(
            observation, self._entry, lambda value: np.asarray(value, np.float32).reshape(len(value), self._numbers)
        )


class PaddedSet(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Turns a padded array of vectors, with bits that say which rows are there, into a set.

    :param environment: the environment, whose observations are a Dict.
    :param elements: path of the array: a Box [maximum, numbers].
    :param mask: path of the bits, [maximum]; they are removed, and a Dict with them that held nothing else.
    :param minimum: the smallest number of elements; with 0, a set may be empty.
    :raises UnsupportedSpace: if there are no such entries, or they do not fit together.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], *, elements: str, mask: str, minimum: int = 1) -> None:
        super().__init__(environment)
        whole = environment.observation_space
        padded, bits = _at(whole, elements), _at(whole, mask)
        if not isinstance(padded, spaces.Box) or len(padded.shape) != 2 or bits.shape != padded.shape[:1]:
            raise UnsupportedSpace(
                f"PaddedSet: {elements!r} has to be a Box [maximum, numbers] and {mask!r} [maximum]; they are {padded} "
                f"and {bits}."
            )
        self._elements, self._mask = elements, mask
        single = spaces.Box(
            np.min(padded.low, axis=0).astype(np.float32),
            np.max(padded.high, axis=0).astype(np.float32),
            dtype=np.float32,
        )
        declared = SetOf(single, maximum=padded.shape[0], minimum=minimum)
        self.observation_space = _without(_replaced(whole, elements, declared), mask)

    def observation(self, observation: Any) -> Any:
        """Leave the padding out.

        :param observation: the environment's.
        :return: the same with an array [n, numbers] in the place of the padded one, without the bits.
        """
        present = np.asarray(_at_value(observation, self._mask), np.bool_)
        changed = _changed(observation, self._elements, lambda value: np.asarray(value, np.float32)[present])
        return _changed_without(changed, self._mask)


class DeclareMask(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Says that an entry of the observation is the mask of a choice: a bit for each option, 1 where it is allowed.

    :param environment: the environment, whose observations are a Dict.
    :param entry: path of the bits (MultiBinary, or a Box of 0 and 1).
    :param choice: path of the choice in the action; "" if the action is the choice.
    :raises UnsupportedSpace: if there is no such entry.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], *, entry: str, choice: str = "") -> None:
        super().__init__(environment)
        self._entry = entry
        options = int(np.prod(_at(environment.observation_space, entry).shape or (1,)))
        self.observation_space = _replaced(environment.observation_space, entry, MaskOf(choice, options))

    def observation(self, observation: Any) -> Any:
        """Write the bits as bytes.

        :param observation: the environment's.
        :return: the same with int8 bits, flat.
        """
        return _changed(observation, self._entry, _bits)


class MaskFromInfo(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Writes the mask that an environment gives in its info into the observation, the final one's included.

    The observation becomes ``{"observation": …, "action_mask": …}``, or, if it is a Dict, has ``action_mask`` beside
    its own entries.

    :param environment: the environment.
    :param key: of the mask in the info: bits for all options of the choice, component after component (an array, or a
        tuple of arrays).
    :param choice: path of the choice in the action; "" if the action is the choice.
    :raises UnsupportedSpace: if there is no such choice, or it has no options.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], *, key: str = "action_mask", choice: str = "") -> None:
        super().__init__(environment)
        self._key = key
        space = _at(environment.action_space, choice)
        if isinstance(space, spaces.Discrete):
            self._options = int(space.n)
        elif isinstance(space, spaces.MultiDiscrete):
            self._options = int(np.sum(space.nvec))
        else:
            raise UnsupportedSpace(
                f"MaskFromInfo: the choice {choice!r} has to be Discrete or MultiDiscrete, not {space}."
            )
        observed = environment.observation_space
        parts = dict(observed.spaces) if isinstance(observed, spaces.Dict) else {"observation": observed}
        self.observation_space = spaces.Dict({**parts, "action_mask": MaskOf(choice, self._options)})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; see :meth:`gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._with_mask(observation, info), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment; see :meth:`gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._with_mask(observation, info), reward, terminated, truncated, info

    def _with_mask(self, observation: Any, info: Mapping[str, Any]) -> dict[str, Any]:
        if self._key not in info:
            raise KeyError(
                f"MaskFromInfo: the environment's info has no {self._key!r} but {sorted(info)}; it has to be there "
                "after every reset and step."
            )
        mask = info[self._key]
        parts = mask if isinstance(mask, tuple | list) else (mask,)
        bits = np.concatenate([_bits(part) for part in parts])
        if len(bits) != self._options:
            raise ValueError(
                f"MaskFromInfo: {self._key!r} has {len(bits)} bits, and the choice {self._options} options."
            )
        own = dict(observation) if isinstance(self.env.observation_space, spaces.Dict) else {"observation": observation}
        return {**own, "action_mask": bits}


def _bits(mask: Any) -> Int8[np.ndarray, " bits"]:
    """Write a mask's values as bits: 1 for what is not 0.

    :raises ValueError: if one is not finite: masks that are added to logits forbid by −inf, and allow by 0.
    """
    values = np.asarray(mask).reshape(-1)
    if not np.isfinite(values).all():
        raise ValueError(
            f"a mask has 0 for what is forbidden and another number for what is allowed, and there is {mask!r}; of one "
            "that is added to logits, give `mask == 0`."
        )
    bits: np.ndarray = values != 0
    return bits.astype(np.int8)


def _at(space: "gymnasium.Space[Any]", path: str) -> "gymnasium.Space[Any]":
    for key in path.split(".") if path else []:
        inner = space.spaces if isinstance(space, spaces.Dict | spaces.Tuple) else {}
        names = {str(name): part for name, part in (inner.items() if isinstance(inner, dict) else enumerate(inner))}
        if key not in names:
            raise UnsupportedSpace(f"there is no entry {path!r} in {space}: it has {sorted(names)}.")
        space = names[key]
    return space


def _replaced(space: "gymnasium.Space[Any]", path: str, other: "gymnasium.Space[Any]") -> "gymnasium.Space[Any]":
    if not path:
        return other
    key, _, rest = path.partition(".")
    if not isinstance(space, spaces.Dict):
        raise UnsupportedSpace(f"the entry {path!r} has to lie in Dicts only, and {space} is none.")
    return spaces.Dict({**space.spaces, key: _replaced(space.spaces[key], rest, other)})


def _without(space: "gymnasium.Space[Any]", path: str) -> "gymnasium.Space[Any]":
    """Leave an entry out, and with it the Dicts that held nothing else."""
    assert isinstance(space, spaces.Dict)
    key, _, rest = path.partition(".")
    if rest:
        inner = _without(space.spaces[key], rest)
        if inner != spaces.Dict():
            return spaces.Dict({**space.spaces, key: inner})
    return spaces.Dict({name: part for name, part in space.spaces.items() if name != key})


def _at_value(value: Any, path: str) -> Any:
    for key in path.split(".") if path else []:
        value = value[key]
    return value


def _changed(value: Any, path: str, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    key, _, rest = path.partition(".")
    return {**value, key: _changed(value[key], rest, change)}


def _changed_without(value: Any, path: str) -> Any:
    """Leave an entry's value out, as :func:`_without` does the entry."""
    key, _, rest = path.partition(".")
    if rest and (inner := _changed_without(value[key], rest)):
        return {**value, key: inner}
    return {name: part for name, part in value.items() if name != key}

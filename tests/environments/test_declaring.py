"""Wrappers that declare sets and masks: what they turn observations into, and what they refuse."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from triax.environments import DeclareMask, DeclareSet, MaskFromInfo, PaddedSet
from triax.spaces import MaskOf, SetOf, UnsupportedSpace

PAIR = spaces.Box(-1.0, 1.0, (2,), np.float64)


class Sequences(gymnasium.Env[Any, Any]):
    """Gives what it is told, and masks in its info."""

    def __init__(
        self, observation_space: Any, observations: list[Any], action_space: Any = None, masks: Any = ()
    ) -> None:
        self.observation_space = observation_space
        self.action_space = action_space or spaces.Discrete(3)
        self._observations, self._masks = list(observations), list(masks)

    def _next(self) -> tuple[Any, dict[str, Any]]:
        return self._observations.pop(0), {"action_mask": self._masks.pop(0)} if self._masks else {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._next()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, info = self._next()
        return observation, 0.0, not self._observations, False, info


def test_a_sequence_becomes_a_set() -> None:
    space = spaces.Dict(inner=spaces.Dict(many=spaces.Sequence(PAIR)), x=PAIR)
    first = {"inner": {"many": (np.zeros(2), np.ones(2))}, "x": np.zeros(2)}
    empty = {"inner": {"many": ()}, "x": np.zeros(2)}
    wrapped = DeclareSet(Sequences(space, [first, empty]), entry="inner.many", maximum=3, minimum=0)
    observation, _ = wrapped.reset()
    assert isinstance(wrapped.observation_space["inner"]["many"], SetOf)  # type: ignore[index]
    np.testing.assert_array_equal(observation["inner"]["many"], [[0.0, 0.0], [1.0, 1.0]])
    assert wrapped.observation_space["inner"].contains(observation["inner"])  # type: ignore[index]
    assert wrapped.step(0)[0]["inner"]["many"].shape == (0, 2)


def test_a_padded_array_becomes_a_set() -> None:
    space = spaces.Dict(rows=spaces.Box(-1.0, 1.0, (3, 2)), there=spaces.MultiBinary(3), x=PAIR)
    rows = np.arange(6, dtype=np.float32).reshape(3, 2) / 6
    given = {"rows": rows, "there": np.array([1, 0, 1], np.int8), "x": np.zeros(2)}
    wrapped = PaddedSet(Sequences(space, [given]), elements="rows", mask="there")
    observation, _ = wrapped.reset()
    assert set(observation) == {"rows", "x"} == set(wrapped.observation_space.spaces)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(observation["rows"], rows[[0, 2]])
    assert wrapped.observation_space.contains(observation)


def test_a_dict_that_held_the_bits_alone_goes_with_them() -> None:
    bits, rows = np.array([1, 0, 1], np.int8), np.zeros((3, 2), np.float32)
    alone = spaces.Dict(rows=spaces.Box(-1.0, 1.0, (3, 2)), inner=spaces.Dict(there=spaces.MultiBinary(3)))
    wrapped = PaddedSet(
        Sequences(alone, [{"rows": rows, "inner": {"there": bits}}]), elements="rows", mask="inner.there"
    )
    assert set(wrapped.reset()[0]) == {"rows"} == set(wrapped.observation_space.spaces)  # type: ignore[attr-defined]
    beside = spaces.Dict(rows=alone["rows"], inner=spaces.Dict(there=spaces.MultiBinary(3), x=PAIR))
    given = {"rows": rows, "inner": {"there": bits, "x": np.zeros(2)}}
    wrapped = PaddedSet(Sequences(beside, [given]), elements="rows", mask="inner.there")
    observation, _ = wrapped.reset()
    assert set(observation["inner"]) == {"x"}
    assert wrapped.observation_space.contains(observation)


def test_an_entry_is_declared_to_be_a_mask() -> None:
    space = spaces.Dict(legal=spaces.Box(0, 1, (3,), np.int64), x=PAIR)
    wrapped = DeclareMask(Sequences(space, [{"legal": np.array([1, 0, 1]), "x": np.zeros(2)}]), entry="legal")
    observation, _ = wrapped.reset()
    assert wrapped.observation_space["legal"] == MaskOf("", 3)  # type: ignore[index]
    assert observation["legal"].dtype == np.int8
    assert wrapped.observation_space.contains(observation)


def test_the_mask_of_the_info_is_in_every_observation_the_final_one_too() -> None:
    masks = [np.array([1, 1, 0]), np.array([0, 1, 0]), np.array([0, 0, 0])]
    wrapped = MaskFromInfo(Sequences(PAIR, [np.zeros(2), np.ones(2), np.ones(2)], masks=masks))
    observations = [wrapped.reset()[0], wrapped.step(0)[0], wrapped.step(1)[0]]
    for observation, mask in zip(observations, masks, strict=True):
        np.testing.assert_array_equal(observation["action_mask"], mask)
        assert wrapped.observation_space.contains(observation)


@pytest.mark.parametrize("mask", [np.array([255, 0, 2], np.uint8), np.array([0.5, 0.0, -1.0]), [True, False, True]])
def test_what_is_not_zero_in_a_mask_is_allowed(mask: Any) -> None:
    wrapped = MaskFromInfo(Sequences(PAIR, [np.zeros(2)], masks=[mask]))
    np.testing.assert_array_equal(wrapped.reset()[0]["action_mask"], [1, 0, 1])
    space = spaces.Dict(legal=spaces.Box(-1, 255, (3,), np.float32), x=PAIR)
    declared = DeclareMask(Sequences(space, [{"legal": mask, "x": np.zeros(2)}]), entry="legal")
    np.testing.assert_array_equal(declared.reset()[0]["legal"], [1, 0, 1])


@pytest.mark.parametrize("forbidden", [-np.inf, np.nan])
def test_a_mask_that_is_added_to_logits_is_refused(forbidden: float) -> None:
    wrapped = MaskFromInfo(Sequences(PAIR, [np.zeros(2)], masks=[np.array([0.0, forbidden, 0.0])]))
    with pytest.raises(ValueError, match="of one that is added to logits, give `mask == 0`"):
        wrapped.reset()


def test_masks_of_several_components_are_joined() -> None:
    space = spaces.Dict(x=PAIR)
    masks = [(np.array([1, 0]), np.array([0, 1, 1]))]
    environment = Sequences(space, [{"x": np.zeros(2)}], action_space=spaces.MultiDiscrete([2, 3]), masks=masks)
    observation, _ = MaskFromInfo(environment).reset()
    assert set(observation) == {"x", "action_mask"}
    np.testing.assert_array_equal(observation["action_mask"], [1, 0, 0, 1, 1])


def test_what_is_not_there_is_refused() -> None:
    space = spaces.Dict(many=spaces.Sequence(PAIR), x=PAIR)
    with pytest.raises(UnsupportedSpace, match=r"no entry 'much'.*'many', 'x'"):
        DeclareSet(Sequences(space, []), entry="much", maximum=3)
    with pytest.raises(UnsupportedSpace, match="Sequence of vectors"):
        DeclareSet(Sequences(space, []), entry="x", maximum=3)
    with pytest.raises(UnsupportedSpace, match="Box \\[maximum, numbers\\]"):
        PaddedSet(Sequences(space, []), elements="x", mask="x")
    with pytest.raises(UnsupportedSpace, match="has to be Discrete or MultiDiscrete"):
        MaskFromInfo(Sequences(space, [], action_space=PAIR))
    with pytest.raises(KeyError, match="no 'action_mask'"):
        MaskFromInfo(Sequences(PAIR, [np.zeros(2)])).reset()
    with pytest.raises(ValueError, match="2 bits, and the choice 3 options"):
        MaskFromInfo(Sequences(PAIR, [np.zeros(2)], masks=[np.ones(2)])).reset()

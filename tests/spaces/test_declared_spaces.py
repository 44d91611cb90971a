"""Sets of variable size: what they contain, what they draw, and that they survive pickling, copying and JSON."""

import copy
import json
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest

from triax.spaces import ElementOf, SetOf

ELEMENT = gymnasium.spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 5.0], np.float32))


def rows(number: int, value: float = 0.5) -> Any:
    return np.full((number, 2), value, np.float32)


def test_the_number_of_elements_is_bounded_on_both_sides() -> None:
    space = SetOf(ELEMENT, maximum=3)
    assert (space.minimum, space.maximum, space.element) == (1, 3, ELEMENT)
    assert [space.contains(rows(number)) for number in range(5)] == [False, True, True, True, False]
    assert SetOf(ELEMENT, maximum=3, minimum=0).contains(rows(0))
    assert not SetOf(ELEMENT, maximum=3, minimum=2).contains(rows(1))


@pytest.mark.parametrize(
    "value",
    [
        rows(2, value=1.5),  # beyond the first number's bound
        rows(2, value=-0.5),  # beyond the second's
        rows(2, value=float("nan")),
        rows(2).astype(np.float64),
        np.zeros((2, 3), np.float32),
        np.zeros(2, np.float32),
        np.zeros((1, 2, 2), np.float32),
        (np.zeros(2, np.float32),),
        None,
    ],
)
def test_what_is_no_such_set_is_not_contained(value: Any) -> None:
    space = SetOf(ELEMENT, maximum=3)
    assert not space.contains(value)
    assert space.contains(rows(2))


def test_samples_are_members_of_every_size_and_follow_the_seed() -> None:
    space = SetOf(ELEMENT, maximum=4, minimum=0, seed=3)
    samples = [space.sample() for _ in range(500)]
    assert all(space.contains(sample) for sample in samples)
    counts = np.bincount([len(sample) for sample in samples], minlength=5)
    # Each of the five sizes has probability 1/5: a mean of 100, standard deviation √(500 · 0.2 · 0.8) = 8.9.
    assert np.all(np.abs(counts - 100) < 45)
    again = SetOf(copy.deepcopy(ELEMENT), maximum=4, minimum=0, seed=3)
    assert all(np.array_equal(sample, again.sample()) for sample in samples)


def test_equality_sees_every_argument() -> None:
    space = SetOf(ELEMENT, maximum=3)
    other = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    assert space == SetOf(copy.deepcopy(ELEMENT), maximum=3)
    different = [SetOf(ELEMENT, maximum=4), SetOf(ELEMENT, maximum=3, minimum=2), SetOf(other, maximum=3)]
    assert all(space != each for each in [*different, gymnasium.spaces.Sequence(ELEMENT, stack=True)])
    choice = ElementOf("objects", 3)
    assert choice == ElementOf("objects", 3)
    assert all(
        choice != each for each in [ElementOf("objects", 4), ElementOf("others", 3), gymnasium.spaces.Discrete(3)]
    )


@pytest.mark.parametrize("space", [SetOf(ELEMENT, maximum=3, minimum=0), ElementOf("objects", 3)], ids=repr)
def test_pickling_and_copying_keep_the_space_and_its_random_state(space: gymnasium.Space[Any]) -> None:
    space.seed(5)
    for twin in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert twin == space
        assert repr(twin) == repr(space)
        assert np.array_equal(twin.sample(), copy.deepcopy(space).sample())


def test_sets_of_all_sizes_travel_through_json() -> None:
    space = SetOf(ELEMENT, maximum=3, minimum=0)
    sets = [rows(0), rows(1), rows(3)]
    back = space.from_jsonable(json.loads(json.dumps(space.to_jsonable(sets))))
    assert all(space.contains(each) for each in back)
    assert all(np.array_equal(one, other) for one, other in zip(sets, back, strict=True))


def test_a_choice_among_elements_is_a_discrete_that_knows_its_set() -> None:
    space = ElementOf("objects", 3, seed=1)
    assert (space.entry, space.maximum, int(space.n)) == ("objects", 3, 3)
    assert {int(space.sample()) for _ in range(50)} == {0, 1, 2}
    assert space.contains(2)
    assert not space.contains(3)
    assert repr(space) == "ElementOf('objects', maximum=3)"


def test_repr_says_what_is_in_it() -> None:
    assert repr(SetOf(ELEMENT, maximum=3, minimum=0)).endswith("(2,), float32), maximum=3, minimum=0)")


@pytest.mark.parametrize(
    ("element", "maximum", "minimum"),
    [
        (gymnasium.spaces.Box(-1.0, 1.0, (2, 2)), 3, 1),
        (gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64), 3, 1),
        (ELEMENT, 0, 0),
        (ELEMENT, 3, 4),
        (ELEMENT, 3, -1),
    ],
)
def test_what_cannot_be_a_set_is_refused(element: gymnasium.spaces.Box, maximum: int, minimum: int) -> None:
    with pytest.raises(ValueError, match="SetOf:"):
        SetOf(element, maximum=maximum, minimum=minimum)


def test_masks_are_refused() -> None:
    with pytest.raises(gymnasium.error.Error, match="mask"):
        SetOf(ELEMENT, maximum=3).sample(mask=(2, None))


def test_gymnasiums_vectors_carry_sets_as_tuples() -> None:
    batched = gymnasium.vector.utils.batch_space(gymnasium.spaces.Dict(objects=SetOf(ELEMENT, maximum=3)), 2)
    assert isinstance(batched, gymnasium.spaces.Dict)
    assert isinstance(batched["objects"], gymnasium.spaces.Tuple)
    assert batched.contains({"objects": (rows(1), rows(3))})

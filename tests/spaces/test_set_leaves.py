"""Sets of variable size at the border: padded with a mask, and refused where they are not as declared."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from triax.spaces import InvalidSet, SetLeaf, SetOf, SpaceSpec, UnsupportedSpace, space_spec

ELEMENT = spaces.Box(np.array([0.0, -2.0], np.float32), np.array([10.0, 2.0], np.float32))
SPEC = space_spec(
    space=spaces.Dict(things=SetOf(ELEMENT, maximum=3, minimum=0), x=spaces.Discrete(2)), role="observation"
)


def value(*rows: list[float]) -> dict[str, Any]:
    return {"things": np.array(rows, np.float32).reshape(len(rows), 2), "x": 1}


def test_elements_are_scaled_padded_and_marked() -> None:
    inside = SPEC.stack_to_inside([value([10.0, -2.0], [5.0, 1.0]), value()])
    expected = np.zeros((2, 3, 3), np.float32)
    expected[0, 0], expected[0, 1] = [1.0, -1.0, 1.0], [0.0, 0.5, 1.0]
    np.testing.assert_array_equal(inside["things"], expected)
    assert inside["things"].dtype == np.float32
    np.testing.assert_array_equal(inside["x"], [1, 1])


def test_the_padding_of_a_scaled_set_is_zero() -> None:
    # Zero in the environment's units is −1 on the inside: padding must not be scaled along.
    inside = SPEC.stack_to_inside([value([0.0, 0.0])])
    np.testing.assert_array_equal(inside["things"][0], [[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_sets_come_back_out() -> None:
    sets = [value([10.0, -2.0], [5.0, 1.0]), value(), value([1.0, 0.5])]
    outside = SPEC.unstack_to_outside(SPEC.stack_to_inside(sets))
    for found, given in zip(outside, sets, strict=True):
        np.testing.assert_allclose(found["things"], given["things"], atol=1e-6)
    batch = SPEC.batch_to_inside({"things": [given["things"] for given in sets], "x": np.ones(3, np.int64)})
    np.testing.assert_array_equal(batch["things"], SPEC.stack_to_inside(sets)["things"])


def test_a_set_alone_is_an_observation_too() -> None:
    spec = space_spec(space=SetOf(ELEMENT, maximum=2), role="observation")
    inside = spec.stack_to_inside([np.ones((1, 2), np.float32), np.ones((2, 2), np.float32)])
    np.testing.assert_array_equal(inside[..., -1], [[1.0, 0.0], [1.0, 1.0]])
    assert spec.paths() == [""]


@pytest.mark.parametrize(
    ("rows", "minimum", "message"),
    [
        (4, 0, "has 4 elements, and its space declares 0 to 3. Declare a larger maximum"),
        (0, 1, "has 0 elements, and its space declares 1 to 3. Declare a smaller minimum"),
    ],
)
def test_too_many_and_too_few_elements_are_refused(rows: int, minimum: int, message: str) -> None:
    spec = space_spec(space=SetOf(ELEMENT, maximum=3, minimum=minimum), role="observation")
    good = np.ones((2, 2), np.float32)
    with pytest.raises(InvalidSet, match=message) as caught:
        spec.stack_to_inside([good, np.ones((rows, 2), np.float32)])
    assert caught.value.row == 1


def test_elements_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidSet, match=r"2 numbers each has the shape \(1, 3\)"):
        SPEC.stack_to_inside([{"things": np.ones((1, 3), np.float32), "x": 0}])


def test_the_description_comes_back() -> None:
    leaf = SPEC.leaf("things")
    assert isinstance(leaf, SetLeaf)
    assert leaf.maximum == 3
    assert SpaceSpec.from_description(SPEC.describe()) == SPEC


def test_a_sequence_without_a_largest_size_and_a_set_as_an_action_are_refused() -> None:
    with pytest.raises(UnsupportedSpace, match="DeclareSet"):
        space_spec(space=spaces.Sequence(ELEMENT, stack=True), role="observation")
    with pytest.raises(UnsupportedSpace, match="one element at a time"):
        space_spec(space=SetOf(ELEMENT, maximum=3), role="action")


def test_sets_sample_members() -> None:
    space = SetOf(ELEMENT, maximum=3, minimum=0, seed=0)
    sizes = {len(sample) for sample in (space.sample() for _ in range(60)) if space.contains(sample)}
    assert sizes == {0, 1, 2, 3}
    assert isinstance(space, gymnasium.spaces.Sequence)

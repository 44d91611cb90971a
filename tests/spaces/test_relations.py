"""How the parts of an action hang together: found, declared, refused, and listed as joint choices."""

import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from triax.spaces import (
    ElementOf,
    ElementsOf,
    MaskedBy,
    MaskOf,
    SetOf,
    SpaceSpec,
    UnsupportedSpace,
    UsedBy,
    action_spec,
    allowed_options,
    choice_table,
    space_spec,
)

POSITION = spaces.Box(-1.0, 1.0, (2,))
BOX = spaces.Box(-1.0, 1.0, (2,))
PAINT = spaces.Dict(operation=spaces.Discrete(3), which=ElementOf("shapes", 4), numbers=BOX)
SHAPES = spaces.Dict(shapes=SetOf(spaces.Box(-1.0, 1.0, (3,)), maximum=4, minimum=0), mask=MaskOf("operation", 3))
EDITS = (
    UsedBy(parameter="which", choice="operation", options=(1,)),
    UsedBy(parameter="numbers", choice="operation", options=(1, 2)),
)


def parameterised(*sizes: int) -> Any:
    boxes = [spaces.Box(-1.0, 1.0, (size,)) for size in sizes]
    return spaces.Tuple([spaces.Discrete(len(sizes)), spaces.Tuple(boxes)])


def test_parameterised_actions_are_recognised_at_any_depth() -> None:
    expected = {("1.0", "0", (0,)), ("1.1", "0", (1,))}
    spec = action_spec(observation=POSITION, action=parameterised(2, 1))
    assert {(r.parameter, r.choice, r.options) for r in spec.relations if isinstance(r, UsedBy)} == expected
    deep = action_spec(observation=POSITION, action=spaces.Dict(arm=parameterised(1, 1), leg=BOX))
    assert {r.parameter for r in deep.relations if isinstance(r, UsedBy)} == {"arm.1.0", "arm.1.1"}


@pytest.mark.parametrize(
    "space",
    [
        spaces.Tuple([spaces.Discrete(3), spaces.Tuple([BOX, BOX])]),
        spaces.Tuple([spaces.Discrete(2), spaces.Tuple([BOX, spaces.Discrete(2)])]),
        spaces.Tuple([spaces.MultiBinary(2), spaces.Tuple([BOX, BOX])]),
        spaces.Tuple([spaces.Discrete(2), BOX]),
    ],
)
def test_other_forms_are_not_taken_for_parameterised_actions(space: Any) -> None:
    assert action_spec(observation=POSITION, action=space).relations == ()


def test_a_table_lists_what_is_used() -> None:
    table = choice_table(spec=action_spec(observation=POSITION, action=parameterised(2, 1)), limit=2)
    assert table is not None
    np.testing.assert_array_equal(table.options, [[0], [1]])
    np.testing.assert_array_equal(table.parameters_used, [[True, True, False], [False, False, True]])


def test_choices_that_another_one_makes_meaningless_are_listed_once() -> None:
    spec = action_spec(observation=SHAPES, action=PAINT, declared=EDITS)
    table = choice_table(spec=spec, limit=6)
    assert table is not None
    # Stop; edit each of four; add.
    np.testing.assert_array_equal(table.options, [[0, 0], [1, 0], [1, 1], [1, 2], [1, 3], [2, 0]])
    np.testing.assert_array_equal(table.used[:, 1], [False, True, True, True, True, False])
    np.testing.assert_array_equal(table.parameters_used[:, 0], [False, True, True, True, True, True])
    assert choice_table(spec=spec, limit=5) is None


def test_bits_and_multi_discrete_are_listed_together() -> None:
    space = spaces.Dict(a=spaces.MultiDiscrete([2, 3]), b=spaces.MultiBinary(1))
    table = choice_table(spec=action_spec(observation=POSITION, action=space), limit=12)
    assert table is not None
    assert len(table) == 12 == len(set(table.rows))
    continuous = choice_table(spec=action_spec(observation=POSITION, action=BOX), limit=1)
    assert continuous is not None
    assert continuous.rows == ((),)


def test_a_component_of_a_box_can_belong_to_an_option() -> None:
    space = spaces.Dict(choice=spaces.Discrete(3), move=BOX)
    declared = tuple(UsedBy(parameter="move", component=i, choice="choice", options=(i,)) for i in range(2))
    table = choice_table(spec=action_spec(observation=POSITION, action=space, declared=declared), limit=3)
    assert table is not None
    np.testing.assert_array_equal(table.parameters_used, [[True, False], [False, True], [False, False]])


def test_masks_and_sets_say_what_is_allowed() -> None:
    spec = action_spec(observation=SHAPES, action=PAINT, declared=EDITS)
    assert MaskedBy(choice="operation", mask="mask") in spec.relations
    assert ElementsOf(choice="which", elements="shapes") in spec.relations
    observed = space_spec(space=SHAPES, role="observation")
    values = [{"shapes": np.ones((n, 3), np.float32), "mask": np.array([1, n > 0, 1], np.int8)} for n in (0, 2)]
    inside = observed.stack_to_inside(values)
    allowed = allowed_options(spec=spec, observation_spec=observed, observation=inside)
    np.testing.assert_array_equal(allowed["operation", 0], [[True, False, True], [True, True, True]])
    np.testing.assert_array_equal(allowed["which", 0], [[False] * 4, [True, True, False, False]])


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (UsedBy(parameter="nowhere", choice="operation", options=(1,)), "no action part 'nowhere'.*'numbers'"),
        (UsedBy(parameter="numbers", choice="operator", options=(1,)), "no action part 'operator'.*'operation'"),
        (UsedBy(parameter="numbers", choice="operation", options=(3,)), "options of 'operation' are 0 to 2"),
        (UsedBy(parameter="numbers", choice="operation", options=()), "name at least one"),
        (UsedBy(parameter="numbers", choice="operation", options=(1,), component=2), "components 0 to 1"),
        (UsedBy(parameter="operation", choice="numbers", options=(1,)), "has to be discrete"),
        (UsedBy(parameter="operation", choice="operation", options=(1,)), "over itself"),
    ],
)
def test_relations_to_what_is_not_there_are_refused(declared: UsedBy, message: str) -> None:
    with pytest.raises(UnsupportedSpace, match=message):
        action_spec(observation=SHAPES, action=PAINT, declared=(declared,))


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (POSITION, spaces.Dict(which=ElementOf("shapes", 4)), "no observation part 'shapes'"),
        (spaces.Dict(shapes=BOX), spaces.Dict(which=ElementOf("shapes", 4)), "is no set"),
        (
            SHAPES,
            spaces.Dict(which=ElementOf("shapes", 5), operation=spaces.Discrete(3)),
            "at most 4 elements.*declare the same maximum",
        ),
        (spaces.Dict(mask=MaskOf("", 3)), spaces.Discrete(4), "3 bits, and the choice 4 options"),
        (spaces.Dict(mask=MaskOf("op", 3)), spaces.Discrete(3), "no action part 'op'"),
        (spaces.Dict(mask=MaskOf("", 2)), BOX, "only Discrete and MultiDiscrete"),
    ],
)
def test_masks_and_sets_that_do_not_fit_are_refused(observation: Any, action: Any, message: str) -> None:
    with pytest.raises(UnsupportedSpace, match=message):
        action_spec(observation=observation, action=action)


def test_choices_that_decide_over_each_other_are_refused() -> None:
    space = spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2))
    declared = (UsedBy(parameter="a", choice="b", options=(1,)), UsedBy(parameter="b", choice="a", options=(1,)))
    with pytest.raises(UnsupportedSpace, match="circle: a, b"):
        choice_table(spec=action_spec(observation=POSITION, action=space, declared=declared), limit=9)


def test_relations_survive_description_and_pickling() -> None:
    spec = action_spec(observation=SHAPES, action=PAINT, declared=EDITS)
    assert len(spec.relations) == 4
    for copy in (SpaceSpec.from_description(spec.describe()), pickle.loads(pickle.dumps(spec))):
        assert copy == spec
        assert hash(copy) == hash(spec)
    descriptions: list[Any] = [{"UsedBy": {"parameter": "a"}}, {"Elsewhere": {}}, 3, {}]
    for broken in descriptions:
        with pytest.raises(ValueError, match="not the description of a relation"):
            SpaceSpec.from_description({"Related": [spec.describe()["Related"][0], broken]})

"""When parts of an action mean something: several relations together, what is declared against what is recognised."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from triax.spaces import (
    ElementOf,
    MaskOf,
    SetOf,
    UnsupportedSpace,
    UsedBy,
    action_spec,
    allowed_options,
    choice_table,
    conditions,
    impossible_choices,
    space_spec,
)
from triax.spaces.relations import relation_from_description

POSITION = spaces.Box(-1.0, 1.0, (2,))
BOX = spaces.Box(-1.0, 1.0, (1,))
CHAIN = spaces.Dict(a=spaces.Discrete(3), b=spaces.Discrete(2), c=BOX)
PARAMETERISED = spaces.Tuple([spaces.Discrete(2), spaces.Tuple([BOX, BOX])])


def used(part: str, choice: str, *options: int, **more: Any) -> UsedBy:
    return UsedBy(parameter=part, choice=choice, options=options, **more)


def test_conditions_of_choices_above_are_conditions_too_and_several_are_met_together() -> None:
    declared = (used("c", "b", 1), used("c", "a", 0, 1), used("b", "a", 1, 2))
    spec = action_spec(observation=POSITION, action=CHAIN, declared=declared)
    found = conditions(spec)
    assert found["b", 0] == {("a", 0): {1, 2}}
    assert found["c", 0] == {("a", 0): {1}, ("b", 0): {1}}
    assert list(found["c", 0]) == [("a", 0), ("b", 0)]
    table = choice_table(spec=spec, limit=9)
    assert table is not None
    assert table.rows == (
        (
            0,
            0,
        ),
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    )
    assert table.parameters_used[:, 0].tolist() == [False, False, True, False, False]


def test_an_option_that_is_named_twice_counts_once() -> None:
    spec = action_spec(observation=POSITION, action=CHAIN, declared=(used("c", "a", 1, 1),))
    assert conditions(spec)["c", 0] == {("a", 0): {1}}


def test_a_component_of_a_multi_discrete_and_a_bit_can_decide() -> None:
    action = spaces.Dict(bits=spaces.MultiBinary(2), numbers=spaces.MultiDiscrete([2, 3]), c=BOX)
    declared = (used("c", "bits", 1, choice_component=1), used("numbers", "bits", 0, component=1, choice_component=0))
    table = choice_table(spec=action_spec(observation=POSITION, action=action, declared=declared), limit=99)
    assert table is not None
    assert len(table) == 2 * 2 * (3 + 1)  # the second bit, the first number, the second one where the first bit is 0
    assert table.parameters_used[:, 0].tolist() == (table.options[:, 1] == 1).tolist()
    within = (used("numbers", "numbers", 1, component=1, choice_component=0),)
    table = choice_table(spec=action_spec(observation=POSITION, action=action, declared=within), limit=99)
    assert table is not None
    assert len(table) == 4 * (1 + 3)


def test_what_is_declared_takes_the_place_of_what_the_form_says() -> None:
    spec = action_spec(observation=POSITION, action=PARAMETERISED, declared=(used("1.0", "0", 0, 1),))
    table = choice_table(spec=spec, limit=9)
    assert table is not None
    assert table.parameters_used.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ((used("c", "a", 0), used("c", "a", 1)), "'c' .* no option of 'a'"),
        ((used("c", "b", 1), used("b", "a", 1), used("c", "a", 0)), "'c' .* no option of 'a'"),
        ((used("a", "b", 1), used("b", "a", 1)), "circle: a, b"),
        ((used("c", "a", 1, choice_component=1),), "'a' has the components 0 to 0"),
    ],
)
def test_relations_that_contradict_each_other_are_refused(declared: tuple[UsedBy, ...], message: str) -> None:
    with pytest.raises(UnsupportedSpace, match=message):
        action_spec(observation=POSITION, action=CHAIN, declared=declared)


def test_the_component_that_decides_has_to_be_named() -> None:
    action = spaces.Dict(numbers=spaces.MultiDiscrete([2, 3]), c=BOX)
    with pytest.raises(UnsupportedSpace, match="choice_component, 0 to 1"):
        action_spec(observation=POSITION, action=action, declared=(used("c", "numbers", 1),))


MISTAKES = """
import gymnasium, triax
from triax.spaces import UsedBy, action_spec
good = UsedBy(parameter="c", choice="a", options=(1,))
position = gymnasium.spaces.Box(-1.0, 1.0, (2,))
action = gymnasium.spaces.Dict(a=gymnasium.spaces.Discrete(3), c=position)
for options in (1, [1], (1.5,), (True,), "1"):
    try:
        UsedBy(parameter="c", choice="a", options=options)
    except TypeError as error:
        print(error)
try:
    UsedBy(parameter="c", choice="a", options=(1,), component="x")
except TypeError as error:
    print(error)
for declared in (good, [good], ({"parameter": "c"},)):
    try:
        action_spec(observation=position, action=action, declared=declared)
    except TypeError as error:
        print(error)
"""


def test_relations_of_wrong_types_are_refused() -> None:
    # In a process of its own: here the checker of annotations would be first.
    made = subprocess.run([sys.executable, "-c", MISTAKES], capture_output=True, text=True, check=True)
    lines = made.stdout.splitlines()
    assert len(lines) == 9
    assert all(line.startswith("UsedBy.options=") and "such as (1,)" in line for line in lines[:5])
    assert lines[5].startswith("UsedBy.component='x'")
    assert all("a tuple of triax.UsedBy" in line for line in lines[6:])


def test_descriptions_from_before_a_component_could_decide_are_read() -> None:
    old = {"UsedBy": {"parameter": "c", "choice": "a", "options": [1], "component": None}}
    assert relation_from_description(old) == used("c", "a", 1)


def test_paths_that_are_the_same_are_refused() -> None:
    space = spaces.Dict({"a.b": spaces.Discrete(2), "a": spaces.Dict(b=spaces.Discrete(3))})
    with pytest.raises(UnsupportedSpace, match=r"the path 'a\.b'.*rename"):
        space_spec(space=space, role="action")


# What observations allow


def test_two_masks_of_a_choice_and_the_presence_of_elements_hold_together() -> None:
    observation = spaces.Dict(
        set=SetOf(spaces.Box(-1.0, 1.0, (2,)), 3), first=MaskOf("which", 3), second=MaskOf("which", 3)
    )
    spec = action_spec(observation=observation, action=spaces.Dict(which=ElementOf("set", 3)))
    observed = space_spec(space=observation, role="observation")
    value = {"set": np.zeros((2, 2), np.float32), "first": np.array([1, 1, 1]), "second": np.array([0, 1, 1])}
    inside = observed.stack_to_inside([value])
    allowed = allowed_options(spec=spec, observation_spec=observed, observation=inside)
    np.testing.assert_array_equal(allowed["which", 0], [[False, True, False]])


def test_an_option_is_not_allowed_if_what_it_uses_is_impossible() -> None:
    observation = spaces.Dict(set=SetOf(spaces.Box(-1.0, 1.0, (2,)), 3, minimum=0), mask=MaskOf("operation", 3))
    action = spaces.Dict(operation=spaces.Discrete(3), which=ElementOf("set", 3), how=spaces.Discrete(2))
    declared = (used("which", "how", 1), used("how", "operation", 1, 2))
    spec = action_spec(observation=observation, action=action, declared=declared)
    observed = space_spec(space=observation, role="observation")

    def allowed(elements: int, *bits: int) -> Any:
        inside = observed.stack_to_inside([{"set": np.zeros((elements, 2), np.float32), "mask": np.array(bits)}])
        found = allowed_options(spec=spec, observation_spec=observed, observation=inside)
        impossible = impossible_choices(spec=spec, observation_spec=observed, observation=inside)
        return found["how", 0][0].tolist(), found["operation", 0][0].tolist(), [what for what, _ in impossible]

    assert allowed(2, 0, 1, 1) == ([True, True], [False, True, True], [])
    assert allowed(0, 0, 1, 1) == ([True, False], [False, True, True], [])
    _, operations, impossible = allowed(0, 0, 0, 0)
    assert operations == [False] * 3
    assert len(impossible) == 1
    assert "no option of the choice 'operation'" in impossible[0]
    always = (used("which", "operation", 1),)
    spec = action_spec(observation=observation, action=action, declared=always)
    inside = observed.stack_to_inside([{"set": np.zeros((0, 2), np.float32), "mask": np.array([0, 1, 0])}])
    assert impossible_choices(spec=spec, observation_spec=observed, observation=inside)

"""Every environment and parameter of the tables: values, extremes, names, limbs."""

import difflib
from typing import Any

import mujoco
import numpy as np
import pytest
from physics_helpers import MODELS, at_end, compiled_value, made, make, running_model

from triax.environments.physics import PHYSICS_TABLES, UnknownPhysicsElement, sample
from triax.environments.physics.models import ModelApplier
from triax.environments.physics.parameters import PhysicsParameter
from triax.random import derive_generator

PARAMETERS = [
    pytest.param(name, row, element, id=f"{name}: {element} {row.attribute}")
    for name in MODELS
    for row in PHYSICS_TABLES[name]
    for element in row.elements
]


@pytest.mark.parametrize(("name", "row", "element"), PARAMETERS)
def test_the_running_model_has_the_value_where_it_should_be(name: str, row: PhysicsParameter, element: str) -> None:
    environment, applier = made(name)
    model = running_model(environment)
    values = sample(table=PHYSICS_TABLES[name], generator=derive_generator(seed=3, name=("test",))).values
    for value in (row.distribution.low, values[row.name], row.distribution.high):
        applier.apply({**values, row.name: value})
        environment.reset(seed=0)
        applier.check()
        assert compiled_value(model, element, row.attribute) == pytest.approx(value, rel=1e-12, abs=1e-15)
        # And the others theirs: nothing undoes what another parameter of the same element set.
        for other in PHYSICS_TABLES[name]:
            if other is not row:
                found = compiled_value(model, other.elements[0], other.attribute)
                assert found == pytest.approx(values[other.name], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", MODELS)
def test_the_number_of_parameters_is_that_of_the_elements(name: str) -> None:
    # Written down by hand from the list of ranges, so that a row that is lost is seen.
    expected = {
        "Hopper-v5": 4,
        "HalfCheetah-v5": 7,
        "Swimmer-v5": 2,
        "Ant-v5": 8,
        "InvertedDoublePendulum-v5": 1,
        "dm_control/hopper": 4,
        "dm_control/cheetah": 8,
        "dm_control/cheetah, hard": 4,
        "dm_control/walker": 14,
        "dm_control/cartpole": 1,
        "dm_control/acrobot": 1,
        "dm_control/manipulator": 4,
        "dm_control/finger": 2,
    }
    assert len(PHYSICS_TABLES[name]) == expected[name]


def sound_steps(environment: Any, *, steps: int) -> int:
    """Step at random, and count the steps before one that gives no finite numbers, or of which MuJoCo warns."""
    environment.reset(seed=0)
    environment.action_space.seed(0)
    data = environment.unwrapped.data if hasattr(environment.unwrapped, "fullpath") else None
    for step in range(steps):
        observation, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
        if not (np.isfinite(observation).all() and np.isfinite(reward)):
            return step
        if data is not None and data.warning.number.any():
            return step
        if terminated or truncated:
            environment.reset()
    return steps


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "/" in name else []) for name in MODELS]
)
def test_the_extremes_simulate_a_thousand_steps(name: str, end: str) -> None:
    environment, applier = made(name)
    applier.apply(at_end(PHYSICS_TABLES[name], end))
    assert sound_steps(environment, steps=1000) == 1000


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row", "element"), PARAMETERS)
def test_each_parameter_alone_at_its_extremes_simulates_a_thousand_steps(
    name: str, row: PhysicsParameter, element: str
) -> None:
    environment, applier = made(name)
    for value in (row.distribution.low, row.distribution.high):
        applier.apply({row.name: value})
        assert sound_steps(environment, steps=1000) == 1000


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_name_is_refused_by_name(name: str) -> None:
    environment, _ = made(name)
    row = PHYSICS_TABLES[name][0]
    if row.element == "option":
        wrong = PhysicsParameter(element="option", attribute="gravitation[2]", distribution=row.distribution)
        expected = r"no number 'gravitation\[2\]' of 'option'.*Did you mean 'gravity\[\d\]'\?.*'wind\[0\]'"
    else:
        kind, _, right = str(row.element).partition(" ")
        wrong = PhysicsParameter(element=f"{kind} {right}x", attribute=row.attribute, distribution=row.distribution)
        model = running_model(environment)
        title = "".join(map(chr, model.names)).split("\0")[0]
        expected = rf"no {kind} '{right}x' in the model '{title}'\. Did you mean '{right}'\? There are: .*'{right}'"
        assert difflib.get_close_matches(f"{right}x", [right])
    with pytest.raises(UnknownPhysicsElement, match=expected):
        ModelApplier(environment=environment, table=(wrong,))


def joints_at_limbs(model: Any, geom: int, *, ends: list[float] | None = None) -> tuple[list[np.ndarray], list[float]]:
    """Where the joints of a limb are in the world, each as seen from a place of the limb's axis: −1 and 1 are its ends.

    Without ``ends``, the place is the nearest one.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    middle, axis = data.geom_xpos[geom], data.geom_xmat[geom].reshape(3, 3)[:, 2]
    half = float(model.geom_size[geom, 1])
    body = int(model.geom_bodyid[geom])
    gaps: list[np.ndarray] = []
    places: list[float] = []
    for joint in range(model.njnt):
        owner = int(model.jnt_bodyid[joint])
        hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
        if not hinge or body not in (owner, int(model.body_parentid[owner])):
            continue
        place = float(np.clip(np.dot(data.xanchor[joint] - middle, axis) / half, -1.0, 1.0))
        places.append(place if ends is None else ends[len(places)])
        gaps.append(data.xanchor[joint] - middle - places[-1] * half * axis)
    return gaps, places


LIMBS = [
    pytest.param(name, str(row.element), id=f"{name}: {row.element}")
    for name in MODELS
    for row in PHYSICS_TABLES[name]
    if row.attribute == "half_length"
]


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize(("name", "element"), LIMBS)
def test_limbs_stay_joined(name: str, element: str, end: str) -> None:
    environment, applier = made(name)
    model = running_model(environment)
    geom = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, element.removeprefix("geom "))
    applier.apply({})
    before, places = joints_at_limbs(model, geom)
    length = float(model.geom_size[geom, 1])
    applier.apply(at_end(PHYSICS_TABLES[name], end))
    after, _ = joints_at_limbs(model, geom, ends=places)
    assert abs(float(model.geom_size[geom, 1]) - length) > 0.004
    assert len(before) == len(after) >= 1
    np.testing.assert_allclose(after, before, atol=1e-9)


def lowest(model: Any) -> float:
    """The distance from the ground to the lowest geom in the initial posture."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return min(float(mujoco.mj_geomDistance(model, data, 0, geom, 10.0, None)) for geom in range(1, model.ngeom))


@pytest.mark.parametrize("name", ["Hopper-v5", "HalfCheetah-v5", "Ant-v5", "dm_control/walker", "dm_control/hopper"])
def test_the_initial_posture_is_as_high_above_the_ground_as_before(name: str) -> None:
    environment, applier = made(name)
    model = running_model(environment)
    applier.apply({})
    before, start = lowest(model), model.qpos0.copy()
    for end in ("low", "high"):
        applier.apply(at_end(PHYSICS_TABLES[name], end))
        assert lowest(model) == pytest.approx(before, abs=1e-6)
    if name == "Hopper-v5":
        # The leg is 0.1 longer and the foot 0.02 thicker. The environment begins with what the model says.
        assert model.qpos0[1] - start[1] == pytest.approx(0.12)
        np.testing.assert_array_equal(environment.get_wrapper_attr("init_qpos"), model.qpos0)
    applier.apply({})
    np.testing.assert_array_equal(model.qpos0, start)


def test_gymnasiums_own_numbers_are_there_again_if_nothing_is_set() -> None:
    applied, untouched = made("HalfCheetah-v5")[0], make("HalfCheetah-v5")
    made("HalfCheetah-v5")[1].apply(at_end(PHYSICS_TABLES["HalfCheetah-v5"], "high"))
    made("HalfCheetah-v5")[1].apply({})
    states = []
    for environment in (applied, untouched):
        environment.reset(seed=5)
        environment.action_space.seed(0)
        for _ in range(100):
            observation, *_ = environment.step(environment.action_space.sample())
        states.append(observation)
    np.testing.assert_array_equal(states[0], states[1])

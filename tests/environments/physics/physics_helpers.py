"""Environments of the tables, made once, and where a compiled model has what a parameter sets."""

import functools
import re
from typing import Any

import gymnasium
import mujoco
import numpy as np

from triax.environments import EnvironmentConfig, dm_control_environment
from triax.environments.physics import PHYSICS_TABLES, PhysicsParameter, PhysicsTable, Uniform
from triax.environments.physics.models import ModelApplier
from triax.environments.physics.sources import find_model

TASKS = {
    "hopper": "hop",
    "cheetah": "run",
    "cheetah, hard": "run",
    "walker": "walk",
    "cartpole": "balance",
    "acrobot": "swingup",
    "manipulator": "bring_ball",
    "finger": "turn_easy",
}

MODELS = sorted(name for name, table in PHYSICS_TABLES.items() if table[0].elements[0] != "environment")
"""Tables for MuJoCo's models."""


def make(name: str) -> gymnasium.Env[Any, Any]:
    """Make the environment of a table, without it."""
    if not name.startswith("dm_control/"):
        return EnvironmentConfig(id=name).make()
    domain = name.removeprefix("dm_control/")
    arguments = {"domain": domain.split(",")[0], "task": TASKS[domain]}
    return EnvironmentConfig(factory=dm_control_environment, arguments=arguments).make()


@functools.cache
def made(name: str) -> tuple[gymnasium.Env[Any, Any], ModelApplier]:
    """The environment of a table, and what brings the table's values in; shared by all tests."""
    environment = make(name)
    return environment, ModelApplier(environment=environment, table=PHYSICS_TABLES[name])


def running_model(environment: gymnasium.Env[Any, Any]) -> Any:
    """The MjModel that an environment steps."""
    return find_model(environment).model


def uniform(element: str | tuple[str, ...], attribute: str, low: float, high: float) -> PhysicsParameter:
    return PhysicsParameter(element=element, attribute=attribute, distribution=Uniform(low=low, high=high))


def at_end(table: PhysicsTable, end: str) -> dict[str, float]:
    """All parameters at their lower or upper bounds."""
    return {row.name: float(getattr(row.distribution, end)) for row in table}


def compiled_value(model: Any, element: str, attribute: str) -> float:
    """Read what a compiled model has, by names and fields of MuJoCo's own documentation."""
    kind, _, name = element.partition(" ")
    matched = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", attribute)
    assert matched is not None
    field, index = matched[1], int(matched[2] or 0)
    if kind == "option":
        return float(np.ravel(getattr(model.opt, field))[index])
    number = _number(model, kind, name)
    if kind == "joint" and field in ("damping", "frictionloss", "armature"):
        return float(getattr(model, f"dof_{field}")[model.jnt_dofadr[number]])
    if kind == "joint" and field == "range":
        return float(np.rad2deg(model.jnt_range[number, index]))
    prefix = {"joint": "jnt"}.get(kind, kind)
    field, index = ("size", 1) if field == "half_length" else (field, index)
    return float(np.ravel(getattr(model, f"{prefix}_{field}")[number])[index])


def _number(model: Any, kind: str, name: str) -> int:
    number = mujoco.mj_name2id(model, getattr(mujoco.mjtObj, f"mjOBJ_{kind.upper()}"), name)
    if number < 0 and kind == "geom":  # called after its body
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
        geoms = range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
        (number,) = (geom for geom in geoms if not mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_GEOM, geom))
    if number < 0 and kind == "actuator":  # called after its joint
        joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
        (number,) = np.flatnonzero(model.actuator_trnid[:, 0] == joint)
    assert number >= 0, name
    return int(number)

"""Keeping a model off the ground: legs that grew would otherwise begin the episode inside of it, and be thrown out."""

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float64

_FAR = 1e3
"""So far, in metres, the ground is looked for."""


def clearances(model: Any) -> dict[int, float]:
    """Measure how high above the ground each part of a model begins.

    :param model: a ``mujoco.MjModel``.
    :return: for each body of the world that can move up and down, the distance of its lowest geom, or of one of what is
        joined to it, from the level planes, in metres; negative below them. Empty if there are no such bodies or
        planes.
    """
    lifts = _vertical_joints(model)
    planes = [
        geom
        for geom in range(model.ngeom)
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE and model.geom_bodyid[geom] == 0
    ]
    if not lifts or not planes:
        return {}
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    level = [plane for plane in planes if data.geom_xmat[plane, 8] > 1.0 - 1e-9]
    found: dict[int, float] = {}
    for geom in range(model.ngeom):
        root = int(model.body_rootid[model.geom_bodyid[geom]])
        if root in lifts:
            for plane in level:
                distance = mujoco.mj_geomDistance(model, data, plane, geom, _FAR, None)
                found[root] = min(found.get(root, _FAR), distance)
    return found


def lift(*, specification: Any, model: Any, heights: dict[int, float]) -> None:
    """Raise or lower each part.

    Its height stays what the joint's coordinate says: the coordinate with which it begins changes as well.

    :param specification: the ``mujoco.MjSpec`` to be changed.
    :param model: its ``mujoco.MjModel``.
    :param heights: by how much, in metres, for bodies of the world as in :func:`clearances`.
    """
    joints = _vertical_joints(model)
    for body in specification.worldbody.bodies:
        height = heights.get(body.id, 0.0)
        if height == 0.0:
            continue
        body.pos = np.asarray(body.pos) + np.array([0.0, 0.0, height])
        for joint in body.joints:
            if joint.id == joints[body.id] and joint.type == mujoco.mjtJoint.mjJNT_SLIDE:
                joint.ref += height * float(np.sign(_axis(model, joint.id)[2]))


def _vertical_joints(model: Any) -> dict[int, int]:
    """Find the free or vertical joint of each body of the world that has one, by the body's number."""
    found = {}
    for joint in range(model.njnt):
        body = int(model.jnt_bodyid[joint])
        kind = model.jnt_type[joint]
        vertical = kind == mujoco.mjtJoint.mjJNT_SLIDE and abs(_axis(model, joint)[2]) > 1.0 - 1e-9
        if model.body_parentid[body] == 0 and (vertical or kind == mujoco.mjtJoint.mjJNT_FREE):
            found[body] = joint
    return found


def _axis(model: Any, joint: int) -> Float64[np.ndarray, " 3"]:
    """Turn the axis of a joint of a body of the world into the world's frame."""
    turned = np.empty(3)
    mujoco.mju_rotVecQuat(turned, model.jnt_axis[joint], model.body_quat[model.jnt_bodyid[joint]])
    return turned

"""Limbs that change length and stay joined.

A limb is a geom with a long axis. Its body is joined to the parent at a point of that axis, the *anchor*. The limb, and
all that is attached to its body, is stretched along the axis away from the anchor: what sits at an end moves with that
end, what sits beyond an end moves as the end does, and what sits at the anchor stays. With s a point's place along the
axis, seen from the middle, h and h' the half lengths before and after, and s_a the anchor's place::

    displacement(s) = (clip(s, −h, h) − s_a) · (h'/h − 1)
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float64

Point = Float64[np.ndarray, " 3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Limb:
    """A geom's axis in its body's frame, metres.

    :ivar middle: the middle of the geom.
    :ivar axis: a unit vector.
    :ivar half_length: from the middle to an end.
    :ivar anchor: where the body is joined to its parent, from the middle along the axis.
    """

    middle: Point
    axis: Point
    half_length: float
    anchor: float

    def along(self, point: Point) -> float:
        """Find the place along the axis that is nearest to a point."""
        place = float(np.dot(point - self.middle, self.axis))
        return min(max(place, -self.half_length), self.half_length)

    def distance(self, point: Point) -> float:
        """Measure how far a point is from the axis."""
        return float(np.linalg.norm(point - self.middle - self.along(point) * self.axis))

    def displacement(self, point: Point, *, half_length: float) -> Point:
        """Say how far a point moves if the limb gets another half length."""
        return (self.along(point) - self.anchor) * (half_length / self.half_length - 1.0) * self.axis


def stretch(*, specification: Any, compiled: Any, geom: Any, half_length: float) -> None:
    """Give a limb another length.

    :param specification: the ``mujoco.MjSpec`` to be changed.
    :param compiled: the ``mujoco.MjModel`` of the unchanged one, where all positions are resolved.
    :param geom: the limb: a capsule, a cylinder, a box or an ellipsoid, whose third axis is the long one.
    :param half_length: the new half length, in metres.
    :raises ValueError: if the geom has no length, or stands with what is joined to it in a ``<frame>``.
    """
    kinds = mujoco.mjtGeom
    column = {kinds.mjGEOM_CAPSULE: 1, kinds.mjGEOM_CYLINDER: 1, kinds.mjGEOM_BOX: 2, kinds.mjGEOM_ELLIPSOID: 2}
    if geom.type not in column or geom.parent.id == 0:
        raise ValueError(
            f"'geom {geom.name}' has no length to be changed: it is no capsule, cylinder, box or ellipsoid of a body "
            "that moves. Take 'size[0]' and so on."
        )
    body = geom.parent
    limb = _limb(compiled=compiled, geom=geom.id, body=body.id, column=column[geom.type])
    moved = limb.displacement(limb.middle, half_length=half_length)
    if np.isfinite(geom.fromto[0]):
        # The ends keep their order; MuJoCo takes the length from them alone.
        axis = limb.axis * np.sign(np.dot(np.asarray(geom.fromto[3:]) - geom.fromto[:3], limb.axis))
        middle = limb.middle + moved
        geom.fromto = np.concatenate([middle - half_length * axis, middle + half_length * axis])
    else:
        _move(geom, moved)
        geom.size[column[geom.type]] = half_length
    for attached, point in _attached(body=body, limb=limb, compiled=compiled):
        if attached != geom:
            _move(attached, limb.displacement(point, half_length=half_length))


def _limb(*, compiled: Any, geom: int, body: int, column: int) -> _Limb:
    """Describe a geom as a limb."""
    axis = _rotate(compiled.geom_quat[geom], np.array([0.0, 0.0, 1.0]))
    size = float(compiled.geom_size[geom, column])
    loose = _Limb(middle=compiled.geom_pos[geom].copy(), axis=axis, half_length=size, anchor=0.0)
    return dataclasses.replace(loose, anchor=loose.along(_joined_at(compiled=compiled, body=body)))


def _joined_at(*, compiled: Any, body: int) -> Point:
    """Find where a body is joined to its parent, in its own frame: at its first hinge, or at its origin."""
    first = compiled.body_jntadr[body]
    for joint in range(first, first + compiled.body_jntnum[body]):
        # The number of a kind is equal to the kind from one side alone, so that `in` would not find it.
        if mujoco.mjtJoint(int(compiled.jnt_type[joint])) in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_BALL):
            return np.array(compiled.jnt_pos[joint])
    return np.zeros(3)


def _attached(*, body: Any, limb: _Limb, compiled: Any) -> Iterator[tuple[Any, Point]]:
    """List what is attached to a body, each with the point at which it is, in the body's frame."""
    for child in body.bodies:
        joint = _rotate(compiled.body_quat[child.id], _joined_at(compiled=compiled, body=child.id))
        yield child, compiled.body_pos[child.id] + joint
    for site in body.sites:
        yield site, np.array(compiled.site_pos[site.id])
    for geom in body.geoms:
        yield geom, _nearest_point(compiled=compiled, geom=geom, limb=limb)


def _nearest_point(*, compiled: Any, geom: Any, limb: _Limb) -> Point:
    """Take that point of a geom (its middle, or an end) which is nearest to the limb: there it is attached."""
    middle = np.array(compiled.geom_pos[geom.id])
    points = [middle]
    if geom.type in (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER):
        half = compiled.geom_size[geom.id, 1] * _rotate(compiled.geom_quat[geom.id], np.array([0.0, 0.0, 1.0]))
        points += [middle - half, middle + half]
    return min(points, key=limb.distance)


def _move(element: Any, displacement: Point) -> None:
    """Move an element of a specification in its body's frame."""
    if element.frame is not None:
        raise ValueError(
            f"{element.name!r} stands in a <frame> of the model, and cannot be moved with the limb that it is joined "
            "to. Write its position without the frame."
        )
    if np.isfinite(getattr(element, "fromto", [np.nan])[0]):
        element.fromto = np.asarray(element.fromto) + np.tile(displacement, 2)
    else:
        element.pos = np.asarray(element.pos) + displacement


def _rotate(quaternion: Any, vector: Point) -> Point:
    rotated = np.empty(3)
    mujoco.mju_rotVecQuat(rotated, vector, quaternion)
    return rotated

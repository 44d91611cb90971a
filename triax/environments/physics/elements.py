"""Elements of a MuJoCo model by kind and name, and what of them can be set.

``MjSpec`` answers None for a name that is not there, and ignores an attribute that has no meaning for an element. Here
the first is an error; the second is found by :mod:`triax.environments.physics.models`, which compiles and compares.
"""

import re
from collections import Counter
from typing import Any

import mujoco
import numpy as np

from triax.environments.physics.limbs import stretch
from triax.environments.physics.parameters import unknown

KINDS = {
    "body": "bodies",
    "geom": "geoms",
    "joint": "joints",
    "site": "sites",
    "tendon": "tendons",
    "actuator": "actuators",
    "equality": "equalities",
}
"""For each kind of element, where the specification lists them."""

FIRST_OF_SEVERAL = frozenset({"damping", "stiffness", "friction", "gear"})
"""Attributes that mean their first number if no index is given: linear damping and stiffness, sliding friction, and the
gear of an actuator with one degree of freedom."""

LENGTH = "half_length"
"""Half of a geom's length without its round ends, in metres. All that is joined to the geom moves with its ends."""

_ATTRIBUTE = re.compile(r"(\w+)(?:\[(\d+)\])?")


def find_element(*, specification: Any, element: str) -> Any:
    """Find an element of a model.

    An element without a name is called after its body, or an actuator after what it acts on, if no other is called so.

    :param specification: a ``mujoco.MjSpec``.
    :param element: kind and name, or "option".
    :return: the element.
    :raises UnknownPhysicsElement: if it is not there.
    """
    if element == "option":
        return specification.option
    kind, _, name = element.partition(" ")
    if kind not in KINDS:
        raise unknown(what=f"no kind of element {kind!r}, in {element!r}", name=kind, names=[*KINDS, "option"])
    named = _by_name(elements=getattr(specification, KINDS[kind]), kind=kind)
    if name not in named:
        raise unknown(what=f"no {kind} {name!r} in the model {specification.modelname!r}", name=name, names=named)
    return named[name]


def write_attribute(*, specification: Any, compiled: Any, element: str, attribute: str, value: float) -> None:
    """Set an attribute of an element.

    A body's mass can be set after :func:`pin_inertias`; its inertia is scaled with it.

    :param specification: the ``mujoco.MjSpec`` to be changed.
    :param compiled: the ``mujoco.MjModel`` of the unchanged one, whose elements have the same numbers.
    :param element: kind and name, or "option".
    :param attribute: its name, with an index if it needs one.
    :param value: the value, in the unit of the model's file.
    :raises UnknownPhysicsElement: if the element is not there, or has no such attribute.
    :raises ValueError: if this attribute of this element cannot be set by itself.
    """
    found = find_element(specification=specification, element=element)
    kind = element.partition(" ")[0]
    if kind == "geom":
        _check_geom(geom=found, specification=specification, element=element, attribute=attribute)
        if attribute == LENGTH:
            stretch(specification=specification, compiled=compiled, geom=found, half_length=value)
            return
    if kind == "body" and attribute == "mass":
        if found.mass == 0.0:
            raise ValueError(f"{element!r} has no mass in the model, and so no shape of it to be scaled.")
        found.inertia = np.asarray(found.inertia) * (value / found.mass)
        found.mass = value
        return
    _write_number(target=found, element=element, attribute=attribute, value=value)


def pin_inertias(*, specification: Any, compiled: Any) -> None:
    """Write down each body's mass and inertia as they are, so that neither its geoms nor a total mass settle them.

    :param specification: the ``mujoco.MjSpec`` to be changed.
    :param compiled: its ``mujoco.MjModel``.
    """
    specification.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
    specification.compiler.settotalmass = -1.0
    for body in specification.bodies[1:]:
        body.explicitinertial = True
        body.mass = float(compiled.body_mass[body.id])
        body.ipos = compiled.body_ipos[body.id]
        body.iquat = compiled.body_iquat[body.id]
        body.inertia = compiled.body_inertia[body.id]
        body.fullinertia = np.full(6, np.nan)


def _by_name(*, elements: Any, kind: str) -> dict[str, Any]:
    """List elements by what they are called."""
    owners = [element.name or _owner(element=element, kind=kind) for element in elements]
    count = Counter(owners)
    return {
        owner: element
        for owner, element in zip(owners, elements, strict=True)
        if owner and (element.name or count[owner] == 1)
    }


def _owner(*, element: Any, kind: str) -> str:
    """Say what an element without a name belongs to."""
    if kind == "actuator":
        return str(element.target)
    return str(element.parent.name) if kind in ("geom", "joint", "site") else ""


def _check_geom(*, geom: Any, specification: Any, element: str, attribute: str) -> None:
    """Refuse what MuJoCo would ignore or undo."""
    limbs = (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER)
    if attribute == "size[1]" and geom.type in limbs:
        raise ValueError(
            f"{element!r}: {attribute!r} would lengthen the geom and leave what is joined to it where it is (or do "
            f"nothing, if the geom is given by its ends). Take the attribute {LENGTH!r}, which moves that with it."
        )
    if attribute in ("mass", "density") and specification.compiler.settotalmass > 0.0:
        raise ValueError(
            f"{element!r}: the model {specification.modelname!r} scales all masses to "
            f"{specification.compiler.settotalmass} kg in all, so that {attribute!r} would become another value. Take "
            "the attribute 'mass' of its body, for which the other bodies keep theirs."
        )


def _write_number(*, target: Any, element: str, attribute: str, value: float) -> None:
    """Set one number."""
    matched = _ATTRIBUTE.fullmatch(attribute)
    name, index = (matched[1], matched[2]) if matched else (attribute, None)
    current = None if name.startswith("_") else getattr(target, name, None)
    if isinstance(current, float) and index is None:
        setattr(target, name, float(value))
        return
    if isinstance(current, np.ndarray) and np.issubdtype(current.dtype, np.floating):
        if index is None and name in FIRST_OF_SEVERAL:
            index = "0"
        if index is not None and int(index) < current.size:
            current[int(index)] = value
            return
    names = _attribute_names(target=target, element=element)
    raise unknown(what=f"no number {attribute!r} of {element!r}", name=attribute, names=names)


def _attribute_names(*, target: Any, element: str) -> list[str]:
    """List what can be set."""
    names = {"geom": [LENGTH], "body": ["mass"]}.get(element.partition(" ")[0], [])
    for name in dir(target):
        value = None if name.startswith("_") else getattr(target, name)
        if isinstance(value, float) or name in FIRST_OF_SEVERAL:
            names += [name] if name not in names else []
        elif isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
            names += [f"{name}[{index}]" for index in range(min(value.size, 6))]
    return names

"""Tables for environments of Gymnasium and dm_control: plain data, to be taken as they are or as a start.

Each element is drawn for itself. Lengths are in metres; capsules have a radius (``size[0]``) and half a length
(``half_length``). Angles are in degrees, damping is in N m s/rad, stiffness in N m/rad, gravity in m/s².
"""

from collections.abc import Iterable, Mapping

from triax.environments.physics.distributions import Choice, Uniform
from triax.environments.physics.parameters import PhysicsParameter, PhysicsTable


def _rows(kind: str, names: str, **bounds: tuple[float, float]) -> PhysicsTable:
    """Make uniform parameters for elements of a kind; ``radius`` stands for ``size[0]``."""
    attributes = {"radius": "size[0]", "lower_limit": "range[0]", "gravity": "gravity[2]"}
    return tuple(
        PhysicsParameter(
            element=f"{kind} {name}".strip(),
            attribute=attributes.get(attribute, attribute),
            distribution=Uniform(low=low, high=high),
        )
        for name in names.split(",")
        for attribute, (low, high) in bounds.items()
    )


def _environment(**bounds: tuple[float, float]) -> PhysicsTable:
    return _rows("environment", "", **bounds)


def _cells(attribute: str, cells: Iterable[int]) -> PhysicsParameter:
    values = tuple(float(cell) for cell in cells)
    return PhysicsParameter(element="environment", attribute=attribute, distribution=Choice(values=values))


_TORQUE = _environment(max_torque=(0.01, 4.0))

PHYSICS_TABLES: Mapping[str, PhysicsTable] = {
    # Gymnasium's MuJoCo.
    "Hopper-v5": (
        *_rows("geom", "foot_geom", radius=(0.04, 0.08), half_length=(0.15, 0.25)),
        *_rows("geom", "leg_geom", radius=(0.03, 0.05), half_length=(0.20, 0.30)),
    ),
    "HalfCheetah-v5": (
        *_rows("joint", "bthigh,fthigh", damping=(4.0, 8.0)),
        *_rows("geom", "ffoot,bfoot", radius=(0.04, 0.05), half_length=(0.065, 0.075)),
        *_rows("option", "", gravity=(-11.0, -8.0)),
    ),
    "Swimmer-v5": _rows("geom", "mid,back", radius=(0.07, 0.13)),
    "Ant-v5": (
        *_rows("geom", "left_ankle_geom,right_ankle_geom,third_ankle_geom,fourth_ankle_geom", radius=(0.06, 0.10)),
        *_rows("geom", "left_leg_geom,right_leg_geom,back_leg_geom,rightback_leg_geom", radius=(0.06, 0.10)),
    ),
    "InvertedDoublePendulum-v5": _rows("option", "", gravity=(-15.0, -5.0)),
    # dm_control.
    "dm_control/hopper": (
        *_rows("geom", "foot", radius=(0.03, 0.05)),
        *_rows("geom", "calf", radius=(0.02, 0.04)),
        *_rows("geom", "thigh", radius=(0.03, 0.05)),
        *_rows("geom", "pelvis", radius=(0.06, 0.07)),
    ),
    "dm_control/cheetah": (
        *_rows("joint", "bthigh,fthigh", damping=(4.0, 8.0), stiffness=(230.0, 250.0)),
        *_rows("geom", "ffoot,bfoot", radius=(0.04, 0.05), half_length=(0.065, 0.075)),
    ),
    "dm_control/cheetah, hard": _rows("joint", "bthigh,fthigh", damping=(0.0, 8.0), stiffness=(0.0, 250.0)),
    "dm_control/walker": (
        *_rows("geom", "right_foot,left_foot", radius=(0.04, 0.06), half_length=(0.09, 0.11)),
        *_rows("geom", "right_leg,left_leg", radius=(0.03, 0.05), half_length=(0.23, 0.27)),
        *_rows("geom", "right_thigh,left_thigh", radius=(0.04, 0.06), half_length=(0.20, 0.25)),
        *_rows("joint", "right_knee,left_knee", lower_limit=(-160.0, -140.0)),
    ),
    "dm_control/cartpole": _rows("joint", "hinge_1", stiffness=(0.0, 0.5)),
    "dm_control/acrobot": _rows("joint", "shoulder", damping=(0.025, 0.075)),
    "dm_control/manipulator": (
        *_rows("joint", "arm_root", damping=(1.0, 3.0)),
        *_rows("joint", "arm_shoulder", damping=(1.0, 2.0)),
        *_rows("joint", "arm_elbow", damping=(0.5, 1.5)),
        *_rows("joint", "arm_wrist", damping=(0.25, 0.75)),
    ),
    "dm_control/finger": _rows("joint", "hinge", frictionloss=(0.0, 0.5), damping=(0.25, 0.75)),
    # Attributes of Python objects; those that Gymnasium's environments lack are in triax.environments.adjustable.
    "Pendulum-v1": _TORQUE,
    "triax/Pendulum-v0": _TORQUE,
    "triax/Acrobot-v0": (
        *_environment(LINK_LENGTH_1=(0.9, 1.1), LINK_LENGTH_2=(0.9, 1.1)),
        *_environment(LINK_MASS_1=(0.9, 1.1), LINK_MASS_2=(0.9, 1.1)),
        *_environment(LINK_COM_POS_1=(0.45, 0.55), LINK_COM_POS_2=(0.45, 0.55)),
        PhysicsParameter(element="environment", attribute="gravity", distribution=Uniform(low=9.0, high=11.0)),
    ),
    "triax/CarRacing-v0": _environment(road_friction=(0.1, 2.1)),
    "triax/FrozenLake-v0": (
        *_environment(success_rate=(1.0 / 3.0, 1.0)),
        _cells("start", range(8)),
        _cells("goal", (39, 47, 55, 63)),
    ),
}
"""For each environment its table. What begins with "dm_control/" is for the tasks of that domain."""

"""Randomised physics: a table of parameters is data, a pure function samples it, and a wrapper brings it in.

The parameters are those of elements of MuJoCo models, edited by name through ``MjSpec``, or attributes of environments.
:data:`~triax.environments.physics.presets.PHYSICS_TABLES` has tables for environments of Gymnasium and dm_control.
"""

from triax.environments.physics.appliers import PhysicsOverwritten
from triax.environments.physics.distributions import Choice, Distribution, Fixed, LogUniform, Uniform
from triax.environments.physics.parameters import (
    PhysicsParameter,
    PhysicsSample,
    PhysicsTable,
    UnknownPhysicsElement,
    episode_physics,
    sample,
)
from triax.environments.physics.presets import PHYSICS_TABLES
from triax.environments.physics.wrapper import RandomisedPhysics

__all__ = [
    "PHYSICS_TABLES",
    "Choice",
    "Distribution",
    "Fixed",
    "LogUniform",
    "PhysicsOverwritten",
    "PhysicsParameter",
    "PhysicsSample",
    "PhysicsTable",
    "RandomisedPhysics",
    "Uniform",
    "UnknownPhysicsElement",
    "episode_physics",
    "sample",
]

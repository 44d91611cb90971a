"""Environments: how an experiment names them, and the library's own, which this import registers with Gymnasium.

The probe environments with known answers stand in :mod:`triax.environments.probes`.
"""

from triax.environments.action_wrappers import (
    ContinuingContinuousAction,
    ContinuousMixedAction,
    TerminatingContinuousAction,
)
from triax.environments.factory import EnvironmentConfig, MissingDependency, UnknownEnvironment
from triax.environments.mixed_action import MixedAction2D, register_mixed_action
from triax.environments.set_spaces import ElementOf, SetOf

__all__ = [
    "ContinuingContinuousAction",
    "ContinuousMixedAction",
    "ElementOf",
    "EnvironmentConfig",
    "MissingDependency",
    "MixedAction2D",
    "SetOf",
    "TerminatingContinuousAction",
    "UnknownEnvironment",
    "register_mixed_action",
]

register_mixed_action()

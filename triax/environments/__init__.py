"""Environments: how an experiment names them, and the library's own, which this import registers with Gymnasium.

The probe environments with known answers stand in :mod:`triax.environments.probes`, randomised physics in
:mod:`triax.environments.physics`.
"""

from triax.environments.action_wrappers import (
    ContinuingContinuousAction,
    ContinuousMixedAction,
    TerminatingContinuousAction,
)
from triax.environments.adjustable import register_adjustable
from triax.environments.declaring import DeclareMask, DeclareSet, MaskFromInfo, PaddedSet
from triax.environments.discretised_actions import BangBangAction, DiscreteAction, LevelAction
from triax.environments.dm_control import dm_control_environment
from triax.environments.factory import EnvironmentConfig, EnvironmentNotMade, MissingDependency, UnknownEnvironment
from triax.environments.mixed_action import MixedAction2D, register_mixed_action
from triax.environments.mixed_action_sets import MixedActionSets2D, register_mixed_action_sets
from triax.environments.triangles import Triangles, register_triangles
from triax.environments.triangles_targets import ImageFolder, RandomShapes, TargetGenerator

__all__ = [
    "BangBangAction",
    "ContinuingContinuousAction",
    "ContinuousMixedAction",
    "DeclareMask",
    "DeclareSet",
    "DiscreteAction",
    "EnvironmentConfig",
    "EnvironmentNotMade",
    "ImageFolder",
    "LevelAction",
    "MaskFromInfo",
    "MissingDependency",
    "MixedAction2D",
    "MixedActionSets2D",
    "PaddedSet",
    "RandomShapes",
    "TargetGenerator",
    "TerminatingContinuousAction",
    "Triangles",
    "UnknownEnvironment",
    "dm_control_environment",
    "register_adjustable",
    "register_mixed_action",
    "register_mixed_action_sets",
    "register_triangles",
]

register_mixed_action()
register_adjustable()
register_mixed_action_sets()
register_triangles()

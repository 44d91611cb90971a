"""Environments: how an experiment names them, and the library's own, which this import registers with Gymnasium.

The probe environments with known answers stand in :mod:`triax.environments.probes`.
"""

from triax.environments.action_wrappers import (
    ContinuingContinuousAction,
    ContinuousMixedAction,
    TerminatingContinuousAction,
)
from triax.environments.declaring import DeclareMask, DeclareSet, MaskFromInfo, PaddedSet
from triax.environments.factory import EnvironmentConfig, MissingDependency, UnknownEnvironment
from triax.environments.mixed_action import MixedAction2D, register_mixed_action
from triax.environments.mixed_action_sets import MixedActionSets2D, register_mixed_action_sets
from triax.environments.triangles import Triangles, register_triangles
from triax.environments.triangles_targets import ImageFolder, RandomShapes, TargetGenerator

__all__ = [
    "ContinuingContinuousAction",
    "ContinuousMixedAction",
    "DeclareMask",
    "DeclareSet",
    "EnvironmentConfig",
    "ImageFolder",
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
    "register_mixed_action",
    "register_mixed_action_sets",
    "register_triangles",
]

register_mixed_action()
register_mixed_action_sets()
register_triangles()

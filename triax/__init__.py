"""Triax: deep reinforcement learning and imitation learning in JAX and Flax.

Any learner learns from any source of experience on any action and observation space that is supported; an experiment
is a Python file that builds an :class:`Experiment` and hands it to :func:`main`.
"""

from triax.cli import main
from triax.datasets import DatasetConfig
from triax.environments import EnvironmentConfig
from triax.evaluation import EvaluationConfig
from triax.learners.bc import BCConfig
from triax.learners.optimizer import OptimizerConfig
from triax.learners.ppo import PPOConfig
from triax.learners.registry import register
from triax.learners.sac import SACConfig
from triax.networks import ActionHeadConfig, EncoderConfig, MLPConfig, NetworkConfig
from triax.networks.noise import PinkNoise, WhiteNoise
from triax.replay import ReplayConfig
from triax.rollout import RolloutConfig, SupervisionConfig
from triax.spaces import ElementOf, MaskOf, SetOf, UsedBy
from triax.training import (
    Agent,
    Callback,
    CheckpointConfig,
    Experiment,
    LoopConfig,
    StopConfig,
    TrainingInterrupted,
    TrainingResult,
    TrainingView,
    load_agent,
    resume,
    train,
)

__version__ = "0.1.0"

__all__ = [
    "ActionHeadConfig",
    "Agent",
    "BCConfig",
    "Callback",
    "CheckpointConfig",
    "DatasetConfig",
    "ElementOf",
    "EncoderConfig",
    "EnvironmentConfig",
    "EvaluationConfig",
    "Experiment",
    "LoopConfig",
    "MLPConfig",
    "MaskOf",
    "NetworkConfig",
    "OptimizerConfig",
    "PPOConfig",
    "PinkNoise",
    "ReplayConfig",
    "RolloutConfig",
    "SACConfig",
    "SetOf",
    "StopConfig",
    "SupervisionConfig",
    "TrainingInterrupted",
    "TrainingResult",
    "TrainingView",
    "UsedBy",
    "WhiteNoise",
    "__version__",
    "load_agent",
    "main",
    "register",
    "resume",
    "train",
]

"""Triax: deep reinforcement learning and imitation learning in JAX and Flax.

Any learner learns from any source of experience on any action and observation space that is supported; an experiment
is a Python file that builds an :class:`Experiment` and hands it to :func:`main`.
"""

from triax.cli import main
from triax.datasets import DatasetConfig
from triax.environments import EnvironmentConfig
from triax.evaluation import EvaluationConfig
from triax.learners.a2c import A2CConfig
from triax.learners.actor_critic import Generalised, MonteCarlo, NStep
from triax.learners.bc import BCConfig
from triax.learners.cloning import ExpertFunction
from triax.learners.dagger import DAggerConfig
from triax.learners.mtbc import MTBCConfig
from triax.learners.online_supervised import OnlineSupervisedConfig
from triax.learners.optimizer import OptimizerConfig, PartConfig
from triax.learners.ppo import PPOConfig
from triax.learners.registry import register
from triax.learners.reinforce import ReinforceConfig
from triax.learners.sac import SACConfig
from triax.learners.stream_ac import ObGDConfig, StreamACConfig
from triax.learners.terms import LinearSchedule
from triax.networks import (
    ActionHeadConfig,
    EncoderConfig,
    ImageEncoderConfig,
    MLPConfig,
    NetworkConfig,
    SetEncoderConfig,
)
from triax.networks.noise import PinkNoise, WhiteNoise
from triax.replay import ReplayConfig
from triax.rollout import RolloutConfig, SupervisionConfig
from triax.spaces import ElementOf, MaskOf, SetOf, UsedBy
from triax.training import (
    Agent,
    Callback,
    CheckpointConfig,
    Experiment,
    ExpertRun,
    LoadConfig,
    LoopConfig,
    StopConfig,
    TrainingInterrupted,
    TrainingResult,
    TrainingView,
    WandbCallback,
    load_agent,
    resume,
    train,
)

__version__ = "0.1.0"

__all__ = [
    "A2CConfig",
    "ActionHeadConfig",
    "Agent",
    "BCConfig",
    "Callback",
    "CheckpointConfig",
    "DAggerConfig",
    "DatasetConfig",
    "ElementOf",
    "EncoderConfig",
    "EnvironmentConfig",
    "EvaluationConfig",
    "Experiment",
    "ExpertFunction",
    "ExpertRun",
    "Generalised",
    "ImageEncoderConfig",
    "LinearSchedule",
    "LoadConfig",
    "LoopConfig",
    "MLPConfig",
    "MTBCConfig",
    "MaskOf",
    "MonteCarlo",
    "NStep",
    "NetworkConfig",
    "ObGDConfig",
    "OnlineSupervisedConfig",
    "OptimizerConfig",
    "PPOConfig",
    "PartConfig",
    "PinkNoise",
    "ReinforceConfig",
    "ReplayConfig",
    "RolloutConfig",
    "SACConfig",
    "SetEncoderConfig",
    "SetOf",
    "StopConfig",
    "StreamACConfig",
    "SupervisionConfig",
    "TrainingInterrupted",
    "TrainingResult",
    "TrainingView",
    "UsedBy",
    "WandbCallback",
    "WhiteNoise",
    "__version__",
    "load_agent",
    "main",
    "register",
    "resume",
    "train",
]

"""Training: the loops, what surrounds them, and the experiments that describe them."""

from triax.training.agent import Agent, load_agent
from triax.training.callbacks import Callback, TrainingView
from triax.training.experiment import CheckpointConfig, Experiment, LoopConfig, StopConfig
from triax.training.experts import ExpertRun
from triax.training.interrupts import TrainingInterrupted
from triax.training.loading import LoadConfig
from triax.training.session import TrainingResult, resume, train
from triax.training.wandb import WandbCallback

__all__ = [
    "Agent",
    "Callback",
    "CheckpointConfig",
    "Experiment",
    "ExpertRun",
    "LoadConfig",
    "LoopConfig",
    "StopConfig",
    "TrainingInterrupted",
    "TrainingResult",
    "TrainingView",
    "WandbCallback",
    "load_agent",
    "resume",
    "train",
]

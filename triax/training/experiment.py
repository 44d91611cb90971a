"""An experiment: everything that decides what a training run does, as frozen dataclasses in Python code.

Only the training loop sees a whole :class:`Experiment`; each component receives its own config.
"""

import dataclasses
import math

from triax.datasets import DatasetConfig
from triax.environments import EnvironmentConfig
from triax.evaluation import EvaluationConfig
from triax.learners.interface import LearnerConfig
from triax.replay import ReplayConfig
from triax.rollout import RolloutConfig
from triax.runs import can_name_folder
from triax.spaces import UsedBy
from triax.training.callbacks import Callback
from triax.training.devices import DeviceName
from triax.training.loading import LoadConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """When the whole state is saved, and what is kept."""

    interval: int = 10_000
    """Environment steps (updates, for offline learners) between checkpoints. One is always made at the end."""
    keep_last: int = 2
    """How many keep everything that resuming needs. The best by score keeps its policy."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("interval", "keep_last"):
            if getattr(self, name) < 1:
                raise ValueError(f"CheckpointConfig.{name}={getattr(self, name)} must be at least 1.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StopConfig:
    """What ends a run before its steps are used up."""

    at_return: float | None = None
    """End when an evaluation's mean return reaches this."""
    after_seconds: float | None = None
    """End after this many seconds of wall time, resumed time included. Such a run cannot be reproduced exactly."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.at_return is not None and not math.isfinite(self.at_return):
            raise ValueError(f"StopConfig.at_return={self.at_return} must be a finite number, or None.")
        if self.after_seconds is not None and not (math.isfinite(self.after_seconds) and self.after_seconds > 0.0):
            raise ValueError(f"StopConfig.after_seconds={self.after_seconds} must be a finite number above 0, or None.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How the training loop works; figures for speed and for learning come from the same settings."""

    updates_per_call: int = 8
    """Replay: updates in one compiled call. Environments in line act with the policy of the last call; with 1, a single
    environment has a new policy in every step, as in the literature, and each update takes longer, since a call has a
    time of its own. Workers have policies that are older, and send chunks of four steps at least."""
    ratio_tolerance: int = 0
    """Replay: how many updates may be made before the experience for them is there, and how many may be outstanding
    when more experience is taken in, beyond one call. With more than 0 neither side waits for short delays of the
    other."""
    log_interval: int = 1000
    """Environment steps (updates, for offline learners) between rows of metrics.jsonl."""
    video: bool = True
    """Whether the final policy is filmed, where the environment can render pictures."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("updates_per_call", "log_interval"):
            if getattr(self, name) < 1:
                raise ValueError(f"LoopConfig.{name}={getattr(self, name)} must be at least 1.")
        if self.ratio_tolerance < 0:
            raise ValueError(f"LoopConfig.ratio_tolerance={self.ratio_tolerance} must be at least 0.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is learned, by what, from what, for how long."""

    name: str
    """Names the run directory and the curve in comparisons."""
    learner: LearnerConfig
    """The algorithm and its settings."""
    environment: EnvironmentConfig | None = None
    """Where experience comes from, and where policies are evaluated."""
    relations: tuple[UsedBy, ...] = ()
    """Which choice uses which part of an action, where the action space does not say so by its form."""
    dataset: DatasetConfig | tuple[DatasetConfig, ...] | None = None
    """Recorded experience, for learners that need it. Of several datasets, of one task each or not, every batch has
    rows in the stated shares."""
    prefill: DatasetConfig | None = None
    """Recorded experience that the replay begins with, for learners that replay. It is not counted as steps."""
    load: tuple[LoadConfig, ...] = ()
    """Parts of other runs' policies that the run begins with. A resumed run does not load them again."""
    total_steps: int
    """Environment steps; updates, for offline learners."""
    seed: int = 0
    """Every random number of the run follows from it."""
    device: str | None = None
    """Where updates are computed: cpu, gpu (the first), gpu:1, or several such as gpu:0,1, over which each batch is
    split. None: JAX's default device. Workers act on the CPU in any case."""
    rollout: RolloutConfig = dataclasses.field(default_factory=RolloutConfig)
    """How environments are stepped."""
    replay: ReplayConfig = dataclasses.field(default_factory=ReplayConfig)
    """How experience is kept, for learners that replay it."""
    loop: LoopConfig = dataclasses.field(default_factory=LoopConfig)
    """How the training loop works."""
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    """How and when policies are evaluated."""
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    """How and when the state is saved."""
    stop: StopConfig = dataclasses.field(default_factory=StopConfig)
    """What ends the run early."""
    callbacks: tuple[Callback, ...] = ()
    """Called during training; see :class:`triax.training.callbacks.Callback`."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not can_name_folder(self.name):
            raise ValueError(f"Experiment.name={self.name!r} must be usable as the name of a folder.")
        for name, least in (("total_steps", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"Experiment.{name}={value!r} must be an int.")
            if value < least:
                raise ValueError(f"Experiment.{name}={value} must be at least {least}.")
        if self.device is not None:
            if not isinstance(self.device, str):
                raise ValueError(f'Experiment.device={self.device!r} must be a text such as "gpu:0", or None.')
            DeviceName.read(self.device)
        if not isinstance(self.learner, LearnerConfig):
            raise ValueError(
                f"Experiment.learner={self.learner!r} must be a learner's config, such as triax.SACConfig(), with a "
                "method build."
            )
        if self.environment is None and not self.datasets:
            raise ValueError("Experiment: set `environment`, `dataset` or both; there is nothing to learn from.")

    @property
    def datasets(self) -> tuple[DatasetConfig, ...]:
        """All datasets that are named."""
        if self.dataset is None:
            return ()
        return self.dataset if isinstance(self.dataset, tuple) else (self.dataset,)

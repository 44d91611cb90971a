"""Experience: a policy acts in environments, and what happens is written down in chunks."""

from triax.rollout.acting import CompiledPolicy
from triax.rollout.collector import Collector, CollectorState
from triax.rollout.environments import EnvironmentBatch, EnvironmentBatchState, EnvironmentStep
from triax.rollout.fleet import (
    CannotSendToWorkers,
    Fleet,
    FleetReport,
    RolloutConfig,
    SupervisionConfig,
    WorkersFailed,
)
from triax.rollout.inline import InlineFleet, InlineFleetState
from triax.rollout.resuming import Resumable, UnfaithfulEnvironment
from triax.rollout.seeded import EnvironmentFailed, EpisodePlace, MakeEnvironment, NonFiniteExperience

__all__ = [
    "CannotSendToWorkers",
    "Collector",
    "CollectorState",
    "CompiledPolicy",
    "EnvironmentBatch",
    "EnvironmentBatchState",
    "EnvironmentFailed",
    "EnvironmentStep",
    "EpisodePlace",
    "Fleet",
    "FleetReport",
    "InlineFleet",
    "InlineFleetState",
    "MakeEnvironment",
    "NonFiniteExperience",
    "Resumable",
    "RolloutConfig",
    "SupervisionConfig",
    "UnfaithfulEnvironment",
    "WorkersFailed",
]

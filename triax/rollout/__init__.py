"""Experience: a policy acts in environments, and what happens is written down in chunks."""

from triax.rollout.acting import CompiledPolicy
from triax.rollout.collector import Collector, CollectorState
from triax.rollout.environments import EnvironmentBatch, EnvironmentBatchState, EnvironmentStep
from triax.rollout.fleet import Fleet, FleetReport, RolloutConfig
from triax.rollout.inline import InlineFleet, InlineFleetState
from triax.rollout.resuming import Resumable, UnfaithfulEnvironment
from triax.rollout.seeded import (
    EnvironmentFailed,
    EpisodePlace,
    MakeEnvironment,
    NonFiniteAction,
    NonFiniteExperience,
)
from triax.rollout.supervision import CannotSendToWorkers, RestartBudget, SupervisionConfig, WorkersFailed

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
    "NonFiniteAction",
    "NonFiniteExperience",
    "RestartBudget",
    "Resumable",
    "RolloutConfig",
    "SupervisionConfig",
    "UnfaithfulEnvironment",
    "WorkersFailed",
]

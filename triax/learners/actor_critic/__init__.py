"""What algorithms with a policy and a value network that learn from fresh experience have in common.

One family, whose members differ in their parts: how advantages are estimated
(:mod:`~triax.learners.actor_critic.advantages`), and of which terms the loss is made
(:mod:`~triax.learners.actor_critic.losses`, :mod:`triax.learners.terms`).
"""

from triax.learners.actor_critic.advantages import AdvantageEstimator, Generalised, MonteCarlo, NStep, VTrace
from triax.learners.actor_critic.config import ActorCriticConfig
from triax.learners.actor_critic.learner import ActorCritic
from triax.learners.actor_critic.losses import (
    ActorCriticInputs,
    ActorCriticTerm,
    ApproximateKL,
    ClippedSurrogate,
    ImportanceWeightedSurrogate,
    PlainSurrogate,
    ReverseKL,
    Surrogate,
    ValueLoss,
)
from triax.learners.actor_critic.state import ActorCriticState, PreparedRows

__all__ = [
    "ActorCritic",
    "ActorCriticConfig",
    "ActorCriticInputs",
    "ActorCriticState",
    "ActorCriticTerm",
    "AdvantageEstimator",
    "ApproximateKL",
    "ClippedSurrogate",
    "Generalised",
    "ImportanceWeightedSurrogate",
    "MonteCarlo",
    "NStep",
    "PlainSurrogate",
    "PreparedRows",
    "ReverseKL",
    "Surrogate",
    "VTrace",
    "ValueLoss",
]

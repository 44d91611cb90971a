"""What the losses of actor-critics are made of: terms that put the networks' outputs into the objectives."""

import dataclasses
from typing import ClassVar, TypeAlias

from jaxtyping import Array, Float

from triax.learners.actor_critic.state import ActorCriticNetworks, ActorCriticStatistics, PreparedRows
from triax.learners.registry import register
from triax.learners.terms import LossTerm, Scheduled
from triax.networks import Distribution
from triax.objectives.averages import Weight, explained_variance, standardised
from triax.objectives.checks import check_vectors
from triax.objectives.policy_gradient import (
    approximate_kl,
    clip_fraction,
    clipped_surrogate_loss,
    importance_weighted_loss,
    log_ratio,
    reverse_kl,
    score_function_loss,
    value_loss,
)
from triax.random import KeyArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorCriticInputs:
    """A batch of rows as the networks see it now.

    :ivar rows: the batch.
    :ivar parameters: of the networks.
    :ivar distribution: the policy at the observations.
    :ivar log_probability: log π_new of the actions, [N].
    :ivar log_ratio: log π_new − log π_old of the actions, [N].
    :ivar advantage: as the policy is to learn from it: standardised and weighted, [N].
    :ivar acting_weight: how much a row counts in what is said of the policy before the updates: V-trace's ρ, [N].
    :ivar value_output: of the value network, in its own units, [N].
    :ivar value_target: in the units of the value network, [N].
    :ivar old_value: what the value network said before the updates, in its units, [N].
    :ivar key: for estimates.
    """

    rows: PreparedRows
    parameters: ActorCriticNetworks
    distribution: Distribution
    log_probability: Float[Array, " N"]
    log_ratio: Float[Array, " N"]
    advantage: Float[Array, " N"]
    acting_weight: Weight
    value_output: Float[Array, " N"]
    value_target: Float[Array, " N"]
    old_value: Float[Array, " N"]
    key: KeyArray

    @property
    def weight(self) -> Weight:
        """Whether a row counts, [N]."""
        return self.rows.valid


def loss_inputs(
    *,
    rows: PreparedRows,
    parameters: ActorCriticNetworks,
    distribution: Distribution,
    value_output: Float[Array, " N"],
    statistics: ActorCriticStatistics,
    normalise_advantages: bool,
    key: KeyArray,
) -> ActorCriticInputs:
    """Compute what terms share.

    Where V-trace weighs the rows, surrogates have ρ Â in the place of Â (Espeholt et al. 2018, arXiv:1802.01561,
    section 4.2), and what is said of the policy before the updates is weighted by ρ: the advantages' mean and
    deviation, the KL and the clip fraction. The values and the entropy are learned where the policy that acted has
    been, unweighted.

    :param rows: the batch.
    :param parameters: of the networks.
    :param distribution: the policy at the batch's observations.
    :param value_output: of the value network at them, in its own units, [N].
    :param statistics: whose units the value network learns.
    :param normalise_advantages: whether advantages are standardised.
    :param key: for estimates.
    :return: the inputs of terms.
    """
    weight = rows.valid
    check_vectors(
        value_output=value_output,
        log_probability=rows.log_probability,
        advantage=rows.advantage,
        value_target=rows.value_target,
        value=rows.value,
        valid=weight,
    )
    acting_weight: Weight = weight
    if rows.importance is not None:
        check_vectors(valid=weight, importance=rows.importance)
        acting_weight = weight * rows.importance
    log_probability = distribution.log_prob(action=rows.action)
    advantage = rows.advantage
    if normalise_advantages:
        advantage = standardised(values=advantage, weight=acting_weight)
    if rows.importance is not None:
        advantage = rows.importance * advantage
    return ActorCriticInputs(
        rows=rows,
        parameters=parameters,
        distribution=distribution,
        log_probability=log_probability,
        log_ratio=log_ratio(log_probability=log_probability, old_log_probability=rows.log_probability, weight=weight),
        advantage=advantage,
        acting_weight=acting_weight,
        value_output=value_output,
        value_target=statistics.normalised_return(value=rows.value_target),
        old_value=statistics.normalised_return(value=rows.value),
        key=key,
    )


ActorCriticTerm: TypeAlias = LossTerm[ActorCriticInputs]
"""A part of an actor-critic's loss."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surrogate(ActorCriticTerm):
    """What the policy minimises: it falls as likely actions have larger advantages."""

    name: ClassVar[str] = "policy_loss"


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class PlainSurrogate(Surrogate):
    """−E[Â log π_new]: right for the policy that acted, and so for one update a chunk."""

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Compute the loss."""
        return score_function_loss(
            log_probability=inputs.log_probability, advantage=inputs.advantage, weight=inputs.weight
        )


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportanceWeightedSurrogate(Surrogate):
    """−E[r Â], r being the ratio of the policy's probabilities to those of the one that acted. With a term of
    :class:`ReverseKL` it is the reverse-KL surrogate, with one of :class:`ApproximateKL` the forward one.
    """

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Compute the loss."""
        return importance_weighted_loss(log_ratio=inputs.log_ratio, advantage=inputs.advantage, weight=inputs.weight)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ClippedSurrogate(Surrogate):
    """−E[min(r Â, clip(r, 1 − ε, 1 + ε) Â)]: PPO's."""

    clip_range: float = 0.2
    """ε."""

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Compute the loss."""
        return clipped_surrogate_loss(
            log_ratio=inputs.log_ratio,
            advantage=inputs.advantage,
            clip_range=self.clip_range,
            weight=inputs.weight,
        )


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ValueLoss(ActorCriticTerm):
    """Half the mean squared error of the value network, in its own units."""

    name: ClassVar[str] = "value_loss"

    clip_range: float | None = None
    """How far values are to move; None: not clipped."""

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Compute the loss."""
        return value_loss(
            value=inputs.value_output,
            target=inputs.value_target,
            old_value=inputs.old_value,
            clip_range=self.clip_range,
            weight=inputs.weight,
        )


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReverseKL(ActorCriticTerm):
    """KL(π_new ‖ π_old), nats."""

    name: ClassVar[str] = "reverse_kl"

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Estimate it."""
        return reverse_kl(log_ratio=inputs.log_ratio, weight=inputs.acting_weight)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ApproximateKL(ActorCriticTerm):
    """KL(π_old ‖ π_new), nats. π_old is the policy that acted; corrected by V-trace, the one before the updates."""

    name: ClassVar[str] = "approximate_kl"

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Estimate it."""
        return approximate_kl(log_ratio=inputs.log_ratio, weight=inputs.acting_weight)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipFraction(ActorCriticTerm):
    """The share of ratios that are clipped; to be watched."""

    name: ClassVar[str] = "clip_fraction"

    weight: Scheduled = 0.0
    """It has no gradient."""
    clip_range: float
    """ε."""

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Compute it."""
        return clip_fraction(log_ratio=inputs.log_ratio, clip_range=self.clip_range, weight=inputs.acting_weight)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainedVariance(ActorCriticTerm):
    """The share of the value targets' variance that the values before the updates explain; to be watched."""

    name: ClassVar[str] = "explained_variance"

    weight: Scheduled = 0.0
    """It has no gradient."""

    def value(self, inputs: ActorCriticInputs) -> Float[Array, ""]:
        """Compute it."""
        return explained_variance(values=inputs.rows.value, target=inputs.rows.value_target, weight=inputs.weight)

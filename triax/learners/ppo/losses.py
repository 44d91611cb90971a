"""PPO's loss: the networks' outputs put into the objectives."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.ppo.config import PPOConfig
from triax.learners.ppo.state import PPOMetrics, PPOStatistics, PreparedRows
from triax.networks import Distribution
from triax.objectives.averages import Weight, explained_variance, standardised, weighted_mean
from triax.objectives.checks import check_vectors
from triax.objectives.policy_gradient import (
    approximate_kl,
    clip_fraction,
    clipped_surrogate_loss,
    log_ratio,
    value_loss,
)
from triax.random import KeyArray


def ppo_loss(
    *,
    distribution: Distribution,
    value_output: Float[Array, " N"],
    batch: PreparedRows,
    statistics: PPOStatistics,
    config: PPOConfig,
    key: KeyArray,
) -> tuple[Float[Array, ""], PPOMetrics]:
    """Compute L^CLIP + c₁ L^VF − c₂ H, Schulman et al. 2017 (arXiv:1707.06347), equation 9 with its sign turned.

    Where V-trace weighs the rows, L^CLIP has ρ Â in the place of Â (Espeholt et al. 2018, arXiv:1802.01561, section
    4.2), and what is said of the policy before the updates is weighted by ρ: the advantages' mean and deviation, the KL
    and the clip fraction. The values and the entropy are learned where the policy that acted has been, unweighted.

    :param distribution: the policy at the batch's observations.
    :param value_output: of the value network at them, in its own units, [N].
    :param batch: the rows.
    :param statistics: whose units the value network learns.
    :param config: ranges and coefficients.
    :param key: for estimating entropies.
    :return: the loss, and its parts.
    """
    weight = batch.valid
    check_vectors(
        value_output=value_output,
        log_probability=batch.log_probability,
        advantage=batch.advantage,
        value_target=batch.value_target,
        value=batch.value,
        valid=weight,
    )
    acting_weight: Weight = weight
    if batch.importance is not None:
        check_vectors(valid=weight, importance=batch.importance)
        acting_weight = weight * batch.importance
    ratio = log_ratio(
        log_probability=distribution.log_prob(action=batch.action),
        old_log_probability=batch.log_probability,
        weight=weight,
    )
    advantage = batch.advantage
    if config.normalise_advantages:
        advantage = standardised(values=advantage, weight=acting_weight)
    if batch.importance is not None:
        advantage = batch.importance * advantage
    metrics = PPOMetrics(
        policy_loss=clipped_surrogate_loss(
            log_ratio=ratio, advantage=advantage, clip_range=config.clip_range, weight=weight
        ),
        value_loss=value_loss(
            value=value_output,
            target=statistics.normalised_return(value=batch.value_target),
            old_value=statistics.normalised_return(value=batch.value),
            clip_range=config.clip_value_range,
            weight=weight,
        ),
        entropy=weighted_mean(values=distribution.entropy(key=key), weight=weight),
        approximate_kl=approximate_kl(log_ratio=ratio, weight=acting_weight),
        clip_fraction=clip_fraction(log_ratio=ratio, clip_range=config.clip_range, weight=acting_weight),
        explained_variance=explained_variance(values=batch.value, target=batch.value_target, weight=weight),
    )
    loss = metrics.policy_loss + config.value_coefficient * metrics.value_loss
    if config.entropy_coefficient > 0.0:
        loss = loss - config.entropy_coefficient * metrics.entropy
    return jnp.asarray(loss), metrics

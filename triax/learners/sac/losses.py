"""SAC's losses: the networks' outputs put into the objectives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.networks import CriticModel, Distribution, FunctionalNetwork
from triax.objectives.maximum_entropy import soft_policy_loss
from triax.objectives.temporal_difference import squared_error
from triax.random import KeyArray
from triax.trees import Tree, tree_dataclass


@tree_dataclass
class CriticLoss:
    """What the critics' loss reports.

    :ivar value: mean of the first critic.
    """

    value: Float[Array, ""]


@tree_dataclass
class ActorLoss:
    """What the actor's loss reports.

    :ivar log_probability: of the sampled actions, [N].
    """

    log_probability: Float[Array, " N"]


def critic_values(
    *, network: FunctionalNetwork[CriticModel], parameters: tuple[Tree, ...], observation: Tree, action: Tree
) -> Float[Array, "critics N"]:
    """Evaluate every critic. The members stand side by side: on a CPU that is faster than stacking their weights.

    :param network: one critic's structure.
    :param parameters: of each critic.
    :param observation: [N, ...].
    :param action: [N, ...].
    :return: [critics, N].
    """
    return jnp.stack([network.bind(parameters=member)(observation, action) for member in parameters])


def critic_loss(
    parameters: tuple[Tree, ...],
    *,
    network: FunctionalNetwork[CriticModel],
    observation: Tree,
    action: Tree,
    target: Float[Array, " N"],
    weight: Float[Array, " N"],
) -> tuple[Float[Array, ""], CriticLoss]:
    """Compute the critics' regression loss; see :func:`triax.objectives.temporal_difference.squared_error`.

    :param parameters: of each critic.
    :param network: one critic's structure.
    :param observation: [N, ...].
    :param action: as the policy chose it, [N, ...].
    :param target: regression targets, [N].
    :param weight: importance weights, [N].
    :return: the loss, and what it reports.
    """
    values = critic_values(network=network, parameters=parameters, observation=observation, action=action)
    return squared_error(values=values, target=target, weight=weight), CriticLoss(value=jnp.mean(values[0]))


def actor_loss(
    distribution: Distribution,
    *,
    network: FunctionalNetwork[CriticModel],
    critics: tuple[Tree, ...],
    observation: Tree,
    temperature: Float[Array, ""],
    key: KeyArray,
) -> tuple[Float[Array, ""], ActorLoss]:
    """Compute the actor's loss; see :func:`triax.objectives.maximum_entropy.soft_policy_loss`.

    :param distribution: the policy at the observations.
    :param network: one critic's structure.
    :param critics: their parameters, held fixed.
    :param observation: [N, ...].
    :param temperature: α.
    :param key: for sampling actions.
    :return: the loss, and what it reports.
    """
    sample = distribution.sample_with_log_prob(key=key)
    critics = jax.lax.stop_gradient(critics)
    values = critic_values(network=network, parameters=critics, observation=observation, action=sample.action)
    loss = soft_policy_loss(log_probability=sample.log_probability, values=values, temperature=temperature)
    return loss, ActorLoss(log_probability=sample.log_probability)

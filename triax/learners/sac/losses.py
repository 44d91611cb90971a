"""SAC's losses: the networks' outputs put into the objectives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.sac.config import SACConfig
from triax.networks import Candidates, CriticModel, FunctionalNetwork
from triax.objectives.maximum_entropy import soft_value
from triax.objectives.temporal_difference import squared_error
from triax.trees import Tree, tree_dataclass


@tree_dataclass
class Temperatures:
    """How much the entropy of each part of the policy is worth, α; or their logarithms.

    :ivar continuous: of the continuous parameters; None where there are none.
    :ivar choices: of the choices; None where there are none.
    """

    continuous: Float[Array, ""] | None
    choices: Float[Array, ""] | None


@tree_dataclass
class CriticLoss:
    """What the critics' loss reports.

    :ivar value: mean of the first critic.
    """

    value: Float[Array, ""]


def critic_values(
    *,
    network: FunctionalNetwork[CriticModel],
    parameters: tuple[Tree, ...],
    observation: Tree,
    candidates: Candidates,
) -> Float[Array, "critics N S"]:
    """Evaluate every critic. The members stand side by side: on a CPU that is faster than stacking their weights.

    :param network: one critic's structure.
    :param parameters: of each critic.
    :param observation: [N, ...].
    :param candidates: actions, S for each observation.
    :return: [critics, N, S].
    """
    return jnp.stack(
        [
            network.bind(parameters=member)(observation, candidates.choices, candidates.parameters)
            for member in parameters
        ]
    )


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
    values = jnp.stack([network.bind(parameters=member).of_action(observation, action) for member in parameters])
    return squared_error(values=values, target=target, weight=weight), CriticLoss(value=jnp.mean(values[0]))


def candidates_value(
    *,
    candidates: Candidates,
    network: FunctionalNetwork[CriticModel],
    critics: tuple[Tree, ...],
    observation: Tree,
    temperatures: Temperatures,
) -> Float[Array, " N"]:
    """Compute the soft value of observations; see :func:`triax.objectives.maximum_entropy.soft_value`.

    :param candidates: of the policy at the observations.
    :param network: one critic's structure.
    :param critics: their parameters, held fixed.
    :param observation: [N, ...].
    :param temperatures: α.
    :return: [N].
    """
    values = critic_values(
        network=network,
        parameters=jax.lax.stop_gradient(critics),
        observation=observation,
        candidates=candidates,
    )
    zero = jnp.zeros(())
    return soft_value(
        values=values,
        weight=candidates.weight,
        log_probability=candidates.log_probability,
        temperature=zero if temperatures.continuous is None else temperatures.continuous,
        choice_entropy=candidates.choice_entropy,
        choice_temperature=zero if temperatures.choices is None else temperatures.choices,
    )


def continuous_entropy(*, candidates: Candidates) -> Float[Array, " N"]:
    """Estimate the entropy of the continuous parameters, from one sample for each choice.

    :param candidates: of the policy.
    :return: nats, [N].
    """
    return -jnp.sum(candidates.weight * candidates.log_probability, axis=-1)


def target_entropy(*, candidates: Candidates, config: SACConfig) -> Float[Array, " N"]:
    """Say what the entropy of the continuous parameters should be.

    :param candidates: of the policy; those that use fewer parameters have a lower target.
    :param config: may name the target.
    :return: nats, [N].
    """
    if config.target_entropy is None:
        return -jnp.sum(candidates.weight * candidates.used, axis=-1)
    return jnp.full_like(candidates.choice_entropy, config.target_entropy)


def target_choice_entropy(*, candidates: Candidates, config: SACConfig) -> Float[Array, " N"]:
    """Say what the entropy of the choices should be.

    :param candidates: of the policy; where fewer choices are allowed, the target is lower.
    :param config: may name the target.
    :return: nats, [N].
    """
    if config.target_choice_entropy is None:
        return config.choice_entropy_share * candidates.highest_choice_entropy
    return jnp.full_like(candidates.choice_entropy, config.target_choice_entropy)

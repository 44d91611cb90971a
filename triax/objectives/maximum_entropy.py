"""Objectives of maximum-entropy policies. Arrays in, arrays out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.objectives.checks import check_shape, check_vectors


def soft_policy_loss(
    *, log_probability: Float[Array, " N"], values: Float[Array, "critics N"], temperature: Float[Array, ""]
) -> Float[Array, ""]:
    """Compute E[α · log π(a|o) − min_j Q_j(o, a)], Haarnoja et al. 2018 (arXiv:1812.05905), equation 7.

    :param log_probability: of actions sampled from the policy, [N].
    :param values: the critics at these actions, [critics, N].
    :param temperature: α.
    :return: the loss.
    :raises ValueError: if an array has another shape.
    """
    check_vectors(log_probability=log_probability)
    check_shape(expected=(values.shape[0], *log_probability.shape), values=values)
    return jnp.mean(temperature * log_probability - jnp.min(values, axis=0))


def temperature_loss(
    *, log_temperature: Float[Array, ""], log_probability: Float[Array, " N"], target_entropy: float
) -> Float[Array, ""]:
    """Compute the loss whose gradient raises α while the entropy is below its target.

    log α · E[−log π(a|o) − H̄]: the sign of the gradient of equation 18 of Haarnoja et al. 2018 (arXiv:1812.05905),
    taken in log α, as their code does.

    :param log_temperature: log α.
    :param log_probability: of actions sampled from the policy, [N].
    :param target_entropy: H̄, in nats.
    :return: the loss.
    :raises ValueError: if an array has another shape.
    """
    check_vectors(log_probability=log_probability)
    excess = jax.lax.stop_gradient(jnp.mean(-log_probability) - target_entropy)
    return log_temperature * excess

"""Objectives of maximum-entropy policies. Arrays in, arrays out.

A policy over choices k and continuous parameters c is given by candidates: S actions a_s with weights w_s, either all
choices with their probabilities π(k|o), or one sample that weighs 1. A purely continuous policy has one candidate.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.objectives.checks import check_shape, check_vectors


def soft_value(
    *,
    values: Float[Array, "critics N S"],
    weight: Float[Array, "N S"],
    log_probability: Float[Array, "N S"],
    temperature: Float[Array, ""],
    choice_entropy: Float[Array, " N"],
    choice_temperature: Float[Array, ""],
) -> Float[Array, " N"]:
    """Compute the soft value of observations, Haarnoja et al. 2018 (arXiv:1812.05905), equation 3, with a temperature
    for each part of the policy.

    V(o) = Σ_s w_s · (min_j Q_j(o, a_s) − α · log π(c_s|o, k_s)) + α_k · H[π(k|o)]

    The mean of −V over observations is the loss of the policy (equation 7).

    :param values: the critics at the candidates, [critics, N, S].
    :param weight: w, sums to 1 over s, [N, S].
    :param log_probability: of the candidates' continuous parameters given their choices, [N, S].
    :param temperature: α, of the continuous parameters.
    :param choice_entropy: H[π(k|o)], nats; 0 where there are no choices, [N].
    :param choice_temperature: α_k, of the choices.
    :return: V, [N].
    :raises ValueError: if an array has another shape.
    """
    check_vectors(choice_entropy=choice_entropy)
    rows = (choice_entropy.shape[0], values.shape[-1])
    check_shape(expected=rows, weight=weight, log_probability=log_probability)
    check_shape(expected=(values.shape[0], *rows), values=values)
    expected = jnp.sum(weight * (jnp.min(values, axis=0) - temperature * log_probability), axis=-1)
    return expected + choice_temperature * choice_entropy


def temperature_loss(
    *, log_temperature: Float[Array, ""], entropy: Float[Array, " N"], target_entropy: Float[Array, " N"]
) -> Float[Array, ""]:
    """Compute the loss whose gradient raises α while the entropy is below its target.

    log α · E[H − H̄]: the sign of the gradient of equation 18 of Haarnoja et al. 2018 (arXiv:1812.05905), taken in
    log α, as their code does.

    :param log_temperature: log α.
    :param entropy: H, of the policy at each observation, or an estimate of it, nats, [N].
    :param target_entropy: H̄, nats, [N].
    :return: the loss.
    :raises ValueError: if an array has another shape.
    """
    check_vectors(entropy=entropy, target_entropy=target_entropy)
    excess = jax.lax.stop_gradient(jnp.mean(entropy - target_entropy))
    return log_temperature * excess

"""Targets and errors of temporal-difference learning. Arrays in, arrays out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.objectives.checks import check_shape, check_vectors


def soft_target(
    *,
    reward: Float[Array, " N"],
    discount: Float[Array, " N"],
    next_values: Float[Array, "critics N"],
    next_log_probability: Float[Array, " N"],
    temperature: Float[Array, ""],
) -> Float[Array, " N"]:
    """Compute the regression target of soft critics; no gradient flows through it.

    y = r + γ · (min_j Q̄_j(o', a') − α · log π(a'|o')), Haarnoja et al. 2018 (arXiv:1812.05905), equations 3 and 5.

    :param reward: r, or the sum of n discounted rewards, [N].
    :param discount: γ (γⁿ); 0 where the episode terminated, [N].
    :param next_values: the target critics at the next observation and an action of the current policy, [critics, N].
    :param next_log_probability: of that action, [N].
    :param temperature: α.
    :return: y, [N].
    :raises ValueError: if an array has another shape.
    """
    check_vectors(reward=reward, discount=discount, next_log_probability=next_log_probability)
    check_shape(expected=(next_values.shape[0], *reward.shape), next_values=next_values)
    next_value = jnp.min(next_values, axis=0) - temperature * next_log_probability
    return jax.lax.stop_gradient(reward + discount * next_value)


def squared_error(
    *, values: Float[Array, "critics N"], target: Float[Array, " N"], weight: Float[Array, " N"]
) -> Float[Array, ""]:
    """Compute ½ · mean over N of weight · (Q − y)², summed over critics (same paper, equation 5).

    :param values: Q_j(o, a), [critics, N].
    :param target: y, [N].
    :param weight: importance weights, [N].
    :return: the loss.
    :raises ValueError: if an array has another shape.
    """
    check_vectors(target=target, weight=weight)
    check_shape(expected=(values.shape[0], *target.shape), values=values)
    return 0.5 * jnp.sum(jnp.mean(weight * jnp.square(values - target), axis=-1))

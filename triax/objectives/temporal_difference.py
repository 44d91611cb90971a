"""Targets and errors of temporal-difference learning. Arrays in, arrays out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.objectives.checks import check_shape, check_vectors


def bootstrapped_target(
    *, reward: Float[Array, " N"], discount: Float[Array, " N"], next_value: Float[Array, " N"]
) -> Float[Array, " N"]:
    """Compute the regression target y = r + γ · V(o'); no gradient flows through it.

    With soft values, that is equation 5 of Haarnoja et al. 2018 (arXiv:1812.05905).

    :param reward: r, or the sum of n discounted rewards, [N].
    :param discount: γ (γⁿ); 0 where the episode terminated, [N].
    :param next_value: V(o'), finite, [N].
    :return: y, [N].
    :raises ValueError: if an array has another shape.
    """
    check_vectors(reward=reward, discount=discount, next_value=next_value)
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

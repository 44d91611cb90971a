"""Averages over the rows of a batch, some of which do not count. Arrays in, arrays out."""

from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.objectives.checks import check_vectors

Weight: TypeAlias = Float[Array, " N"] | Bool[Array, " N"]
"""How much each row counts: at least 0, or whether it counts at all."""


def weighted_mean(*, values: Float[Array, " N"], weight: Weight) -> Float[Array, ""]:
    """Compute Σ w x / Σ w; 0 where no row counts, and then without a gradient.

    :param values: x; in rows that do not count it may be anything finite or not, [N].
    :param weight: w, [N].
    :return: the mean.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(values=values, weight=weight)
    weight = weight.astype(values.dtype)
    total = jnp.sum(weight)
    return jnp.sum(weight * jnp.where(weight > 0.0, values, 0.0)) / jnp.where(total > 0.0, total, 1.0)


def standardised(*, values: Float[Array, " N"], weight: Weight) -> Float[Array, " N"]:
    """Shift and scale to mean 0 and standard deviation 1 over the rows that count.

    :param values: [N].
    :param weight: [N].
    :return: [N]; 0 in rows that do not count, and everywhere if the values do not vary.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(values=values, weight=weight)
    centred = values - weighted_mean(values=values, weight=weight)
    variance = weighted_mean(values=jnp.square(centred), weight=weight)
    return jnp.where(weight > 0, centred / (jnp.sqrt(variance) + 1e-8), 0.0)


def explained_variance(*, values: Float[Array, " N"], target: Float[Array, " N"], weight: Weight) -> Float[Array, ""]:
    """Compute 1 − Var[y − v] / Var[y]: 1 for perfect predictions, 0 for a constant, below 0 for worse than that.

    :param values: predictions v, [N].
    :param target: what they should be, y, [N].
    :param weight: [N].
    :return: the share; 0 where the targets do not vary.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(values=values, target=target, weight=weight)
    target_variance = _variance(values=target, weight=weight)
    residual_variance = _variance(values=target - values, weight=weight)
    varies = target_variance > 0.0
    return jnp.where(varies, 1.0 - residual_variance / jnp.where(varies, target_variance, 1.0), 0.0)


def _variance(*, values: Float[Array, " N"], weight: Weight) -> Float[Array, ""]:
    mean = weighted_mean(values=values, weight=weight)
    return weighted_mean(values=jnp.square(values - mean), weight=weight)

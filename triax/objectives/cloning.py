"""Objectives of cloning: how far actions are from an expert's. Arrays in, arrays out."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from triax.objectives.checks import check_shape


def absolute_error(*, chosen: Float[Array, "N ..."], expert: Float[Array, "N ..."]) -> Float[Array, " N"]:
    """Compute |a − a*|, averaged over a leaf's components.

    :param chosen: a, [N, *shape].
    :param expert: a*, [N, *shape].
    :return: [N].
    :raises ValueError: if the shapes differ.
    """
    check_shape(expected=jnp.shape(chosen), expert=expert)
    return jnp.mean(_rows(jnp.abs(chosen - expert)), axis=-1)


def agreement(*, chosen: Int[Array, "N ..."], expert: Int[Array, "N ..."]) -> Float[Array, " N"]:
    """Compute the share of a leaf's choices (or bits) that are the expert's.

    :param chosen: [N, *shape].
    :param expert: [N, *shape].
    :return: in [0, 1], [N].
    :raises ValueError: if the shapes differ.
    """
    check_shape(expected=jnp.shape(chosen), expert=expert)
    return jnp.mean(_rows((chosen == expert).astype(jnp.float32)), axis=-1)


def _rows(values: Array) -> Float[Array, "N components"]:
    return jnp.reshape(values, (values.shape[0], math.prod(values.shape[1:])))

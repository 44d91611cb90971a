"""Checks at the entrance of objectives: arrays of (N,) against (N, 1) would broadcast to (N, N) without a word."""

import jax.numpy as jnp
from jaxtyping import Shaped

from triax.types import AnyArray


def check_shape(*, expected: tuple[int, ...], **arrays: Shaped[AnyArray, "..."]) -> None:
    """Check that arrays have a shape. Shapes are known while JAX traces, so this costs nothing at run time.

    :param expected: the shape.
    :param arrays: arrays by name.
    :raises ValueError: if one of them has another shape.
    """
    for name, array in arrays.items():
        if jnp.shape(array) != expected:
            raise ValueError(f"{name} has the shape {jnp.shape(array)}, but {expected} is needed.")


def check_vectors(**arrays: Shaped[AnyArray, "..."]) -> None:
    """Check that arrays are vectors of one length, [N].

    :param arrays: arrays by name.
    :raises ValueError: if one of them is not a vector, or longer or shorter than the first.
    """
    first_name, first = next(iter(arrays.items()))
    if jnp.ndim(first) != 1:
        raise ValueError(f"{first_name} has the shape {jnp.shape(first)}, but one axis of rows is needed.")
    check_shape(expected=jnp.shape(first), **arrays)

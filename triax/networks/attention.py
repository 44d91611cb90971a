"""The parts of a transformer that are not linear layers: normalisation and attention, for sets of a few elements.

Both have their derivatives written out. The equations are those that JAX derives; the operations are such that XLA is
fast with them on a processor too, which ``benchmarks/set_encoder.py`` measures. The price is that there is no
forward-mode differentiation (``jax.jvp``) through them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.types import AnyArray

EPSILON = 1e-5
"""Added to the variance in :func:`normalise`."""

FORBIDDEN = -1e30
"""The logit of what a mask forbids: finite, so that a row in which all is forbidden has no NaN."""


@jax.custom_vjp
def normalise(inputs: Float[AnyArray, "*batch units"]) -> Float[Array, "*batch units"]:
    """Layer normalisation (Ba et al. 2016, equations 3 and 4) without gain and bias.

    Where a linear layer follows, as in a transformer with pre-norm, its weights can stand for both.

    :param inputs: [..., units].
    :return: with mean 0 and variance 1 over the last axis.
    """
    return _normalise_forward(inputs)[0]


def _normalise_forward(inputs: AnyArray) -> tuple[Array, tuple[Array, Array]]:
    inputs = jnp.asarray(inputs)
    centred = inputs - jnp.mean(inputs, axis=-1, keepdims=True)
    scale = jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + EPSILON)
    outputs = centred * scale
    return outputs, (outputs, scale)


def _normalise_backward(residuals: tuple[Array, Array], gradient: AnyArray) -> tuple[Array]:
    outputs, scale = residuals
    gradient = jnp.asarray(gradient)
    along = jnp.mean(gradient * outputs, axis=-1, keepdims=True)
    return ((gradient - jnp.mean(gradient, axis=-1, keepdims=True) - outputs * along) * scale,)


normalise.defvjp(_normalise_forward, _normalise_backward)


def masked_softmax(*, logits: Float[AnyArray, "*rows n"], mask: Bool[AnyArray, "*#rows n"]) -> Float[Array, "*rows n"]:
    """Softmax over those places of the last axis that the mask allows.

    :param logits: finite, forbidden ones too; [..., n].
    :param mask: what is allowed, [..., n].
    :return: exactly 0 where forbidden, without a gradient; 0 everywhere if all is forbidden.
    """
    allowed = jnp.where(mask, logits, FORBIDDEN)
    return jax.nn.softmax(allowed, axis=-1) * mask


@jax.custom_vjp
def self_attention(
    projections: Float[AnyArray, "B n 3 heads width"], present: Bool[AnyArray, "B n"]
) -> Float[Array, "B n heads width"]:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1) among the elements of each set.

    :param projections: queries, keys and values of each element, [B, n, 3, heads, width].
    :param present: which elements are asked; of the others the answers are finite and mean nothing, [B, n].
    :return: [B, n, heads, width]; 0 for a set without elements.
    """
    return _attention_forward(projections, present)[0]


def _by_head(rows: AnyArray) -> Array:
    """Turn [B, n, heads, width] into [B, heads, n, width], or back."""
    return jnp.swapaxes(rows, 1, 2)


def _columns_by_head(rows: AnyArray) -> Array:
    """Turn [B, n, heads, width] into [B, heads, width, n]."""
    return jnp.transpose(rows, (0, 2, 3, 1))


def _attention_forward(projections: AnyArray, present: AnyArray) -> tuple[Array, tuple[AnyArray, Array]]:
    queries, keys, values = (_by_head(projections[:, :, index]) for index in range(3))
    scale = projections.shape[-1] ** -0.5
    logits = jnp.matmul(queries * scale, jnp.swapaxes(keys, -1, -2))
    weights = masked_softmax(logits=logits, mask=present[:, None, None, :])
    return _by_head(jnp.matmul(weights, values)), (projections, weights)


def _attention_backward(residuals: tuple[AnyArray, Array], gradient: AnyArray) -> tuple[Array, Any]:
    projections, weights = residuals
    scale = projections.shape[-1] ** -0.5
    _, keys, values = (_by_head(projections[:, :, index]) for index in range(3))
    weights_gradient = jnp.matmul(_by_head(gradient), jnp.swapaxes(values, -1, -2))
    along = jnp.sum(weights * weights_gradient, axis=-1, keepdims=True)
    logits_gradient = weights * (weights_gradient - along) * scale
    queries_gradient = _by_head(jnp.matmul(logits_gradient, keys))
    # Sums over queries. What JAX derives, matmul(logits_gradient.T, queries), takes XLA four times as long on a
    # processor: products of small matrices whose left one is transposed fall out of its fast path. Seen from the
    # other side nothing is transposed, but for the copies that bring heads to the front anyway.
    keys_gradient = jnp.matmul(_columns_by_head(projections[:, :, 0]), logits_gradient)
    values_gradient = jnp.matmul(_columns_by_head(gradient), weights)
    gradients = (queries_gradient, *(jnp.transpose(given, (0, 3, 1, 2)) for given in (keys_gradient, values_gradient)))
    return jnp.stack(gradients, axis=2), None


self_attention.defvjp(_attention_forward, _attention_backward)

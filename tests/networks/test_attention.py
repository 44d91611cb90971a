"""Normalisation and attention: values worked out by hand, masks, and gradients beside those that JAX derives."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from triax.networks.attention import masked_softmax, normalise, self_attention
from triax.random import derive_generator

GENERATOR = derive_generator(seed=0, name=("test of attention",))


def normal(*shape: int) -> Any:
    return GENERATOR.standard_normal(shape).astype(np.float32)


def test_normalised_rows_have_mean_zero_and_variance_one() -> None:
    # Mean 3, deviations −2, 0, 2, variance 8 / 3. A row of equal numbers has no deviations.
    normalised = np.asarray(normalise(jnp.array([[1.0, 3.0, 5.0], [7.0, 7.0, 7.0]])))
    np.testing.assert_allclose(normalised[0], np.array([-2.0, 0.0, 2.0]) / math.sqrt(8.0 / 3.0), atol=1e-5)
    np.testing.assert_array_equal(normalised[1], 0.0)


def test_the_gradient_of_normalisation_is_the_derived_one() -> None:
    def plain(inputs: Any) -> Any:
        return (inputs - inputs.mean(-1, keepdims=True)) / jnp.sqrt(inputs.var(-1, keepdims=True) + 1e-5)

    inputs, direction = normal(4, 5), normal(4, 5)

    @jax.jit
    def gradients(inputs: Any) -> Any:
        return [jax.vjp(function, inputs)[1](direction)[0] for function in (normalise, plain)]

    written, derived = gradients(inputs)
    np.testing.assert_allclose(written, derived, atol=1e-5)


def test_forbidden_places_have_no_weight_and_no_gradient() -> None:
    logits = jnp.array([[0.0, 50.0, math.log(3.0)], [1.0, 2.0, 3.0]])
    mask = jnp.array([[True, False, True], [False, False, False]])
    weights, pull = jax.vjp(lambda given: masked_softmax(logits=given, mask=mask), logits)
    np.testing.assert_allclose(weights, [[0.25, 0.0, 0.75], [0.0, 0.0, 0.0]], atol=1e-6)
    # w ∘ (g − Σ w g) with g = (1, 1, 5): the mean of g is 4.
    (gradient,) = pull(jnp.array([[1.0, 1.0, 5.0], [1.0, 1.0, 5.0]]))
    np.testing.assert_allclose(gradient, [[-0.75, 0.0, 0.75], [0.0, 0.0, 0.0]], atol=1e-6)


def test_attention_as_worked_out_by_hand() -> None:
    # One head of width 1, so that the scale is 1. The first query is ln 3, with keys 1, 0: weights 3/4 and 1/4; the
    # second is 0: weights 1/2 and 1/2. Values 8 and 4. The third element is padding; asked, it would say 1000.
    queries, keys, values = [math.log(3.0), 0.0, 1.0], [1.0, 0.0, 30.0], [8.0, 4.0, 1000.0]
    projections = jnp.reshape(jnp.array([queries, keys, values]).T, (1, 3, 3, 1, 1))
    attended = np.asarray(self_attention(projections, jnp.array([[True, True, False]])))
    np.testing.assert_allclose(attended[0, :2, 0, 0], [7.0, 6.0], rtol=1e-6)
    unmasked = np.asarray(self_attention(projections, jnp.array([[True, True, True]])))
    assert abs(unmasked[0, 0, 0, 0] - 7.0) > 100.0


def attention_by_sums(projections: Any, present: Any) -> Any:
    """Compute the same in another way: weights from logarithms, sums instead of products of matrices."""
    queries, keys, values = (projections[:, :, index] for index in range(3))
    logits = jnp.sum(queries[:, :, None] * keys[:, None], axis=-1) / math.sqrt(projections.shape[-1])
    allowed = jnp.where(present[:, None, :, None], logits, -1e9)
    weights = jnp.exp(allowed - logsumexp(allowed, axis=2, keepdims=True)) * present[:, None, :, None]
    return jnp.sum(weights[..., None] * values[:, None], axis=2)


def test_attention_and_its_gradient_are_the_derived_ones() -> None:
    projections, direction = normal(4, 5, 3, 2, 3), normal(4, 5, 2, 3)
    present = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=bool)

    @jax.jit
    def both(projections: Any) -> Any:
        results = []
        for function in (self_attention, attention_by_sums):
            value, pull = jax.vjp(lambda given, function=function: function(given, present), projections)
            results.append((value, pull(direction)[0]))
        return results

    (value, gradient), (expected_value, expected_gradient) = both(projections)
    np.testing.assert_allclose(value, expected_value, atol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5)
    # Keys and values of padding are not asked for.
    np.testing.assert_array_equal(np.asarray(gradient)[:, :, 1:][~present], 0.0)
    np.testing.assert_array_equal(np.asarray(value)[3], 0.0)


def test_large_logits_do_not_overflow() -> None:
    projections = 1e4 * normal(2, 3, 3, 1, 2)
    present = np.array([[True, True, False], [False, False, False]])
    value, pull = jax.vjp(lambda given: self_attention(given, present), projections)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(pull(jnp.ones_like(value))[0]))

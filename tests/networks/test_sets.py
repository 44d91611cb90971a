"""The encoder of sets: beside NumPy, order, padding, the empty set, gradients, the ordered variant, what is refused."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.networks import FunctionalNetwork
from triax.networks.sets import SetEncoder, SetEncoderConfig, SetEncoding
from triax.random import derive_generator, derive_key
from triax.trees import Tree

FEATURES = 3
MAXIMUM = 6
COUNTS = (6, 4, 1, 0)
"""Elements in each set of :func:`batch`."""


@functools.cache
def network(*, ordered: bool = False, blocks: int = 2, maximum: int = MAXIMUM) -> FunctionalNetwork[SetEncoder]:
    config = SetEncoderConfig(units=8, heads=2, blocks=blocks, ordered=ordered)
    return FunctionalNetwork(make=lambda rngs: config.build(maximum=maximum, features=FEATURES, rngs=rngs))


@functools.cache
def parameters(*, blocks: int = 2) -> Tree:
    """Weights with biases that are not zero, as after training."""
    made = network(blocks=blocks)
    initial = jax.jit(lambda key: made.initial_parameters(key=key))(derive_key(seed=0, name=("test of sets",)))
    generator = derive_generator(seed=0, name=("test of sets", "biases"))
    return jax.tree.map(lambda leaf: leaf + 0.3 * generator.standard_normal(leaf.shape).astype(np.float32), initial)


@functools.cache
def compiled(**which: Any) -> Any:
    made = network(**which)
    return jax.jit(lambda given, value: made.bind(parameters=given)(value))


def encoded(value: Any, **which: Any) -> SetEncoding:
    encoding = compiled(**which)(parameters(blocks=which.get("blocks", 2)), value)
    return jax.tree.map(np.asarray, encoding)  # type: ignore[no-any-return]


def batch() -> Any:
    rows = derive_generator(seed=0, name=("test of sets", "rows")).standard_normal((len(COUNTS), MAXIMUM, FEATURES))
    present = np.arange(MAXIMUM) < np.array(COUNTS)[:, None]
    return np.concatenate([rows * present[..., None], present[..., None]], axis=-1).astype(np.float32)


def normalised_in_numpy(rows: Any) -> Any:
    return (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + 1e-5)


def softmax_in_numpy(logits: Any) -> Any:
    weights = np.exp(logits)
    return weights / weights.sum()


def set_in_numpy(rows: Any, given: Tree) -> tuple[Any, Any]:
    """Encode the elements of one set, without padding, one block, element by element and head by head."""
    linear = {"embedding": given["embedding"], **given["blocks"][0], **given["pooling"]}

    def apply(name: str, vectors: Any) -> Any:
        return vectors @ np.asarray(linear[name]["kernel"]) + np.asarray(linear[name].get("bias", 0.0))

    hidden = apply("embedding", rows)
    projections = apply("projections", normalised_in_numpy(hidden))
    attended = np.zeros_like(hidden)
    for head in range(2):
        queries, keys, values = (projections[:, 8 * kind + 4 * head :][:, :4] for kind in range(3))
        for index, query in enumerate(queries):
            attended[index, 4 * head : 4 * head + 4] = softmax_in_numpy(keys @ query / 2.0) @ values
    hidden = hidden + apply("mixture", attended)
    hidden = hidden + apply("contraction", np.maximum(apply("expansion", normalised_in_numpy(hidden)), 0.0))
    elements = normalised_in_numpy(hidden)
    means = [softmax_in_numpy(scores) @ elements for scores in apply("scores", elements).T]
    return elements, apply("output", np.concatenate(means))


def test_one_block_equals_numpy() -> None:
    value = batch()
    encoding = encoded(value, blocks=1)
    for index, count in enumerate(COUNTS[:-1]):
        elements, pooled = set_in_numpy(value[index, :count, :-1], parameters(blocks=1))
        np.testing.assert_allclose(encoding.elements[index, :count], elements, atol=1e-4)
        np.testing.assert_allclose(encoding.pooled[index], pooled, atol=1e-4)


def test_padding_has_no_elements() -> None:
    encoding = encoded(batch())
    np.testing.assert_array_equal(encoding.present.sum(axis=-1), COUNTS)
    np.testing.assert_array_equal(encoding.elements[~encoding.present], 0.0)
    assert np.all(np.any(encoding.elements[encoding.present] != 0.0, axis=-1))


def test_the_order_of_the_elements_does_not_matter() -> None:
    value = batch()
    order = derive_generator(seed=0, name=("test of sets", "order")).permutation(MAXIMUM)
    assert not np.array_equal(order, np.arange(MAXIMUM))
    straight, shuffled = encoded(value), encoded(value[:, order])
    np.testing.assert_allclose(shuffled.pooled, straight.pooled, atol=1e-5)
    np.testing.assert_allclose(shuffled.elements, straight.elements[:, order], atol=1e-5)


def test_the_order_of_a_sequence_does_matter() -> None:
    value = batch()
    turned = value.copy()
    turned[0] = turned[0, ::-1]
    straight, other = encoded(value, ordered=True), encoded(turned, ordered=True)
    assert np.max(np.abs(other.pooled[0] - straight.pooled[0])) > 0.01
    np.testing.assert_allclose(other.pooled[1:], straight.pooled[1:], atol=1e-6)


@pytest.mark.parametrize("ordered", [False, True])
def test_more_padding_changes_nothing(ordered: bool) -> None:
    value = batch()
    padded = np.pad(value, [(0, 0), (0, 3), (0, 0)])
    short, long = encoded(value, ordered=ordered), encoded(padded, ordered=ordered, maximum=MAXIMUM + 3)
    np.testing.assert_allclose(long.pooled, short.pooled, atol=1e-5)
    np.testing.assert_allclose(long.elements[:, :MAXIMUM], short.elements, atol=1e-5)
    np.testing.assert_array_equal(long.elements[:, MAXIMUM:], 0.0)
    # Would it show? Rows of zeros that are not marked as padding do change the result.
    padded[:, MAXIMUM:, -1] = 1.0
    unmasked = encoded(padded, ordered=ordered, maximum=MAXIMUM + 3)
    assert np.all(np.max(np.abs(unmasked.pooled - short.pooled), axis=-1) > 0.01)


def test_what_stands_in_padding_changes_nothing() -> None:
    value = batch()
    dirty = np.where(value[..., -1:] > 0.5, value, 100.0)
    dirty[..., -1] = value[..., -1]
    clean, encoding = encoded(value), encoded(dirty)
    np.testing.assert_allclose(encoding.pooled, clean.pooled, atol=1e-6)
    np.testing.assert_allclose(encoding.elements, clean.elements, atol=1e-6)


def test_the_empty_set_is_a_learned_vector() -> None:
    encoding = encoded(batch())
    np.testing.assert_array_equal(encoding.pooled[3], parameters()["pooling"]["output"]["bias"])
    np.testing.assert_array_equal(encoding.elements[3], 0.0)


def test_gradients_are_finite_and_none_go_to_padding() -> None:
    made, value = network(), batch()

    def loss(given: Tree, inputs: Any) -> Any:
        encoding = made.bind(parameters=given)(inputs)
        return jnp.sum(jnp.square(encoding.pooled)) + jnp.sum(jnp.sin(encoding.elements))

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))
    of_weights, of_value = gradients(parameters(), value)
    assert all(np.all(np.isfinite(leaf)) and np.any(leaf != 0.0) for leaf in jax.tree.leaves(of_weights))
    present = value[..., -1] > 0.5
    np.testing.assert_array_equal(np.asarray(of_value)[~present], 0.0)
    assert np.all(np.any(np.asarray(of_value)[present] != 0.0, axis=-1))
    # A batch of empty sets alone moves nothing but the vector that stands for them.
    of_weights, of_value = gradients(parameters(), np.zeros_like(value))
    moved = [jax.tree_util.keystr(path) for path, leaf in jax.tree.leaves_with_path(of_weights) if np.any(leaf != 0.0)]
    assert moved == ["['pooling']['output']['bias']"]
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((of_weights, of_value)))


def test_any_leading_axes_and_many_weights_at_once() -> None:
    made, value = network(blocks=1), batch()
    flat = encoded(value, blocks=1)
    one = encoded(value[1], blocks=1)
    assert one.pooled.shape == (8,)
    np.testing.assert_allclose(one.pooled, flat.pooled[1], atol=1e-5)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2.0 * leaf]), parameters(blocks=1))
    each = jax.jit(jax.vmap(lambda given, inputs: made.bind(parameters=given)(inputs), in_axes=(0, None)))
    several = each(stacked, value.reshape(2, 2, MAXIMUM, FEATURES + 1))
    assert several.elements.shape == (2, 2, 2, MAXIMUM, 8)
    assert several.present.shape == (2, 2, 2, MAXIMUM)
    np.testing.assert_allclose(np.reshape(several.pooled[0], (4, 8)), flat.pooled, atol=1e-5)


def test_weights_do_not_depend_on_the_maximum() -> None:
    shapes = [
        jax.tree.map(jnp.shape, jax.eval_shape(lambda made=made: made.initial_parameters(key=jax.random.key(0))))
        for made in (network(), network(ordered=True, maximum=MAXIMUM + 3))
    ]
    assert shapes[0] == shapes[1]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="units=10 cannot be shared among heads=4"):
        SetEncoderConfig(units=10)
    with pytest.raises(ValueError, match="blocks=-1"):
        SetEncoderConfig(blocks=-1)
    with pytest.raises(ValueError, match="heads=0"):
        SetEncoderConfig(heads=0)
    with pytest.raises(
        ValueError, match=r"shape \(4, 6, 3\) was given to an encoder of sets of shape \(\.\.\., 6, 4\)"
    ):
        encoded(batch()[..., 1:])

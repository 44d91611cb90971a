"""Convolution by unfolding is XLA's convolution, gradients included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.networks.convolution import convolve, unfold


@pytest.mark.parametrize(
    ("window", "strides"), [((3, 2), (1, 1)), ((4, 4), (2, 3)), ((7, 6), (2, 2)), ((1, 1), (1, 1))]
)
def test_it_is_xlas_with_its_gradients(window: tuple[int, int], strides: tuple[int, int]) -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (2, 9, 8, 3))
    kernel = jax.random.normal(keys[1], (*window, 3, 5))

    def operation(images: jax.Array, kernel: jax.Array) -> jax.Array:
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(images, kernel, strides, "VALID", dimension_numbers=layout)

    expected, pull_expected = jax.vjp(operation, images, kernel)
    found, pull = jax.vjp(lambda images, kernel: convolve(images, kernel, strides=strides), images, kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    cotangent = jax.random.normal(keys[2], expected.shape)
    for gradient, wanted in zip(pull(cotangent), pull_expected(cotangent), strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-4)


def test_unfolding_by_hand() -> None:
    images = jnp.arange(12.0).reshape(1, 3, 4, 1)
    seen = unfold(images, window=(2, 2), strides=(1, 2))
    np.testing.assert_array_equal(seen[0], [[[0, 1, 4, 5], [2, 3, 6, 7]], [[4, 5, 8, 9], [6, 7, 10, 11]]])


def test_no_convolution_is_left_in_what_a_cpu_runs() -> None:
    with jax.default_device(jax.devices("cpu")[0]):
        compiled = jax.jit(lambda images, kernel: convolve(images, kernel, strides=(2, 2)))
        text = compiled.lower(jnp.zeros((1, 8, 8, 3)), jnp.zeros((4, 4, 3, 2))).compile().as_text() or ""
    assert " convolution(" not in text
    assert " dot(" in text

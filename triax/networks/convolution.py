"""Convolution of images that is fast in compiled loops too.

XLA's convolutions on a CPU fall back to plain loops within ``scan`` and ``while_loop``, where learners make their
updates: there the gradients of a small network take more than ten times as long as outside. As a product of matrices
with the unfolded image, they do not (``benchmarks/convolution.py``).
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class Convolution(nnx.Module):
    """A layer of convolution without padding.

    :param channels: of its input.
    :param features: channels of its output.
    :param window: height and width of the kernel.
    :param stride: between two places of the kernel, in both directions.
    :param kernel_init: how the kernel begins; the bias begins at 0.
    :param rngs: randomness for the kernel.
    """

    def __init__(
        self,
        *,
        channels: int,
        features: int,
        window: tuple[int, int],
        stride: int,
        kernel_init: nnx.Initializer,
        rngs: nnx.Rngs,
    ) -> None:
        self.stride = stride
        self.kernel = nnx.Param(kernel_init(rngs.params(), (*window, channels, features), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((features,), jnp.float32))

    def __call__(self, images: Float[Array, "N height width channels"]) -> Float[Array, "N rows columns features"]:
        """Convolve; see :func:`convolve`."""
        return convolve(images, self.kernel[...], strides=(self.stride, self.stride)) + self.bias[...]


def convolve(
    images: Float[Array, "N height width channels"],
    kernel: Float[Array, "rows columns channels features"],
    *,
    strides: tuple[int, int],
) -> Float[Array, "N rows_out columns_out features"]:
    """Convolve without padding: by XLA's own operation on accelerators, by unfolding on a CPU.

    :param images: [N, height, width, channels].
    :param kernel: [rows, columns, channels, features].
    :param strides: between two places of the kernel, downwards and to the right.
    :return: [N, rows out, columns out, features].
    """

    def operation(images: Array, kernel: Array) -> Array:
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(images, kernel, strides, "VALID", dimension_numbers=layout)

    def product(images: Array, kernel: Array) -> Array:
        rows, columns, _, features = kernel.shape
        return unfold(images, window=(rows, columns), strides=strides) @ kernel.reshape(-1, features)

    result: Array = jax.lax.platform_dependent(images, kernel, cpu=product, default=operation)
    return result


def unfold(
    images: Float[Array, "N height width channels"], *, window: tuple[int, int], strides: tuple[int, int]
) -> Float[Array, "N rows_out columns_out numbers"]:
    """List what a kernel sees at each of its places.

    :param images: [N, height, width, channels].
    :param window: height and width of the kernel.
    :param strides: between two places, downwards and to the right.
    :return: [N, rows out, columns out, height of the kernel × its width × channels].
    """
    (height, width), (down, right) = window, strides
    bottom, end = images.shape[1] - height + 1, images.shape[2] - width + 1
    parts = [images[:, i : i + bottom : down, j : j + end : right] for i in range(height) for j in range(width)]
    return jnp.concatenate(parts, axis=-1)

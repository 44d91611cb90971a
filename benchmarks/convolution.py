"""Gradients of convolutions on a processor: XLA's operation and the product, outside of a compiled loop and in one.

    taskset -c 0 python benchmarks/convolution.py --output results/convolution.json

Two layers over images of 16 × 16 pixels with 6 channels. A step is the gradient of all kernels for a batch, and a small
descent; the loop is a ``scan`` of four steps, as learners make their updates. Times are of the processor, not of the
clock, so that other work on the machine counts little.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from triax.networks.convolution import convolve
from triax.random import derive_key
from triax.runs import environment_description

BATCH, SIDE, CHANNELS, FEATURES, STEPS = 512, 16, 6, 32, 4
KERNELS, STRIDES = (4, 3), (2, 2)

Convolve = Callable[..., jax.Array]
Kernels = tuple[jax.Array, ...]


def operation(images: jax.Array, kernel: jax.Array, *, strides: tuple[int, int]) -> jax.Array:
    """Convolve by XLA's operation.

    :param images: [N, height, width, channels].
    :param kernel: [rows, columns, channels, features].
    :param strides: of the kernel.
    :return: [N, rows out, columns out, features].
    """
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, strides, "VALID", dimension_numbers=layout)


def descended(kernels: Kernels, images: jax.Array, *, convolve: Convolve) -> Kernels:
    """Make a step of gradient descent.

    :param kernels: of the layers.
    :param images: [N, height, width, channels].
    :param convolve: how layers are computed.
    :return: the new kernels.
    """

    def loss(kernels: Kernels) -> jax.Array:
        hidden = images
        for kernel in kernels:
            hidden = jax.nn.relu(convolve(hidden, kernel, strides=STRIDES))
        return jnp.mean(hidden**2)

    gradients: Kernels = jax.grad(loss)(kernels)
    return tuple(kernel - 0.01 * gradient for kernel, gradient in zip(kernels, gradients, strict=True))


def finished(arrays: Any) -> None:
    """Wait until arrays are there.

    :param arrays: a tree of them.
    """
    for leaf in jax.tree.leaves(arrays):
        leaf.block_until_ready()


def milliseconds(function: Callable[..., Any], *arguments: Any, repeats: int) -> float:
    """Measure the least processor time of a compiled function.

    :param function: the function.
    :param arguments: its arguments.
    :param repeats: how often it is measured.
    :return: the time.
    """
    compiled = jax.jit(function)
    finished(compiled(*arguments))
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        finished(compiled(*arguments))
        taken.append(time.process_time() - begin)
    return round(1e3 * min(taken), 1)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each (default: 7)")
    parser.add_argument("--output", type=Path, help="a file for the result")
    arguments = parser.parse_args()
    image_key, *kernel_keys = jax.random.split(derive_key(seed=0, name=("convolution",)), 1 + len(KERNELS))
    images = jax.random.normal(image_key, (STEPS, BATCH, SIDE, SIDE, CHANNELS))
    inputs = (CHANNELS, *[FEATURES] * (len(KERNELS) - 1))
    kernels = tuple(
        0.1 * jax.random.normal(key, (size, size, channels, FEATURES))
        for key, size, channels in zip(kernel_keys, KERNELS, inputs, strict=True)
    )
    found: dict[str, dict[str, float]] = {}
    ways: dict[str, Convolve] = {"operation": operation, "product": convolve}
    for name, way in ways.items():
        step = functools.partial(descended, convolve=way)

        def loop(kernels: Kernels, images: jax.Array, step: Callable[..., Kernels] = step) -> Kernels:
            return jax.lax.scan(lambda kernels, batch: (step(kernels, batch), None), kernels, images)[0]

        found[name] = {
            "outside": milliseconds(step, kernels, images[0], repeats=arguments.repeats),
            "in_a_loop": round(milliseconds(loop, kernels, images, repeats=arguments.repeats) / STEPS, 1),
        }
    document = {
        "measured": f"milliseconds of processor time for the gradients of {BATCH} images",
        "command": f"taskset -c 0 python benchmarks/convolution.py --repeats {arguments.repeats}",
        "date": date.today().isoformat(),
        "milliseconds": found,
        "machine": environment_description().to_json(),
    }
    print(json.dumps(document["milliseconds"], indent=1))
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Fully connected networks."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

Activation: TypeAlias = Literal["relu", "leaky_relu", "tanh", "elu", "gelu", "silu"]
Initialisation: TypeAlias = Literal["lecun_normal", "he_normal", "orthogonal", "sparse"]

ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
}


SPARSITY = 0.9
"""The share of an output's weights that "sparse" sets to 0 at first."""


def kernel_initialiser(*, name: Initialisation, scale: float = 1.0) -> nnx.Initializer:
    """Make the initialiser of a layer's weights.

    :param name: the scheme.
    :param scale: a factor on the standard deviation (on the singular values, for orthogonal).
    :return: a function of key, shape and dtype.
    """
    if name == "orthogonal":
        return nnx.initializers.orthogonal(scale)
    if name == "sparse":
        return functools.partial(_sparse_weights, scale=scale)
    variance = scale * scale * (2.0 if name == "he_normal" else 1.0)
    return nnx.initializers.variance_scaling(variance, "fan_in", "truncated_normal")


def _sparse_weights(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, *, scale: float) -> Array:
    """Draw weights from U(−1/√n, 1/√n), n being the number of inputs, and for each output set ⌊0.9 n⌋ of them to 0.

    Elsayed et al. 2024 (arXiv:2410.14606), algorithm 1. The code of its authors rounds up, which would leave nothing of
    a layer with fewer than ten inputs.
    """
    weight_key, order_key = jax.random.split(key)
    inputs, outputs = math.prod(shape[:-1]), shape[-1]
    bound = scale / math.sqrt(inputs)
    weights = jax.random.uniform(weight_key, (inputs, outputs), dtype, minval=-bound, maxval=bound)
    rank = jax.vmap(lambda key: jax.random.permutation(key, inputs), out_axes=1)(jax.random.split(order_key, outputs))
    return jnp.reshape(jnp.where(rank < math.floor(SPARSITY * inputs), 0.0, weights), shape)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLPConfig:
    """The hidden layers of a network."""

    hidden: tuple[int, ...] = (256, 256)
    """Units of each hidden layer."""
    activation: Activation = "relu"
    """Applied after each hidden layer."""
    layer_norm: bool = False
    """Whether each hidden layer is normalised (Ba et al. 2016) before its activation."""
    layer_norm_parameters: bool = True
    """Whether a normalised layer has a scale and a shift that are learned."""
    initialisation: Initialisation = "lecun_normal"
    """How the weights begin; biases begin at 0."""
    scale: float = 1.0
    """A factor on the initial weights of the hidden layers."""

    def __post_init__(self) -> None:
        """Check the values."""
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden={self.hidden}: every layer needs at least one unit.")

    def build(self, *, inputs: int, rngs: nnx.Rngs) -> "MLP":
        """Build the hidden layers.

        :param inputs: the size of the input.
        :param rngs: randomness for the weights.
        :return: the network.
        """
        return MLP(config=self, inputs=inputs, rngs=rngs)


class MLP(nnx.Module):
    """Hidden layers, each with its activation."""

    def __init__(self, *, config: MLPConfig, inputs: int, rngs: nnx.Rngs) -> None:
        self.activation = ACTIVATIONS[config.activation]
        initialiser = kernel_initialiser(name=config.initialisation, scale=config.scale)
        sizes = (inputs, *config.hidden)
        self.layers = nnx.List(
            nnx.Linear(size_in, size_out, kernel_init=initialiser, rngs=rngs)
            for size_in, size_out in itertools.pairwise(sizes)
        )
        self.norms = nnx.List(
            nnx.LayerNorm(
                units, use_bias=config.layer_norm_parameters, use_scale=config.layer_norm_parameters, rngs=rngs
            )
            for units in (config.hidden if config.layer_norm else ())
        )
        self.size = sizes[-1]

    def __call__(self, inputs: Float[Array, "*batch inputs"]) -> Float[Array, "*batch units"]:
        """Apply the layers.

        :param inputs: [..., inputs].
        :return: [..., units of the last hidden layer].
        """
        hidden = inputs
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if len(self.norms) > 0:
                hidden = self.norms[index](hidden)
            hidden = self.activation(hidden)
        return hidden

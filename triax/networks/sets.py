"""An encoder of sets: a transformer whose result does not depend on the order of the elements, nor on padding.

The inside form of a set is one array [maximum, features + 1]: a row for each element, with 1 in its last column; rows
beyond the last element are 0. The blocks are those of Xiong et al. 2020 (pre-norm): attention among the elements, then
a feed-forward network on each, both added to what came in. There is no positional encoding, unless the elements are in
an order that means something. Pooling is by attention, as in Lee et al. 2019 with one seed.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from triax.networks.attention import masked_softmax, normalise, self_attention
from triax.networks.mlp import ACTIVATIONS, Activation, Initialisation, kernel_initialiser
from triax.trees import tree_dataclass
from triax.types import AnyArray


@tree_dataclass
class SetEncoding:
    """What an encoder makes of sets.

    :ivar pooled: one vector for each set; a learned one for the empty set, [..., size].
    :ivar elements: one vector for each element, 0 at the places of padding, [..., maximum, element_size].
    :ivar present: where the elements are, [..., maximum].
    """

    pooled: Float[Array, "*batch size"]
    elements: Float[Array, "*batch maximum element_size"]
    present: Bool[Array, "*batch maximum"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetEncoderConfig:
    """A transformer for sets."""

    blocks: int = 2
    """Transformer blocks, at least 0."""
    units: int = 64
    """Numbers in each element's vector, and in the pooled one; a multiple of ``heads``."""
    heads: int = 4
    """Attention heads, of each block and of the pooling."""
    feed_forward: int = 2
    """Hidden units of each block's feed-forward network, in multiples of ``units``. Vaswani et al. 2017 have 4; 2 saves
    a third of the arithmetic."""
    activation: Activation = "relu"
    """Applied in the feed-forward networks."""
    initialisation: Initialisation = "lecun_normal"
    """How the weights begin; biases begin at 0."""
    ordered: bool = False
    """Whether the order of the elements means something: then their positions are added to them, as sines and cosines
    (Vaswani et al. 2017, section 3.5). Learned encodings would be weights of their own for each place, hardly trained
    at the places that few sequences reach."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.blocks < 0:
            raise ValueError(f"blocks={self.blocks}: give 0 or more.")
        for name in ("units", "heads", "feed_forward"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give at least 1.")
        if self.units % self.heads != 0:
            raise ValueError(
                f"units={self.units} cannot be shared among heads={self.heads}; make units a multiple of heads."
            )

    def build(self, *, maximum: int, features: int, rngs: nnx.Rngs) -> "SetEncoder":
        """Build the encoder. Its weights do not depend on the maximum.

        :param maximum: places for elements, at least 1.
        :param features: numbers in an element.
        :param rngs: randomness for the weights.
        :return: the encoder.
        """
        return SetEncoder(config=self, maximum=maximum, features=features, rngs=rngs)


class SetEncoder(nnx.Module):
    """From sets to one vector each, and one for each element.

    :ivar size: of the vector of a set.
    :ivar element_size: of the vector of an element.
    """

    def __init__(self, *, config: SetEncoderConfig, maximum: int, features: int, rngs: nnx.Rngs) -> None:
        self.shape = (maximum, features + 1)
        self.size = self.element_size = config.units
        self.ordered = config.ordered
        initialiser = kernel_initialiser(name=config.initialisation)
        self.embedding = nnx.Linear(features, config.units, kernel_init=initialiser, rngs=rngs)
        self.blocks = nnx.List(_Block(config=config, rngs=rngs) for _ in range(config.blocks))
        self.pooling = _Pooling(config=config, rngs=rngs)

    def __call__(self, value: Float[AnyArray, "*batch maximum columns"]) -> SetEncoding:
        """Encode.

        :param value: rows of features and, in the last column, whether the row is an element; [..., maximum,
            features + 1].
        :return: vectors of sets and of elements.
        :raises ValueError: if the value has another shape.
        """
        if value.shape[-2:] != self.shape:
            raise ValueError(
                f"a value of shape {value.shape} was given to an encoder of sets of shape (..., {self.shape[0]}, "
                f"{self.shape[1]}): (..., maximum, features + 1). Build the encoder with the spec of what it is given."
            )
        maximum = self.shape[0]
        leading = value.shape[:-2]
        sets = jnp.reshape(jnp.asarray(value), (-1, *self.shape))
        present = sets[..., -1] > 0.5
        # Linear layers see elements as the rows of one matrix, whichever sets they are of.
        hidden = self.embedding(jnp.reshape(sets[..., :-1], (-1, self.shape[1] - 1)))
        if self.ordered:
            hidden = hidden + jnp.tile(_positions(maximum=maximum, units=self.element_size), (sets.shape[0], 1))
        for block in self.blocks:
            hidden = block(hidden, present)
        elements = jnp.reshape(normalise(hidden), (-1, maximum, self.element_size))
        return SetEncoding(
            pooled=jnp.reshape(self.pooling(elements, present), (*leading, self.size)),
            elements=jnp.reshape(elements * present[..., None], (*leading, maximum, self.element_size)),
            present=jnp.reshape(present, (*leading, maximum)),
        )


class _Block(nnx.Module):
    """Attention among elements, then a feed-forward network on each; both with pre-norm, both residual."""

    def __init__(self, *, config: SetEncoderConfig, rngs: nnx.Rngs) -> None:
        units, inner = config.units, config.feed_forward * config.units
        initialiser = kernel_initialiser(name=config.initialisation)
        self.heads = config.heads
        self.activation = ACTIVATIONS[config.activation]
        self.projections = nnx.Linear(units, 3 * units, use_bias=False, kernel_init=initialiser, rngs=rngs)
        self.mixture = nnx.Linear(units, units, use_bias=False, kernel_init=initialiser, rngs=rngs)
        self.expansion = nnx.Linear(units, inner, kernel_init=initialiser, rngs=rngs)
        self.contraction = nnx.Linear(inner, units, kernel_init=initialiser, rngs=rngs)

    def __call__(self, hidden: Float[Array, "rows units"], present: Bool[Array, "B n"]) -> Float[Array, "rows units"]:
        rows, units = hidden.shape
        projections = jnp.reshape(
            self.projections(normalise(hidden)), (*present.shape, 3, self.heads, units // self.heads)
        )
        attended = jnp.reshape(self_attention(projections, present), (rows, units))
        hidden = hidden + self.mixture(attended)
        return hidden + self.contraction(self.activation(self.expansion(normalise(hidden))))


class _Pooling(nnx.Module):
    """Each head's mean of the elements, weighted by a softmax of its scores; and a linear layer over all heads.

    A learned query meets an element only through the product of the query and the keys' matrix, which is one vector a
    head: the scores' weights. The values' matrix can be applied after the mean, and then is one with the output's.
    """

    def __init__(self, *, config: SetEncoderConfig, rngs: nnx.Rngs) -> None:
        initialiser = kernel_initialiser(name=config.initialisation)
        self.scores = nnx.Linear(config.units, config.heads, use_bias=False, kernel_init=initialiser, rngs=rngs)
        self.output = nnx.Linear(config.heads * config.units, config.units, kernel_init=initialiser, rngs=rngs)

    def __call__(self, elements: Float[Array, "B n units"], present: Bool[Array, "B n"]) -> Float[Array, "B size"]:
        logits = jnp.swapaxes(self.scores(elements), -1, -2)
        means = jnp.matmul(masked_softmax(logits=logits, mask=present[:, None, :]), elements)
        pooled: Array = self.output(jnp.reshape(means, (means.shape[0], -1)))
        return pooled


def _positions(*, maximum: int, units: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Make the positional encodings of Vaswani et al. 2017, section 3.5: sines at even places, cosines at odd ones.

    :param maximum: positions.
    :param units: numbers for each.
    :return: [maximum, units].
    """
    place = np.arange(units)
    angles = np.arange(maximum)[:, None] / 10_000.0 ** (2 * (place // 2) / units)
    return np.where(place % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)

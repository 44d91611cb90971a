"""Encoders: from an observation (or action) in inside form to one vector.

The encoder of a tree is composed from its spec: vectors pass as they are, choices become one-hot vectors, bits become
0 and 1, images go through convolutions, sets through a transformer; the results are concatenated. A user's own NNX
module can stand in its place: anything that fulfils :class:`EncoderFactory`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from triax.networks.convolution import Convolution
from triax.networks.mlp import ACTIVATIONS, Activation, Initialisation, kernel_initialiser
from triax.networks.sets import SetEncoder, SetEncoderConfig, SetEncoding
from triax.spaces import BinaryLeaf, BoxLeaf, DiscreteLeaf, ImageLeaf, SetLeaf, SpaceSpec, UnsupportedSpace
from triax.trees import Tree, tree_dataclass
from triax.types import AnyArray


@tree_dataclass
class Encoding:
    """What an encoder makes of an inside value.

    :ivar vector: [..., size].
    :ivar elements: embeddings of the elements of sets, by the sets' paths, each [..., maximum, element size].
    """

    vector: Float[Array, "*batch size"]
    elements: Mapping[str, Float[Array, "..."]]


@runtime_checkable
class Encoder(Protocol):
    """A module that turns an inside value into a vector.

    :ivar size: the vector's size.
    """

    size: int

    def __call__(self, value: Tree) -> Float[Array, "*batch size"]:
        """Encode.

        :param value: inside form, leaves [..., *leaf shape].
        :return: [..., size].
        """


@runtime_checkable
class ElementEncoder(Protocol):
    """An encoder that also embeds the elements of sets, for choices among them."""

    @property
    def element_sizes(self) -> Mapping[str, int]:
        """Sizes of the embeddings by the sets' paths."""

    def encode(self, value: Tree) -> Encoding:
        """Encode.

        :param value: inside form, leaves [..., *leaf shape].
        :return: the vector and the elements' embeddings.
        """


@runtime_checkable
class EncoderFactory(Protocol):
    """What makes an encoder: :class:`EncoderConfig`, or a user's own frozen dataclass."""

    def build(self, *, spec: SpaceSpec, rngs: nnx.Rngs) -> Encoder:
        """Build the module; called while networks are initialised.

        :param spec: what is to be encoded.
        :param rngs: randomness for the weights.
        :return: an ``nnx.Module`` with a ``size`` and a call.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """Convolutions for images [height, width, channels]; the defaults are those of Mnih et al. 2015 (DQN)."""

    channels: tuple[int, ...] = (32, 64, 64)
    """Output channels of each layer."""
    kernels: tuple[int, ...] = (8, 4, 3)
    """Width (and height) of each layer's kernel, in pixels; shrunk to the image where it is smaller."""
    strides: tuple[int, ...] = (4, 2, 1)
    """Step of each layer's kernel, in pixels."""
    activation: Activation = "relu"
    """Applied after each layer."""
    initialisation: Initialisation = "lecun_normal"
    """How the weights begin."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not len(self.channels) == len(self.kernels) == len(self.strides):
            raise ValueError(
                f"channels={self.channels}, kernels={self.kernels} and strides={self.strides} must be equally long."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """How a tree is encoded."""

    image: ImageEncoderConfig = dataclasses.field(default_factory=ImageEncoderConfig)
    """For uint8 leaves with three axes."""
    set: SetEncoderConfig = dataclasses.field(default_factory=SetEncoderConfig)
    """For sets."""

    def build(self, *, spec: SpaceSpec, rngs: nnx.Rngs) -> "TreeEncoder":
        """Build the encoder of a spec.

        :param spec: what is to be encoded.
        :param rngs: randomness for the weights.
        :return: the encoder.
        """
        return TreeEncoder(config=self, spec=spec, rngs=rngs)


def encode(encoder: Encoder, value: Tree) -> Encoding:
    """Encode with any encoder.

    :param encoder: may have a method ``encode`` that returns an :class:`Encoding`, with embeddings of sets' elements.
    :param value: inside form.
    :return: the encoding.
    """
    if isinstance(encoder, ElementEncoder):
        return encoder.encode(value)
    return Encoding(vector=encoder(value), elements={})


class TreeEncoder(nnx.Module):
    """Encodes each leaf and concatenates."""

    def __init__(self, *, config: EncoderConfig, spec: SpaceSpec, rngs: nnx.Rngs) -> None:
        encoders = [_leaf_encoder(config=config, leaf=leaf, rngs=rngs) for leaf in spec.leaves()]
        self.encoders = nnx.List(encoders)
        self.paths = tuple(spec.paths())
        self.size: int = sum(encoder.size for encoder in encoders)
        self._element_sizes = tuple(
            (path, encoder.element_size)
            for path, encoder in zip(self.paths, encoders, strict=True)
            if isinstance(encoder, SetEncoder)
        )

    @property
    def element_sizes(self) -> Mapping[str, int]:
        """Sizes of the embeddings of sets' elements, by the sets' paths."""
        return dict(self._element_sizes)

    def __call__(self, value: Tree) -> Float[Array, "*batch size"]:
        """Encode.

        :param value: inside form, leaves [..., *leaf shape].
        :return: [..., size].
        """
        return self.encode(value).vector

    def encode(self, value: Tree) -> Encoding:
        """Encode, and keep what the elements of sets became.

        :param value: inside form, leaves [..., *leaf shape].
        :return: the vector and the elements' embeddings.
        """
        vectors, elements = [], {}
        for path, encoder, leaf in zip(self.paths, self.encoders, jax.tree.leaves(value), strict=True):
            encoded = encoder(leaf)
            if isinstance(encoded, SetEncoding):
                elements[path] = encoded.elements
                encoded = encoded.pooled
            vectors.append(encoded)
        return Encoding(
            vector=vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors, axis=-1), elements=elements
        )


def _leaf_encoder(*, config: EncoderConfig, leaf: Any, rngs: nnx.Rngs) -> Any:
    match leaf:
        case BoxLeaf():
            return _FlatEncoder(shape=leaf.shape, scale=1.0)
        case BinaryLeaf():
            return _FlatEncoder(shape=leaf.shape, scale=1.0)
        case DiscreteLeaf():
            return _OneHotEncoder(shape=leaf.shape, sizes=leaf.sizes)
        case ImageLeaf() if len(leaf.shape) == 3:
            return _ImageEncoder(config=config.image, shape=leaf.shape, high=leaf.high, rngs=rngs)
        case SetLeaf():
            return config.set.build(maximum=leaf.maximum, features=leaf.shape[1] - 1, rngs=rngs)
        case ImageLeaf():
            return _FlatEncoder(shape=leaf.shape, scale=1.0 / leaf.high)
        case _:
            raise UnsupportedSpace(f"no encoder for {leaf}; give the learner an encoder of your own.")


class _FlatEncoder(nnx.Module):
    """Flattens numbers, times a factor."""

    def __init__(self, *, shape: tuple[int, ...], scale: float) -> None:
        self.axes = len(shape)
        self.scale = scale
        self.size = math.prod(shape)

    def __call__(self, value: AnyArray) -> Array:
        flat = jnp.reshape(jnp.asarray(value), (*value.shape[: value.ndim - self.axes], self.size)).astype(jnp.float32)
        return flat if self.scale == 1.0 else flat * self.scale


class _OneHotEncoder(nnx.Module):
    """One-hot vectors of choices, concatenated over the components."""

    def __init__(self, *, shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
        self.axes = len(shape)
        self.sizes = sizes
        self.size = sum(sizes)

    def __call__(self, value: AnyArray) -> Array:
        choices = jnp.reshape(jnp.asarray(value), (*value.shape[: value.ndim - self.axes], len(self.sizes)))
        vectors = [jax.nn.one_hot(choices[..., index], size) for index, size in enumerate(self.sizes)]
        return jnp.concatenate(vectors, axis=-1)


class _ImageEncoder(nnx.Module):
    """Convolutions over bytes scaled to [0, 1], flattened."""

    def __init__(self, *, config: ImageEncoderConfig, shape: tuple[int, int, int], high: int, rngs: nnx.Rngs) -> None:
        height, width, channels = shape
        initialiser = kernel_initialiser(name=config.initialisation)
        layers = []
        for features, kernel, stride in zip(config.channels, config.kernels, config.strides, strict=True):
            window = (min(kernel, height), min(kernel, width))
            layers.append(
                Convolution(
                    channels=channels,
                    features=features,
                    window=window,
                    stride=stride,
                    kernel_init=initialiser,
                    rngs=rngs,
                )
            )
            height, width = (height - window[0]) // stride + 1, (width - window[1]) // stride + 1
            channels = features
        self.high = high
        self.layers = nnx.List(layers)
        self.activation = ACTIVATIONS[config.activation]
        self.size = height * width * channels

    def __call__(self, value: AnyArray) -> Array:
        leading = value.shape[:-3]
        hidden = jnp.reshape(jnp.asarray(value), (-1, *value.shape[-3:])).astype(jnp.float32) / self.high
        for layer in self.layers:
            hidden = self.activation(layer(hidden))
        return jnp.reshape(hidden, (*leading, self.size))

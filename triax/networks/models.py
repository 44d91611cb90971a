"""Whole networks: an encoder, hidden layers, and a head."""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from triax.networks.distributions import Distribution
from triax.networks.encoders import Encoder, EncoderConfig, EncoderFactory
from triax.networks.heads import ActionHead, ActionHeadConfig
from triax.networks.mlp import MLPConfig, kernel_initialiser
from triax.spaces import SpaceSpec
from triax.trees import Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A network from observations to features."""

    encoder: EncoderFactory = dataclasses.field(default_factory=EncoderConfig)
    """From the observation to a vector; a user's own factory can stand here."""
    torso: MLPConfig = dataclasses.field(default_factory=MLPConfig)
    """The hidden layers after it."""
    output_scale: float = 1.0
    """A factor on the initial weights of a value's output layer."""


class ActorModel(nnx.Module):
    """From an observation to a distribution over actions."""

    def __init__(
        self,
        *,
        config: NetworkConfig,
        head: ActionHeadConfig,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        rngs: nnx.Rngs,
    ) -> None:
        self.encoder: Encoder = config.encoder.build(spec=observation_spec, rngs=rngs)
        self.torso = config.torso.build(inputs=self.encoder.size, rngs=rngs)
        self.head = ActionHead(config=head, spec=action_spec, inputs=self.torso.size, rngs=rngs)

    def __call__(self, observation: Tree) -> Distribution:
        """Compute the policy.

        :param observation: inside form, [..., *leaf shape].
        :return: a distribution with leading axes [...].
        """
        return self.head(self.torso(self.encoder(observation)))


class ValueModel(nnx.Module):
    """From an observation to its value, V(o)."""

    def __init__(self, *, config: NetworkConfig, observation_spec: SpaceSpec, rngs: nnx.Rngs) -> None:
        self.encoder: Encoder = config.encoder.build(spec=observation_spec, rngs=rngs)
        self.torso = config.torso.build(inputs=self.encoder.size, rngs=rngs)
        self.output = _scalar_output(config=config, inputs=self.torso.size, rngs=rngs)

    def __call__(self, observation: Tree) -> Float[Array, "..."]:
        """Compute the value.

        :param observation: inside form, [..., *leaf shape].
        :return: [...].
        """
        value: Array = self.output(self.torso(self.encoder(observation)))
        return value[..., 0]


class CriticModel(nnx.Module):
    """From an observation and an action to their value, Q(o, a). Actions enter as one flat vector."""

    def __init__(
        self, *, config: NetworkConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec, rngs: nnx.Rngs
    ) -> None:
        self.encoder: Encoder = config.encoder.build(spec=observation_spec, rngs=rngs)
        self.action_encoder = EncoderConfig().build(spec=action_spec, rngs=rngs)
        self.torso = config.torso.build(inputs=self.encoder.size + self.action_encoder.size, rngs=rngs)
        self.output = _scalar_output(config=config, inputs=self.torso.size, rngs=rngs)

    def __call__(self, observation: Tree, action: Tree) -> Float[Array, "..."]:
        """Compute the value.

        :param observation: inside form, [..., *leaf shape].
        :param action: inside form, [..., *leaf shape].
        :return: [...].
        """
        inputs = jnp.concatenate([self.encoder(observation), self.action_encoder(action)], axis=-1)
        value: Array = self.output(self.torso(inputs))
        return value[..., 0]


def _scalar_output(*, config: NetworkConfig, inputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    initialiser = kernel_initialiser(name=config.torso.initialisation, scale=config.output_scale)
    return nnx.Linear(inputs, 1, kernel_init=initialiser, rngs=rngs)

"""Whole networks: an encoder, hidden layers, and a head."""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from triax.networks.actions import ActionCode
from triax.networks.choice_heads import build_head
from triax.networks.distributions import Distribution
from triax.networks.encoders import ElementEncoder, Encoder, EncoderConfig, EncoderFactory, encode
from triax.networks.heads import ActionHeadConfig
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
        candidates: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        """Make the network.

        :param config: encoder and hidden layers.
        :param head: the last layer.
        :param observation_spec: of the observations.
        :param action_spec: of the actions, with their relations.
        :param candidates: whether the distribution has to be a ChoiceDistribution, for expectations over choices.
        :param rngs: randomness for the weights.
        """
        self.encoder: Encoder = config.encoder.build(spec=observation_spec, rngs=rngs)
        self.torso = config.torso.build(inputs=self.encoder.size, rngs=rngs)
        self.head = build_head(
            config=head,
            spec=action_spec,
            observation_spec=observation_spec,
            inputs=self.torso.size,
            element_sizes=self.encoder.element_sizes if isinstance(self.encoder, ElementEncoder) else {},
            candidates=candidates,
            rngs=rngs,
        )

    def __call__(self, observation: Tree) -> Distribution:
        """Compute the policy.

        :param observation: inside form, [..., *leaf shape].
        :return: a distribution with leading axes [...].
        """
        encoding = encode(self.encoder, observation)
        return self.head(self.torso(encoding.vector), observation, encoding.elements)


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
    """From an observation and an action to their value, Q(o, a). Actions enter as :class:`ActionCode` writes them."""

    def __init__(
        self, *, config: NetworkConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec, rngs: nnx.Rngs
    ) -> None:
        self.encoder: Encoder = config.encoder.build(spec=observation_spec, rngs=rngs)
        self.code = ActionCode(spec=action_spec, observation_spec=observation_spec)
        self.torso = config.torso.build(inputs=self.encoder.size + self.code.size, rngs=rngs)
        self.output = _scalar_output(config=config, inputs=self.torso.size, rngs=rngs)

    def __call__(
        self,
        observation: Tree,
        choices: Float[Array, "*batch S options"],
        parameters: Float[Array, "*batch S parameters"],
    ) -> Float[Array, "*batch S"]:
        """Compute the values of S actions for each observation. The observation is encoded once.

        :param observation: inside form, [..., *leaf shape].
        :param choices: one-hot vectors, [..., S, options].
        :param parameters: continuous parameters, [..., S, parameters].
        :return: [..., S].
        """
        code = self.code.features(choices=choices, parameters=parameters, observation=observation)
        features = self.encoder(observation)[..., None, :]
        inputs = jnp.concatenate([jnp.broadcast_to(features, (*code.shape[:-1], features.shape[-1])), code], axis=-1)
        # All actions as rows of one matrix.
        rows = jnp.reshape(inputs, (-1, inputs.shape[-1]))
        return jnp.reshape(self.output(self.torso(rows)), code.shape[:-1])

    def of_action(self, observation: Tree, action: Tree) -> Float[Array, "*batch"]:
        """Compute the value of one action for each observation.

        :param observation: inside form, [..., *leaf shape].
        :param action: inside form, [..., *leaf shape].
        :return: [...].
        """
        choices = self.code.choices(action=action)
        parameters = self.code.continuous(action=action, choices=choices)
        return self(observation, choices[..., None, :], parameters[..., None, :])[..., 0]


def _scalar_output(*, config: NetworkConfig, inputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    initialiser = kernel_initialiser(name=config.torso.initialisation, scale=config.output_scale)
    return nnx.Linear(inputs, 1, kernel_init=initialiser, rngs=rngs)

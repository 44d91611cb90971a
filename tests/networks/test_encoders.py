"""Encoders, hidden layers and whole networks: sizes, values, a user's own module, what is refused."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from gymnasium import spaces

from triax.networks import CriticModel, Encoder, EncoderConfig, FunctionalNetwork, MLPConfig, NetworkConfig, ValueModel
from triax.networks.encoders import EncoderFactory, ImageEncoderConfig
from triax.networks.mlp import Activation, kernel_initialiser
from triax.random import derive_key
from triax.spaces import SpaceSpec, space_spec

KEY = derive_key(seed=0, name=("test of encoders",))


def spec_of(space: Any) -> SpaceSpec:
    return space_spec(space=space, role="observation")


def encoder_of(spec: SpaceSpec, config: EncoderConfig | None = None) -> FunctionalNetwork[Any]:
    return FunctionalNetwork(make=lambda rngs: (config or EncoderConfig()).build(spec=spec, rngs=rngs))


def encoded(network: FunctionalNetwork[Any], value: Any) -> np.ndarray[Any, Any]:
    parameters = jax.jit(lambda key: network.initial_parameters(key=key))(KEY)
    return np.asarray(jax.jit(lambda given, inputs: network.bind(parameters=given)(inputs))(parameters, value))


def test_bytes_are_divided_by_their_upper_bound() -> None:
    flags = spec_of(spaces.Box(0, 1, (3,), np.uint8))
    value = encoded(encoder_of(flags), flags.stack_to_inside([np.array([0, 1, 1], np.uint8)]))
    np.testing.assert_allclose(value, [[0.0, 1.0, 1.0]])
    # An image of two colours is to the convolutions what one of black and white is.
    image = np.random.default_rng(0).integers(2, size=(8, 8, 1)).astype(np.uint8)
    found = [
        encoded(encoder_of(spec_of(spaces.Box(0, high, (8, 8, 1), np.uint8))), (image * high)[None])
        for high in (1, 255)
    ]
    assert np.abs(found[0]).max() > 0.01
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_leaves_become_one_vector_in_order() -> None:
    spec = spec_of(
        spaces.Dict(
            vector=spaces.Box(-1.0, 1.0, (2,)),
            choice=spaces.Discrete(3, start=5),
            nested=spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([2, 3]), spaces.Box(0.0, 2.0, ())]),
            bytes=spaces.Box(0, 255, (2,), dtype=np.uint8),
        )
    )
    inside = spec.stack_to_inside(
        [
            {
                "vector": np.array([0.25, -0.5], np.float32),
                "choice": 6,
                "nested": (np.array([1, 0], np.int8), np.array([1, 2]), np.array(1.5, np.float32)),
                "bytes": np.array([0, 51], np.uint8),
            }
        ]
    )
    network = encoder_of(spec)
    # bytes / 255; one-hot 6 − 5 = 1 of 3; the bits; one-hot 1 of 2 and 2 of 3; 1.5 in [0, 2] is 0.5; the vector.
    expected = [[0.0, 0.2, 0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0.5, 0.25, -0.5]]
    value = encoded(network, inside)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert value.dtype == np.float32
    assert network.bind(parameters=network.initial_parameters(key=KEY)).size == 15
    # Any leading axes.
    more = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (4, 2, *leaf.shape)), inside)
    assert encoded(network, more).shape == (4, 2, 1, 15)
    none = jax.tree.map(lambda leaf: leaf[0], inside)
    np.testing.assert_allclose(encoded(network, none), expected[0], rtol=1e-6)


def test_choices_with_two_axes_are_one_hot_in_c_order() -> None:
    spec = spec_of(spaces.MultiDiscrete(np.array([[2, 3], [1, 2]])))
    value = encoded(encoder_of(spec), np.array([[[1, 0], [0, 1]]], np.int32))
    np.testing.assert_array_equal(value, [[0, 1, 1, 0, 0, 1, 0, 1]])


def test_images_stay_bytes_until_the_encoder() -> None:
    spec = spec_of(spaces.Box(0, 255, (12, 12, 3), dtype=np.uint8))
    network = encoder_of(spec)
    parameters = jax.jit(lambda key: network.initial_parameters(key=key))(KEY)
    seen: list[Any] = []

    def encode(given: Any, image: jax.Array) -> jax.Array:
        seen.append(image.dtype)
        value: jax.Array = network.bind(parameters=given)(image)
        return value

    image = np.full((2, 12, 12, 3), 255, np.uint8)
    compiled = jax.jit(encode).lower(parameters, image).compile()
    assert seen == [jnp.uint8]
    assert compiled.in_avals[0][1].dtype == jnp.uint8
    value = compiled(parameters, image)
    assert value.dtype == jnp.float32
    # Bytes are scaled to [0, 1]: one layer without activation to speak of is linear in them.
    assert np.max(np.abs(value)) < 10.0
    assert np.any(np.asarray(value) != 0.0)
    np.testing.assert_array_equal(np.asarray(compiled(parameters, image * 0)), 0.0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (5, 5, 3), (8, 1, 2), (10, 10, 4)])
def test_small_images_fit(shape: tuple[int, int, int]) -> None:
    spec = spec_of(spaces.Box(0, 255, shape, dtype=np.uint8))
    network = encoder_of(spec, EncoderConfig(image=ImageEncoderConfig(channels=(4, 5, 6))))
    shapes = jax.eval_shape(
        lambda key, value: network.bind(parameters=network.initial_parameters(key=key))(value),
        KEY,
        np.zeros((2, 3, *shape), np.uint8),
    )
    size = nnx.eval_shape(lambda: EncoderConfig(image=ImageEncoderConfig(channels=(4, 5, 6))).build(
        spec=spec, rngs=nnx.Rngs(0)
    )).size  # fmt: skip
    assert shapes.shape == (2, 3, size)
    assert size % 6 == 0


def test_the_image_of_atari_has_the_size_of_its_paper() -> None:
    spec = spec_of(spaces.Box(0, 255, (84, 84, 4), dtype=np.uint8))
    # (84 − 8)/4 + 1 = 20; (20 − 4)/2 + 1 = 9; 9 − 3 + 1 = 7; 7 · 7 · 64.
    assert nnx.eval_shape(lambda: EncoderConfig().build(spec=spec, rngs=nnx.Rngs(0))).size == 3136


def test_layers_of_unequal_number_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        ImageEncoderConfig(channels=(1, 2), kernels=(3,), strides=(1, 1))
    with pytest.raises(ValueError, match="at least one unit"):
        MLPConfig(hidden=(3, 0))


# A user's own encoder


class Fourier(nnx.Module):
    """A module as a user would write it."""

    def __init__(self, *, inputs: int, size: int, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(inputs, size, rngs=rngs)
        self.size = size

    def __call__(self, value: Any) -> jax.Array:
        return jnp.sin(self.linear(value["position"]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FourierConfig:
    """Its config."""

    size: int = 7

    def build(self, *, spec: SpaceSpec, rngs: nnx.Rngs) -> Fourier:
        return Fourier(inputs=math.prod(spec.leaves()[0].shape), size=self.size, rngs=rngs)


class WithBatchNorm(Fourier):
    """A module with statistics of its batches."""

    def __init__(self, *, inputs: int, size: int, rngs: nnx.Rngs) -> None:
        super().__init__(inputs=inputs, size=size, rngs=rngs)
        self.norm = nnx.BatchNorm(size, rngs=rngs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithBatchNormConfig(FourierConfig):
    """Its config."""

    def build(self, *, spec: SpaceSpec, rngs: nnx.Rngs) -> WithBatchNorm:
        return WithBatchNorm(inputs=2, size=self.size, rngs=rngs)


POSITION = spec_of(spaces.Dict(position=spaces.Box(-1.0, 1.0, (2,))))


def test_a_module_of_the_users_own_takes_the_encoders_place() -> None:
    assert isinstance(FourierConfig(), EncoderFactory)
    config = NetworkConfig(encoder=FourierConfig(), torso=MLPConfig(hidden=(4,)))
    network = FunctionalNetwork(make=lambda rngs: ValueModel(config=config, observation_spec=POSITION, rngs=rngs))
    parameters = jax.jit(lambda key: network.initial_parameters(key=key))(KEY)
    assert parameters["encoder"]["linear"]["kernel"].shape == (2, 7)
    assert isinstance(network.bind(parameters=parameters).encoder, Encoder)

    def value(given: Any, observation: Any) -> jax.Array:
        return network.bind(parameters=given)(observation)

    values = jax.jit(value)(parameters, {"position": np.ones((3, 2), np.float32)})
    assert values.shape == (3,)
    gradient = jax.jit(jax.grad(lambda given, o: jnp.sum(value(given, o))))(
        parameters, {"position": np.ones((3, 2), np.float32)}
    )
    assert np.any(np.asarray(gradient["encoder"]["linear"]["kernel"]) != 0.0)


def test_trap_17_statistics_of_batches_are_refused_by_name() -> None:
    config = NetworkConfig(encoder=WithBatchNormConfig())
    with pytest.raises(ValueError, match=r"encoder\.norm\.mean") as refusal:
        FunctionalNetwork(make=lambda rngs: ValueModel(config=config, observation_spec=POSITION, rngs=rngs))
    assert "encoder.norm.var" in str(refusal.value)
    assert "layer normalisation" in str(refusal.value)


def test_dropout_is_refused_too() -> None:
    class Dropped(Fourier):
        def __init__(self, *, inputs: int, size: int, rngs: nnx.Rngs) -> None:
            super().__init__(inputs=inputs, size=size, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

    with pytest.raises(ValueError, match="dropout"):
        FunctionalNetwork(make=lambda rngs: Dropped(inputs=2, size=3, rngs=rngs))


# Functional networks and hidden layers


def test_weights_are_a_plain_tree_of_arrays_and_follow_the_key() -> None:
    config = NetworkConfig(torso=MLPConfig(hidden=(4, 3), layer_norm=True))
    network = FunctionalNetwork(make=lambda rngs: ValueModel(config=config, observation_spec=POSITION, rngs=rngs))
    make = jax.jit(lambda key: network.initial_parameters(key=key))
    one, same, other = make(KEY), make(KEY), make(jax.random.fold_in(KEY, 1))
    assert isinstance(one, dict)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(one))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    assert np.any(one["output"]["kernel"] != other["output"]["kernel"])
    keys = jax.random.split(KEY, 3)
    many = jax.jit(jax.vmap(lambda key: network.initial_parameters(key=key)))(keys)
    assert many["output"]["kernel"].shape == (3, 3, 1)
    np.testing.assert_allclose(many["output"]["kernel"][1], make(keys[1])["output"]["kernel"], rtol=1e-6)
    # Binding leaves the weights as they are, and can be repeated.
    before = jax.tree.map(np.asarray, one)
    for _ in range(2):
        network.bind(parameters=one)
    jax.tree.map(np.testing.assert_array_equal, one, before)


@pytest.mark.parametrize("activation", ["relu", "tanh", "elu", "gelu", "silu"])
def test_hidden_layers_are_what_they_say(activation: Activation) -> None:
    config = MLPConfig(hidden=(4, 3), activation=activation)
    network = FunctionalNetwork(make=lambda rngs: config.build(inputs=2, rngs=rngs))
    parameters = jax.device_get(jax.jit(lambda key: network.initial_parameters(key=key))(KEY))
    inputs = np.array([[0.3, -0.7]], np.float32)
    function = {"tanh": jnp.tanh, **{name: getattr(jax.nn, name) for name in ("relu", "elu", "gelu", "silu")}}
    hidden: Any = inputs
    for layer in (0, 1):
        weights = parameters["layers"][layer]
        hidden = np.asarray(function[activation](hidden @ weights["kernel"] + weights["bias"]))
    value = jax.jit(lambda given: network.bind(parameters=given)(jnp.asarray(inputs)))(parameters)
    np.testing.assert_allclose(value, hidden, rtol=1e-5, atol=1e-6)


def test_layer_normalisation_stands_before_the_activation() -> None:
    config = MLPConfig(hidden=(64,), layer_norm=True, activation="elu")
    network = FunctionalNetwork(make=lambda rngs: config.build(inputs=2, rngs=rngs))
    call = jax.jit(lambda key, x: network.bind(parameters=network.initial_parameters(key=key))(x))
    value = np.asarray(call(KEY, np.array([[3.0, -1.0]], np.float32)))
    # Normalised before: the outputs of elu, which is above −1 and keeps positive numbers as they are.
    before = np.where(value > 0.0, value, np.log1p(value))
    assert before.mean() == pytest.approx(0.0, abs=1e-3)
    assert before.std() == pytest.approx(1.0, abs=1e-2)


def test_initialisers_have_their_spread() -> None:
    shape = (400, 300)
    for name, expected in (("lecun_normal", np.sqrt(1 / 400)), ("he_normal", np.sqrt(2 / 400))):
        weights = kernel_initialiser(name=name, scale=0.5)(KEY, shape, jnp.float32)  # type: ignore[arg-type]
        assert np.std(np.asarray(weights)) == pytest.approx(0.5 * expected, rel=0.02)
    orthogonal = np.asarray(kernel_initialiser(name="orthogonal", scale=3.0)(KEY, (40, 30), jnp.float32))
    np.testing.assert_allclose(orthogonal.T @ orthogonal, 9.0 * np.eye(30), atol=1e-3)


def test_a_critic_sees_observation_and_action() -> None:
    action = space_spec(
        space=spaces.Dict(a=spaces.Box(-1.0, 1.0, (2,)), b=spaces.Tuple([spaces.Box(-1.0, 1.0, (1, 3))])), role="action"
    )
    config = NetworkConfig(torso=MLPConfig(hidden=(8,)))
    network = FunctionalNetwork(
        make=lambda rngs: CriticModel(config=config, observation_spec=POSITION, action_spec=action, rngs=rngs)
    )
    parameters = jax.jit(lambda key: network.initial_parameters(key=key))(KEY)
    assert parameters["torso"]["layers"][0]["kernel"].shape == (2 + 2 + 3, 8)

    def value(observation: Any, given_action: Any) -> jax.Array:
        return jnp.sum(network.bind(parameters=parameters).of_action(observation, given_action))

    arguments = ({"position": np.ones((5, 2), np.float32)}, action.zeros(batch_shape=(5,)))
    gradients = jax.jit(jax.grad(value, argnums=(0, 1)))(*arguments)
    assert all(np.any(np.asarray(leaf) != 0.0) for leaf in jax.tree.leaves(gradients))

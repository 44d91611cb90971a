"""Optimisers: equal to plain Optax, schedules, clipping, target parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from triax.learners.optimizer import (
    OptimizerConfig,
    PartConfig,
    Trainable,
    apply_gradients,
    by_part,
    initial_trainable,
    moved_towards,
)
from triax.trees import tree_dataclass

PARAMETERS = {"a": np.array([1.0, -2.0], np.float32), "b": (np.array([[3.0]], np.float32),)}
GRADIENTS = {"a": np.array([0.3, -0.1], np.float32), "b": (np.array([[4.0]], np.float32),)}


def trained(config: OptimizerConfig, *, steps: int) -> list[Any]:
    """The parameters after each step, with gradients that grow with the step."""
    optimizer = config.build()

    @jax.jit
    def run(parameters: Any) -> Any:
        def step(trainable: Trainable, number: jax.Array) -> tuple[Trainable, Any]:
            gradients = jax.tree.map(lambda leaf: leaf * (1.0 + number), GRADIENTS)
            trainable = apply_gradients(trainable=trainable, gradients=gradients, optimizer=optimizer)
            return trainable, trainable.parameters

        start = initial_trainable(parameters=parameters, optimizer=optimizer)
        return jax.lax.scan(step, start, jnp.arange(steps, dtype=jnp.float32))[1]

    history = jax.device_get(run(PARAMETERS))
    return [jax.tree.map(lambda leaf, index=index: leaf[index], history) for index in range(steps)]


def by_optax(transformation: Any, *, steps: int) -> list[Any]:
    parameters: Any = PARAMETERS
    state = transformation.init(parameters)
    history = []
    update = jax.jit(transformation.update)
    for number in range(steps):
        gradients = jax.tree.map(lambda leaf, scale=1.0 + number: leaf * np.float32(scale), GRADIENTS)
        updates, state = update(gradients, state, parameters)
        parameters = jax.tree.map(lambda leaf, change: leaf + np.asarray(change), parameters, updates)
        history.append(parameters)
    return history


@pytest.mark.parametrize(
    ("config", "transformation"),
    [
        (OptimizerConfig(), optax.adam(3e-4)),
        (
            OptimizerConfig(learning_rate=0.1, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
            optax.adam(0.1, b1=0.5, b2=0.9, eps=1e-3),
        ),
        (OptimizerConfig(learning_rate=0.1, weight_decay=0.2), optax.adamw(0.1, weight_decay=0.2)),
        (
            OptimizerConfig(learning_rate=0.1, schedule="linear", schedule_updates=4, final_learning_rate=0.02),
            optax.adam(optax.linear_schedule(0.1, 0.02, 4)),
        ),
        (
            OptimizerConfig(learning_rate=0.1, max_gradient_norm=0.5),
            optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)),
        ),
    ],
)
def test_steps_equal_those_of_plain_optax(config: OptimizerConfig, transformation: Any) -> None:
    for one, other in zip(trained(config, steps=6), by_optax(transformation, steps=6), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, other)


def first_steps(config: OptimizerConfig, *, steps: int) -> np.ndarray[Any, Any]:
    """Sizes of the steps of Adam under constant gradients, which are the learning rates."""
    optimizer = config.build()

    @jax.jit
    def run(value: jax.Array) -> jax.Array:
        def step(trainable: Trainable, _: None) -> tuple[Trainable, jax.Array]:
            after = apply_gradients(trainable=trainable, gradients=jnp.float32(1.0), optimizer=optimizer)
            return after, trainable.parameters - after.parameters

        return jax.lax.scan(step, initial_trainable(parameters=value, optimizer=optimizer), None, length=steps)[1]

    return np.asarray(run(jnp.float32(0.0)))


def test_schedules_begin_and_end_where_they_say() -> None:
    constant = first_steps(OptimizerConfig(learning_rate=0.1), steps=5)
    np.testing.assert_allclose(constant, 0.1, rtol=1e-3)
    linear = OptimizerConfig(learning_rate=0.1, schedule="linear", schedule_updates=4, final_learning_rate=0.02)
    # 0.1 − 0.08 · k/4, and 0.02 from the fourth on.
    np.testing.assert_allclose(first_steps(linear, steps=7), [0.1, 0.08, 0.06, 0.04, 0.02, 0.02, 0.02], rtol=2e-3)
    cosine = OptimizerConfig(learning_rate=0.1, schedule="cosine", schedule_updates=4, final_learning_rate=0.02)
    # 0.02 + 0.08 · (1 + cos(π k/4)) / 2.
    expected = [0.02 + 0.04 * (1.0 + np.cos(np.pi * min(step, 4) / 4)) for step in range(7)]
    np.testing.assert_allclose(first_steps(cosine, steps=7), expected, rtol=2e-3)
    to_zero = OptimizerConfig(learning_rate=0.1, schedule="linear", schedule_updates=2)
    np.testing.assert_allclose(first_steps(to_zero, steps=4), [0.1, 0.05, 0.0, 0.0], rtol=2e-3, atol=1e-8)


def test_the_gradient_is_clipped_by_the_norm_of_the_whole_tree() -> None:
    # With β = 0 and a large ε, Adam steps by rate · g / (|g| + ε) ≈ rate · g / ε, in proportion to the clipped g.
    config = OptimizerConfig(learning_rate=1.0, beta_1=0.0, beta_2=0.0, epsilon=1e4, max_gradient_norm=1.0)
    optimizer = config.build()
    start = initial_trainable(parameters={"a": jnp.zeros(1), "b": jnp.zeros(1)}, optimizer=optimizer)
    for gradient, clipped in ([[3.0, 4.0], [0.6, 0.8]], [[0.3, 0.4], [0.3, 0.4]]):
        gradients = {"a": jnp.asarray([gradient[0]]), "b": jnp.asarray([gradient[1]])}
        after = jax.jit(lambda g: apply_gradients(trainable=start, gradients=g, optimizer=optimizer))(gradients)
        moved = [-1e4 * float(after.parameters[name][0]) for name in ("a", "b")]
        np.testing.assert_allclose(moved, clipped, rtol=1e-3)


def test_target_parameters_move_at_their_rate() -> None:
    target = {"a": jnp.asarray([0.0, 10.0]), "b": (jnp.asarray(1.0),)}
    online = {"a": jnp.asarray([1.0, 20.0]), "b": (jnp.asarray(-1.0),)}
    moved = moved_towards(target=target, online=online, rate=0.25)
    np.testing.assert_allclose(moved["a"], [0.25, 12.5])
    np.testing.assert_allclose(moved["b"][0], 0.5)
    for rate, expected in ((0.0, target), (1.0, online)):
        jax.tree.map(np.testing.assert_array_equal, moved_towards(target=target, online=online, rate=rate), expected)
    np.testing.assert_allclose(moved_towards(target=target, online=online, rate=jnp.float32(0.5))["a"], [0.5, 15.0])
    # Many small steps: 1 − (1 − 0.005)^200 = 0.633.
    value = jnp.zeros(())
    for _ in range(200):
        value = moved_towards(target=value, online=jnp.ones(()), rate=0.005)
    assert value == pytest.approx(1.0 - 0.995**200, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": -1e-3}, "learning_rate"),
        ({"schedule": "linear"}, "schedule_updates"),
        ({"schedule": "cosine", "schedule_updates": 0}, "schedule_updates"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"beta_1": 1.0}, "beta_1"),
        ({"beta_2": -0.1}, "beta_2"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"final_learning_rate": -1.0}, "final_learning_rate"),
        ({"final_learning_rate": 1e-5}, "schedule"),
        ({"schedule_updates": 10}, "schedule"),
    ],
)
def test_values_without_meaning_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**changes)


def test_a_whole_number_is_a_learning_rate_too() -> None:
    assert OptimizerConfig(learning_rate=1).learning_rate == 1


def _parts_after(config: OptimizerConfig, *, steps: int = 3) -> dict[str, Any]:
    """Parameters {torso: {kernel, bias}, head: …}, all 1, after some steps with the gradient 2."""
    optimizer = config.build()
    parameters = {"torso": {"kernel": jnp.ones(2), "bias": jnp.ones(1)}, "head": jnp.ones(1)}
    trainable = initial_trainable(parameters=parameters, optimizer=optimizer)
    for _ in range(steps):
        gradients = jax.tree.map(lambda leaf: 2.0 * jnp.ones_like(leaf), parameters)
        trainable = apply_gradients(trainable=trainable, gradients=gradients, optimizer=optimizer)
    result: dict[str, Any] = jax.device_get(trainable.parameters)
    return result


def test_parts_are_frozen_or_have_optimisers_of_their_own() -> None:
    # Under constant gradients Adam moves by its learning rate; a frozen part by nothing, weight decay included.
    own = PartConfig(path="torso/bias", optimizer=OptimizerConfig(learning_rate=0.01))
    config = OptimizerConfig(learning_rate=0.1, parts=(PartConfig(path="torso"), own))
    after = _parts_after(config)
    np.testing.assert_array_equal(after["torso"]["kernel"], [1.0, 1.0])
    np.testing.assert_allclose(after["torso"]["bias"], 0.97, rtol=1e-5)
    np.testing.assert_allclose(after["head"], 0.7, rtol=1e-5)
    decayed = _parts_after(OptimizerConfig(learning_rate=0.1, weight_decay=0.5, parts=(PartConfig(path="torso"),)))
    np.testing.assert_array_equal(decayed["torso"]["kernel"], [1.0, 1.0])
    assert decayed["head"] < after["head"]


def test_parts_within_one_of_two_networks() -> None:
    @tree_dataclass
    class Networks:
        actor: Any
        critic: Any

    optimizer = by_part(
        optimizers={
            "actor": OptimizerConfig(learning_rate=0.1, parts=(PartConfig(path="actor/torso"),)).build(),
            "critic": OptimizerConfig(learning_rate=0.2).build(),
        }
    )
    parameters = Networks(actor={"torso": jnp.ones(1), "head": jnp.ones(1)}, critic={"torso": jnp.ones(1)})
    gradients = jax.tree.map(jnp.ones_like, parameters)
    after = apply_gradients(
        trainable=initial_trainable(parameters=parameters, optimizer=optimizer),
        gradients=gradients,
        optimizer=optimizer,
    ).parameters
    moved = [1.0 - float(leaf[0]) for leaf in (after.actor["torso"], after.actor["head"], after.critic["torso"])]
    np.testing.assert_allclose(moved, [0.0, 0.1, 0.2], atol=1e-5)


def test_a_part_that_is_not_there_is_refused_with_those_that_are() -> None:
    config = OptimizerConfig(parts=(PartConfig(path="tors"),))
    with pytest.raises(ValueError, match=r"path 'tors', where there are no parameters; there are: .*head.*torso/bias"):
        _parts_after(config)
    with pytest.raises(ValueError, match="parts="):
        OptimizerConfig(parts=(PartConfig(path="a"), PartConfig(path="a")))

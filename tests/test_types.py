"""The types that travel: shapes are checked, one batch or many stacked, and the rows that are experience."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from triax.objectives.maximum_entropy import soft_value, temperature_loss
from triax.objectives.temporal_difference import bootstrapped_target, squared_error
from triax.types import Feedback, Policy, RowOrigin, Sequences, Trajectory, Transitions


def origin(*axes: int) -> RowOrigin:
    zeros = np.zeros(axes, np.int64)
    return RowOrigin(source=zeros, task=zeros, slot=zeros, generation=zeros, policy_version=zeros)


def transitions(*axes: int, **changes: Any) -> Transitions:
    fields: dict[str, Any] = {
        "observation": {"a": np.zeros((*axes, 3), np.float32)},
        "action": np.zeros((*axes, 2), np.float32),
        "reward": np.zeros(axes, np.float32),
        "discount": np.zeros(axes, np.float32),
        "next_observation": {"a": np.zeros((*axes, 3), np.float32)},
        "weight": np.ones(axes, np.float32),
        "extras": (),
        "origin": origin(*axes),
    }
    return Transitions(**{**fields, **changes})


def trajectory(
    *batches: int, steps: int = 4, environments: int = 2, changes: dict[str, Any] | None = None
) -> Trajectory:
    rows, longer = (*batches, steps, environments), (*batches, steps + 1, environments)
    fields: dict[str, Any] = {
        "observation": np.zeros((*longer, 3), np.float32),
        "action": np.zeros(rows, np.int32),
        "reward": np.zeros(rows, np.float32),
        "terminated": np.zeros(rows, np.bool_),
        "truncated": np.zeros(rows, np.bool_),
        "is_first": np.zeros(longer, np.bool_),
        "is_last": np.zeros(longer, np.bool_),
    }
    return Trajectory(**{**fields, **(changes or {})})


def test_trap_04_a_column_against_a_vector_is_refused() -> None:
    values, target, weight = jnp.zeros((2, 4)), jnp.zeros(4), jnp.ones(4)
    assert squared_error(values=values, target=target, weight=weight) == 0.0
    with pytest.raises(TypeCheckError):
        squared_error(values=values, target=target[:, None], weight=weight)
    with pytest.raises(TypeCheckError):
        squared_error(values=values, target=target, weight=weight[:, None])
    with pytest.raises(TypeCheckError):
        squared_error(values=values[..., None], target=target, weight=weight)
    with pytest.raises(TypeCheckError):
        squared_error(values=values, target=jnp.zeros(1), weight=weight)


@pytest.mark.parametrize("name", ["reward", "discount", "next_value"])
def test_trap_04_targets_refuse_any_column(name: str) -> None:
    arguments = {"reward": jnp.zeros(4), "discount": jnp.zeros(4), "next_value": jnp.zeros(4)}
    assert bootstrapped_target(**arguments).shape == (4,)
    with pytest.raises(TypeCheckError):
        bootstrapped_target(**{**arguments, name: arguments[name][..., None]})
    # Also while JAX traces.
    with pytest.raises(TypeCheckError):
        jax.jit(bootstrapped_target)(**{**arguments, name: arguments[name][..., None]})


def soft_value_arguments(**changes: Any) -> dict[str, Any]:
    arguments = {
        "values": jnp.zeros((2, 4, 3)),
        "weight": jnp.ones((4, 3)),
        "log_probability": jnp.zeros((4, 3)),
        "temperature": jnp.ones(()),
        "choice_entropy": jnp.zeros(4),
        "choice_temperature": jnp.ones(()),
    }
    return {**arguments, **changes}


@pytest.mark.parametrize("name", list(soft_value_arguments()))
def test_trap_04_entropy_objectives_refuse_columns(name: str) -> None:
    assert soft_value(**soft_value_arguments()).shape == (4,)
    with pytest.raises(TypeCheckError):
        soft_value(**soft_value_arguments(**{name: soft_value_arguments()[name][..., None]}))


@pytest.mark.parametrize("name", ["log_temperature", "entropy", "target_entropy"])
def test_trap_04_the_temperature_loss_refuses_columns(name: str) -> None:
    arguments = {"log_temperature": jnp.zeros(()), "entropy": jnp.zeros(4), "target_entropy": jnp.zeros(4)}
    assert temperature_loss(**arguments) == 0.0
    with pytest.raises(TypeCheckError):
        temperature_loss(**{**arguments, name: arguments[name][..., None]})


def test_trap_04_columns_are_refused_where_annotations_are_not_checked() -> None:
    values, vector = jnp.zeros((2, 4)), jnp.zeros(4)
    error, target = inspect.unwrap(squared_error), inspect.unwrap(bootstrapped_target)
    value, temperature = inspect.unwrap(soft_value), inspect.unwrap(temperature_loss)
    column = vector[:, None]
    one = jnp.ones(())
    calls: list[tuple[Any, dict[str, Any]]] = [
        (error, {"values": values, "target": column, "weight": vector}),
        (error, {"values": values, "target": vector, "weight": column}),
        (error, {"values": values[..., None], "target": vector, "weight": vector}),
        (target, {"reward": vector, "discount": column, "next_value": vector}),
        (target, {"reward": vector, "discount": vector, "next_value": values}),
        (value, soft_value_arguments(weight=column)),
        (value, soft_value_arguments(log_probability=column)),
        (value, soft_value_arguments(choice_entropy=column)),
        (value, soft_value_arguments(values=jnp.zeros((2, 4, 3, 1)))),
        (temperature, {"log_temperature": one, "entropy": column, "target_entropy": vector}),
        (temperature, {"log_temperature": one, "entropy": vector, "target_entropy": column}),
    ]
    for function, arguments in calls:
        with pytest.raises(ValueError, match="has the shape"):
            function(**arguments)


def test_wrong_shapes_and_dtypes_of_a_batch_are_refused() -> None:
    assert transitions(4).reward.shape == (4,)
    for name in ("reward", "discount", "weight"):
        with pytest.raises(TypeCheckError, match=name):
            transitions(4, **{name: np.zeros((4, 1), np.float32)})
        with pytest.raises(TypeCheckError, match=name):
            transitions(4, **{name: np.zeros(5, np.float32)})
        with pytest.raises(TypeCheckError, match=name):
            transitions(4, **{name: np.zeros(4, np.int32)})
    with pytest.raises(TypeCheckError):
        RowOrigin(**{**vars(origin(4)), "slot": np.zeros(3, np.int64)})
    with pytest.raises(TypeCheckError):
        Feedback(priority=np.zeros((), np.float32), origin=origin(4))


def test_wrong_shapes_of_a_trajectory_are_refused() -> None:
    assert trajectory().valid.shape == (4, 2)
    for name in ("reward", "terminated", "truncated"):
        dtype = np.float32 if name == "reward" else np.bool_
        with pytest.raises(TypeCheckError, match=name):
            trajectory(changes={name: np.zeros((2, 4), dtype)})
    for name in ("is_first", "is_last"):
        with pytest.raises(TypeCheckError, match=name):
            trajectory(changes={name: np.zeros((4, 2), np.bool_)})


def test_stacked_batches_are_batches_too() -> None:
    stacked = transitions(5, 4)
    assert stacked.reward.shape == (5, 4)
    with pytest.raises(TypeCheckError):
        transitions(5, 4, weight=np.ones(4, np.float32))
    assert jax.tree.map(lambda *leaves: np.stack(leaves), transitions(4), transitions(4)).reward.shape == (2, 4)
    sequences = Sequences(
        rows=trajectory(3, steps=5, environments=6),
        mask=np.ones((3, 5, 6), np.bool_),
        weight=np.ones((3, 6), np.float32),
        origin=origin(3, 6),
    )
    assert sequences.rows.valid.shape == (3, 5, 6)

    def each(total: jax.Array, batch: Transitions) -> tuple[jax.Array, jax.Array]:
        assert batch.reward.shape == (4,)
        return total + jnp.sum(batch.weight), jnp.mean(batch.reward)

    total, means = jax.jit(lambda batches: jax.lax.scan(each, jnp.zeros(()), batches))(stacked)
    assert total == 20.0
    assert means.shape == (5,)


def test_rows_with_the_final_observation_are_not_experience() -> None:
    is_last = np.zeros((5, 2), np.bool_)
    is_last[1, 0] = is_last[4, 1] = True
    single = trajectory(changes={"is_last": is_last})
    expected = np.ones((4, 2), np.bool_)
    expected[1, 0] = False
    np.testing.assert_array_equal(single.valid, expected)
    stacked = jax.tree.map(lambda leaf: np.stack([leaf, leaf, leaf]), single)
    np.testing.assert_array_equal(stacked.valid, np.stack([expected] * 3))


def test_policies_are_known_by_what_they_offer() -> None:
    class Something:
        def initial_carry(self) -> None: ...

        def act(self) -> None: ...

    assert isinstance(Something(), Policy)
    assert not isinstance(object(), Policy)

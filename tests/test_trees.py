"""Tree dataclasses and the operations on trees."""

import copy
import dataclasses
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, TypeCheckError

from triax.trees import byte_size, replace, static_field, to_numpy, tree_dataclass, tree_map, tree_select


@tree_dataclass
class Pair:
    """A tree dataclass with checked shapes, as the package's own are (which the import hook checks)."""

    vector: Float[Array, " N"]
    matrix: Float[Array, "N M"]
    name: str = static_field(default="pair")


@tree_dataclass
class Nested:
    """Tree dataclasses inside trees, and a branch that may be missing."""

    pairs: tuple[Pair, ...]
    by_name: dict[str, Any]
    missing: Any = None


def pair(value: float, *, name: str = "pair") -> Pair:
    return Pair(vector=jnp.full(3, value), matrix=jnp.full((3, 2), 2.0 * value), name=name)


def test_fields_are_keyword_only_and_frozen() -> None:
    with pytest.raises(TypeError):
        Pair(jnp.zeros(3), jnp.zeros((3, 2)))  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair(1.0).vector = jnp.zeros(3)  # type: ignore[misc]


def test_leaves_come_in_the_order_of_the_fields_and_static_fields_are_structure() -> None:
    leaves: list[Array]
    structure: Any
    leaves, structure = jax.tree.flatten(pair(1.0))
    assert [leaf.shape for leaf in leaves] == [(3,), (3, 2)]
    again = jax.tree.unflatten(structure, leaves)
    assert isinstance(again, Pair)
    assert again.name == "pair"
    assert structure == jax.tree.structure(pair(2.0))
    assert structure != jax.tree.structure(pair(1.0, name="other"))
    with pytest.raises(ValueError, match="pair"):
        jax.tree.map(lambda a, b: a, pair(1.0), pair(1.0, name="other"))


def test_paths_name_the_fields() -> None:
    nested = Nested(pairs=(pair(1.0),), by_name={"b": jnp.zeros(1)})
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(nested)]
    assert paths == [".pairs[0].vector", ".pairs[0].matrix", ".by_name['b']"]


def test_transformations_pass_through() -> None:
    stacked = tree_map(lambda *leaves: jnp.stack(leaves), *(pair(float(value)) for value in range(4)))
    assert isinstance(stacked, Pair)
    assert stacked.vector.shape == (4, 3)

    def double(value: Pair) -> Pair:
        assert value.vector.shape == (3,)
        return Pair(vector=2.0 * value.vector, matrix=value.matrix, name=value.name)

    mapped = jax.jit(jax.vmap(double))(stacked)
    np.testing.assert_array_equal(mapped.vector[:, 0], [0.0, 2.0, 4.0, 6.0])
    last, everything = jax.lax.scan(lambda carry, value: (double(value), carry), pair(9.0), stacked)
    assert last.vector[0] == 6.0
    np.testing.assert_array_equal(everything.vector[:, 0], [9.0, 0.0, 2.0, 4.0])
    gradient = jax.grad(lambda value: jnp.sum(value.vector**2))(pair(3.0))
    np.testing.assert_array_equal(gradient.vector, [6.0, 6.0, 6.0])
    assert jax.eval_shape(double, pair(1.0)).matrix.shape == (3, 2)
    in_axes = jax.tree.map(lambda _: 0, pair(0.0))
    assert jax.vmap(double, in_axes=(in_axes,))(stacked).vector.shape == (4, 3)


def test_none_is_a_branch_without_leaves() -> None:
    nested = Nested(pairs=(), by_name={})
    assert jax.tree.leaves(nested) == []
    assert jax.tree.map(lambda leaf: leaf, nested).missing is None


def test_an_instance_can_be_copied_and_pickled() -> None:
    value = to_numpy(pair(1.5))
    for again in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert isinstance(again, Pair)
        np.testing.assert_array_equal(again.vector, value.vector)


def test_replace_changes_some_fields() -> None:
    changed = replace(pair(1.0), vector=jnp.zeros(3))
    np.testing.assert_array_equal(changed.vector, np.zeros(3))
    np.testing.assert_array_equal(changed.matrix, pair(1.0).matrix)
    with pytest.raises(TypeError):
        replace(pair(1.0), vectr=jnp.zeros(3))


def test_select_follows_the_leading_axes() -> None:
    where = jnp.array([True, False])
    true = {"a": jnp.ones((2, 3)), "b": (jnp.ones(2), jnp.ones((2, 1, 2), jnp.int32))}
    false = jax.tree.map(jnp.zeros_like, true)
    chosen = tree_select(where=where, true=true, false=false)
    np.testing.assert_array_equal(chosen["a"], [[1.0] * 3, [0.0] * 3])
    np.testing.assert_array_equal(chosen["b"][0], [1.0, 0.0])
    np.testing.assert_array_equal(chosen["b"][1], [[[1, 1]], [[0, 0]]])
    assert chosen["b"][1].dtype == jnp.int32
    grid = tree_select(where=jnp.array([[True, False]]), true=jnp.ones((1, 2, 3)), false=jnp.zeros((1, 2, 3)))
    np.testing.assert_array_equal(grid, [[[1.0] * 3, [0.0] * 3]])
    # A host value is chosen from as well.
    np.testing.assert_array_equal(tree_select(where=np.array([False]), true=np.ones(1), false=np.zeros(1)), [0.0])


def test_what_is_brought_to_the_host_is_no_view() -> None:
    device = {"a": jnp.arange(3.0)}
    host: Any = to_numpy(device)
    assert type(host["a"]) is np.ndarray
    assert host["a"].flags.writeable
    assert host["a"].flags.owndata
    host["a"][0] = 9.0
    assert device["a"][0] == 0.0
    numpy_input = np.zeros(2)
    to_numpy(numpy_input)[0] = 1.0
    assert numpy_input[0] == 0.0


def test_trap_34_a_copy_on_the_host_does_not_stop_a_donation() -> None:
    value = jnp.ones(1000)
    pointer = value.unsafe_buffer_pointer()
    host = to_numpy(value)
    moved = jax.jit(lambda leaf: leaf + 1.0, donate_argnums=0)(value)
    assert value.is_deleted()
    assert moved.unsafe_buffer_pointer() == pointer
    np.testing.assert_array_equal(host, np.ones(1000))


def test_byte_size_counts_every_leaf() -> None:
    tree = {"a": np.zeros((2, 3), np.float32), "b": (np.zeros(5, np.uint8), jnp.zeros((), jnp.int32))}
    assert byte_size(tree) == 24 + 5 + 4
    assert byte_size(jax.eval_shape(lambda: {"a": jnp.zeros((7,), jnp.float16)})) == 14
    assert byte_size(()) == 0


def test_the_constructor_checks_shapes_and_the_copies_of_jax_do_not() -> None:
    from triax.types import RowOrigin, Transitions

    rows = np.zeros(4, np.int32)
    origin = RowOrigin(source=rows, task=rows, slot=rows, generation=rows, policy_version=rows)
    fields: dict[str, Any] = {
        "observation": np.zeros((4, 2), np.float32),
        "action": np.zeros((4, 1), np.float32),
        "reward": np.zeros(4, np.float32),
        "discount": np.ones(4, np.float32),
        "next_observation": np.zeros((4, 2), np.float32),
        "weight": np.ones(4, np.float32),
        "extras": {},
        "origin": origin,
    }
    batch = Transitions(**fields)
    with pytest.raises(TypeCheckError, match="discount"):
        Transitions(**{**fields, "discount": np.ones((4, 1), np.float32)})
    with pytest.raises(TypeCheckError, match="reward"):
        replace(batch, reward=np.zeros(4, np.int32))
    # Placeholders of any kind pass where JAX puts them in.
    axes = jax.tree.map(lambda _: 0, batch)
    assert axes.reward == 0
    assert jax.tree.map(lambda _: None, batch).reward is None

"""A scan that draws ahead computes what one does in which each step draws for itself."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from triax.random import KeyArray, derive_key
from triax.training.loops.scanning import scan_drawing_ahead, split_at_key

BATCHES = jnp.arange(15.0).reshape(5, 3)
KEYS = jax.random.split(derive_key(seed=0, name=("test",)), 5)


def draws_alone(state: Any, batch: Any, key: KeyArray) -> tuple[Any, Any]:
    first, second = jax.random.split(key)
    noise = 2.0 * jax.random.normal(first, batch.shape) + jax.random.uniform(second)
    moved = state["sum"] + jnp.sum(batch * noise)
    return {"sum": moved, "count": state["count"] + 1}, {"noise": noise, "moved": moved}


def draws_in_branches(state: Any, batch: Any, key: KeyArray) -> tuple[Any, Any]:
    def drawn(key: KeyArray) -> jax.Array:
        return jax.random.normal(key)

    # Here what is drawn depends on the state, in a branch, in a loop, and in a function with a derivative.
    chosen = jax.lax.cond(state["sum"] > 0.0, drawn, lambda key: drawn(key) + batch[0], key)
    looped = jax.lax.fori_loop(0, 2, lambda _, value: value + drawn(key), state["sum"])
    slope = jax.grad(lambda value: value**2 * jax.random.normal(key))(state["sum"])
    picked = jax.random.categorical(key, jnp.stack([state["sum"], chosen]))
    moved = looped + chosen + slope + picked
    return {"sum": jnp.tanh(moved), "count": state["count"] + 1}, {"picked": picked, "chosen": chosen}


def scanned_plainly(step: Any) -> tuple[Any, Any]:
    return jax.lax.scan(lambda state, inputs: step(state, *inputs), begin(), (BATCHES, KEYS))


def begin() -> dict[str, jax.Array]:
    return {"sum": jnp.zeros(()), "count": jnp.zeros((), jnp.int32)}


def test_what_is_drawn_ahead_is_what_each_step_would_draw() -> None:
    for step in (draws_alone, draws_in_branches):
        found = jax.jit(lambda step=step: scan_drawing_ahead(step, state=begin(), batches=BATCHES, keys=KEYS))()
        expected = jax.jit(lambda step=step: scanned_plainly(step))()
        jax.tree.map(lambda own, other: np.testing.assert_allclose(own, other, rtol=1e-6), found, expected)
        assert int(found[0]["count"]) == 5


def test_nothing_is_drawn_within_the_scan_that_depends_on_the_key_alone() -> None:
    ahead, rest = split_at_key(jax.make_jaxpr(draws_alone)(begin(), BATCHES[0], KEYS[0]))
    assert "random_bits" in str(ahead)
    assert "random" not in str(rest)
    assert len(ahead.jaxpr.invars) == 1


def test_what_depends_on_the_state_stays_where_it_is() -> None:
    ahead, rest = split_at_key(jax.make_jaxpr(draws_in_branches)(begin(), BATCHES[0], KEYS[0]))
    assert "cond" in str(rest)
    assert "cond" not in str(ahead)


def test_effects_stay_within_the_scan() -> None:
    def says(state: Any, batch: Any, key: KeyArray) -> tuple[Any, Any]:
        jax.debug.callback(lambda number: None, jax.random.uniform(key))
        return state, batch

    ahead, rest = split_at_key(jax.make_jaxpr(says)(begin(), BATCHES[0], KEYS[0]))
    assert "debug_callback" in str(rest)
    assert "debug_callback" not in str(ahead)

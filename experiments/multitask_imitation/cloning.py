"""Many clones in one compiled program: the pure functions of a learner, mapped over clones and scanned over updates."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from triax.learners.actor import ActorParameters
from triax.learners.cloning.learner import Cloning
from triax.learners.cloning.state import CloningState
from triax.random import KeyArray
from triax.trees import Tree, tree_map
from triax.types import Transitions


def train_clone(
    *,
    learner: Cloning,
    state: CloningState,
    rows: Transitions,
    count: Int[Array, ""],
    key: KeyArray,
    updates: int,
    batch_size: int,
) -> CloningState:
    """Train one clone on batches drawn with replacement. Pure.

    :param learner: of the clone.
    :param state: in which it begins.
    :param rows: what can be drawn, [N, ...].
    :param count: only the first so many rows are drawn.
    :param key: randomness of the batches.
    :param updates: how many.
    :param batch_size: rows of a batch.
    :return: the state in which it ends.
    """

    def improve(state: CloningState, number: Int[Array, ""]) -> tuple[CloningState, None]:
        key_rows, key_update = jax.random.split(jax.random.fold_in(key, number))
        drawn = jax.random.randint(key_rows, (batch_size,), 0, count)
        state, _ = learner.update(state=state, batch=tree_map(lambda leaf: leaf[drawn], rows), key=key_update)
        return state, None

    state, _ = jax.lax.scan(improve, state, jnp.arange(updates))
    return state


def train_clones(
    *,
    learner: Cloning,
    states: CloningState,
    rows: Transitions,
    counts: Int[Array, " clones"],
    keys: KeyArray,
    updates: int,
    batch_size: int,
) -> CloningState:
    """Train many clones side by side, in one compiled program.

    :param learner: of all of them.
    :param states: in which they begin, [clones, ...].
    :param rows: what each can draw, [clones, N, ...].
    :param counts: how many of the rows each draws from.
    :param keys: randomness of each, [clones].
    :param updates: of each.
    :param batch_size: rows of each one's batches.
    :return: the states in which they end, [clones, ...].
    """
    trained: CloningState = _train(
        states, tree_map(jnp.asarray, rows), counts, keys, learner=learner, updates=updates, batch_size=batch_size
    )
    return trained


@functools.partial(jax.jit, static_argnames=("learner", "updates", "batch_size"))
def _train(
    states: CloningState,
    rows: Transitions,
    counts: Array,
    keys: KeyArray,
    *,
    learner: Cloning,
    updates: int,
    batch_size: int,
) -> CloningState:
    def train(state: CloningState, rows: Transitions, count: Array, key: KeyArray) -> CloningState:
        return train_clone(
            learner=learner, state=state, rows=rows, count=count, key=key, updates=updates, batch_size=batch_size
        )

    trained: CloningState = jax.vmap(train)(states, rows, counts, keys)
    return trained


def initial_states(*, learner: Cloning, keys: Sequence[KeyArray]) -> CloningState:
    """Make the states in which clones begin.

    :param learner: of all of them.
    :param keys: of each one's network.
    :return: states, [clones, ...].
    """
    states: CloningState = jax.jit(jax.vmap(lambda key: learner.initial_state(key=key)))(jnp.stack(list(keys)))
    return states


def policies(*, learner: Cloning, states: CloningState) -> ActorParameters:
    """Extract what clones act with.

    :param learner: of all of them.
    :param states: [clones, ...].
    :return: their parameters, [clones, ...].
    """
    extracted: ActorParameters = jax.vmap(lambda state: learner.policy_parameters(state=state))(states)
    return extracted


def stacked(trees: Sequence[Any]) -> Any:
    """Stack trees along a new first axis.

    :param trees: of one structure.
    :return: the stack.
    """
    return tree_map(lambda *leaves: jnp.stack(leaves), trees[0], *trees[1:])


def member(tree: Tree, *, index: int) -> Tree:
    """Take one of several stacked trees.

    :param tree: the stack.
    :param index: which.
    :return: one.
    """
    return tree_map(lambda leaf: leaf[index], tree)

"""Learning from fresh experience in chunks: some epochs over each, and then it is thrown away."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from triax.learners.interface import Learner, OnPolicyPlan
from triax.random import KeyArray
from triax.rollout import Fleet
from triax.training.loops.base import FleetLoop, Iteration, update_number
from triax.trees import Tree
from triax.types import EpisodeSummary, UpdateOutput


class OnPolicyLoop(FleetLoop):
    """Collects a chunk, prepares it, and goes over it in epochs and minibatches, in one compiled call.

    :param learner: the algorithm.
    :param plan: its plan.
    :param fleet: makes experience.
    :param environments: how many environments the fleet has.
    :param seed: the run's seed.
    :raises ValueError: if the minibatches do not divide a chunk.
    """

    def __init__(
        self, *, learner: Learner[Any], plan: OnPolicyPlan, fleet: Fleet, environments: int, seed: int
    ) -> None:
        super().__init__(learner=learner, fleet=fleet, seed=seed)
        rows = plan.steps * environments
        if rows % plan.minibatch_size:
            raise ValueError(
                f"minibatch_size={plan.minibatch_size} does not divide the {rows} rows of a chunk ({plan.steps} "
                "steps × "
                f"{environments} environments); choose one that does."
            )
        self._plan = plan
        self._rows = rows
        self._learn = compiled_epochs(learner=learner, plan=plan, minibatches=rows // plan.minibatch_size)
        self.publish()

    def advance(self, *, limit: int) -> Iteration:
        """Collect one chunk and learn from it; a chunk cannot be split."""
        metrics = []
        episodes: list[EpisodeSummary] = []
        for chunk in self._fleet.collect(minimum=self._rows, maximum=self._rows, timeout=None):
            self.learner_state, output, made = self._learn(
                self.learner_state, chunk.trajectory, self._update_key, update_number(self.counters.updates)
            )
            made = np.asarray(made)
            self.counters.updates += int(made.sum())
            metrics.append(jax.tree.map(lambda leaf, made=made: np.asarray(leaf)[made], output.metrics))
            self.counters.environment_steps += chunk.steps
            episodes.extend(chunk.episodes)
        self.publish()
        return Iteration(metrics=tuple(metrics), episodes=tuple(episodes))


def compiled_epochs(*, learner: Learner[Any], plan: OnPolicyPlan, minibatches: int) -> Callable[..., Any]:
    """Compile the preparation of a chunk and all epochs over it into one call, the learner's state donated.

    An epoch is one pass over all prepared rows, in a new random order. Where an update says stop, the rest of the
    epochs is left out.

    :param learner: the algorithm.
    :param plan: how many epochs, of which minibatches.
    :param minibatches: how many a pass.
    :return: from (state, trajectory, key, number of the first update) to the new state, the outputs of all updates, and
        which of them were made, [updates].
    """

    def learn(
        state: Tree, trajectory: Tree, key: KeyArray, first_update: jax.Array
    ) -> tuple[Tree, UpdateOutput, jax.Array]:
        state, prepared = learner.ingest(state=state, chunk=trajectory)
        order_key, update_key = jax.random.split(jax.random.fold_in(key, first_update))
        rows = jax.tree.leaves(prepared)[0].shape[0]
        orders = jax.vmap(lambda epoch_key: jax.random.permutation(epoch_key, rows))(
            jax.random.split(order_key, plan.epochs)
        ).reshape(plan.epochs * minibatches, plan.minibatch_size)

        def make_update(state: Tree, rows_now: jax.Array, number: jax.Array) -> tuple[Tree, UpdateOutput]:
            minibatch = jax.tree.map(lambda leaf: leaf[rows_now], prepared)
            return learner.update(state=state, batch=minibatch, key=jax.random.fold_in(update_key, number))

        blank = jax.eval_shape(make_update, state, orders[0], jnp.uint32(0))[1]

        def step(carry: tuple[Tree, jax.Array], inputs: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
            state, stopped = carry
            state, output = jax.lax.cond(
                stopped,
                lambda state: (state, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), blank)),
                lambda state: make_update(state, *inputs),
                state,
            )
            stop = jnp.zeros((), jnp.bool_) if output.stop is None else output.stop
            return (state, stopped | stop), (output, ~stopped)

        numbers = jnp.arange(plan.epochs * minibatches, dtype=jnp.uint32)
        (state, _), (outputs, made) = jax.lax.scan(step, (state, jnp.zeros((), jnp.bool_)), (orders, numbers))
        return state, outputs, made

    compiled: Callable[..., Any] = jax.jit(learn, donate_argnums=0)
    return compiled

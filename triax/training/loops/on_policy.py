"""Learning from fresh experience in chunks: some epochs over each, and then it is thrown away. In chunks of one step,
that is learning from a stream.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from triax.learners.interface import Learner, OnPolicyPlan
from triax.random import KeyArray
from triax.rollout import Fleet, FleetReport
from triax.training.devices import DEFAULT_PLACEMENT, Placement
from triax.training.loops.base import COLLECT_SECONDS, FleetLoop, Iteration, update_number
from triax.training.loops.scanning import evaluate
from triax.trees import Tree
from triax.types import Chunk, Trajectory, UpdateOutput


class OnPolicyLoop(FleetLoop):
    """Collects a chunk, prepares it, and goes over it in epochs and minibatches, in one compiled call.

    :param learner: the algorithm.
    :param plan: its plan.
    :param fleet: makes experience.
    :param environments: how many environments the fleet has.
    :param maximum_policy_lag: chunks made by a policy older than this many versions are left out, unless the plan says
        that the learner corrects for that.
    :param seed: the run's seed.
    :param placement: on which devices updates are computed.
    :raises ValueError: if the minibatches do not divide a chunk, or cannot be split over the devices.
    """

    def __init__(
        self,
        *,
        learner: Learner[Any],
        plan: OnPolicyPlan,
        fleet: Fleet,
        environments: int,
        maximum_policy_lag: int = 0,
        seed: int,
        placement: Placement = DEFAULT_PLACEMENT,
    ) -> None:
        super().__init__(learner=learner, fleet=fleet, seed=seed, placement=placement)
        rows = plan.steps * environments
        minibatch_size = plan.minibatch_size or rows
        if rows % minibatch_size:
            raise ValueError(
                f"minibatch_size={minibatch_size} does not divide the {rows} rows of a chunk ({plan.steps} "
                "steps × "
                f"{environments} environments); choose one that does."
            )
        self._plan = plan
        self._rows = rows
        self._maximum_policy_lag = math.inf if plan.corrects_lag else maximum_policy_lag
        self._pending: list[Chunk] = []
        placement.check_rows(rows=minibatch_size, field="minibatch_size")
        self._learn = compiled_epochs(
            learner=learner, epochs=plan.epochs, minibatches=rows // minibatch_size, placement=self.placement
        )
        self.publish()

    def advance(self, *, limit: int) -> Iteration:
        """Collect as many rows as an update wants, and learn from them; they cannot be split."""
        missing = self._rows - sum(chunk.trajectory.reward.size for chunk in self._pending)
        found = self.fleet.collect(minimum=missing, maximum=missing, timeout=COLLECT_SECONDS)
        fresh = [chunk for chunk in found if self._lag(chunk) <= self._maximum_policy_lag]
        rejected_steps = sum(chunk.steps for chunk in found) - sum(chunk.steps for chunk in fresh)
        episodes = tuple(episode for chunk in found for episode in chunk.episodes)
        self._pending += fresh
        if sum(chunk.trajectory.reward.size for chunk in self._pending) < self._rows:
            return Iteration(episodes=episodes, rejected_steps=rejected_steps)
        chunks, self._pending = self._pending, []
        lags = tuple(map(self._lag, chunks))
        self.learner_state, output, made = self._learn(
            self.learner_state, joined(chunks), self._update_key, update_number(self.counters.updates)
        )
        made = np.asarray(made)
        self.counters.updates += int(made.sum())
        self.counters.environment_steps += sum(chunk.steps for chunk in chunks)
        self.publish()
        return Iteration(
            metrics=(jax.tree.map(lambda leaf: np.asarray(leaf)[made], output.metrics),),
            episodes=episodes,
            policy_lags=lags,
            rejected_steps=rejected_steps,
        )

    def fleet_report(self) -> FleetReport:
        """Count what the fleet has done; chunks that wait for others are in no checkpoint, and under way still."""
        report, waiting = super().fleet_report(), sum(chunk.steps for chunk in self._pending)
        return dataclasses.replace(report, steps_underway=report.steps_underway + waiting)

    def _lag(self, chunk: Chunk) -> int:
        return self.counters.policy_version - chunk.policy_version


def joined(chunks: Sequence[Chunk]) -> Trajectory:
    """Put chunks side by side. Each is a piece of its own: of different environments, or of different times.

    :param chunks: of the same number of steps.
    :return: one trajectory, with the environments of all of them.
    """
    if len(chunks) == 1:
        return chunks[0].trajectory
    trajectory: Trajectory = jax.tree.map(
        lambda *leaves: np.concatenate(leaves, axis=1), *(chunk.trajectory for chunk in chunks)
    )
    return trajectory


def compiled_epochs(
    *, learner: Learner[Any], epochs: int, minibatches: int, placement: Placement
) -> Callable[..., Any]:
    """Compile the preparation of a chunk and all epochs over it into one call, the learner's state donated.

    An epoch is one pass over all prepared rows, in a new random order. Where an update says stop, the rest of the
    epochs is left out; so is an update that there is nothing to learn from for.

    :param learner: the algorithm.
    :param epochs: how many passes.
    :param minibatches: how many a pass, all of one size.
    :param placement: on which devices. Each of several prepares the whole chunk, and takes its share of every
        minibatch from it: rows in random order, which would otherwise have to be exchanged between devices.
    :return: from (state, trajectory, key, number of the first update) to the new state, the outputs of all updates, and
        which of them were made, [updates].
    """

    def learn(
        state: Tree, trajectory: Tree, key: KeyArray, first_update: jax.Array
    ) -> tuple[Tree, UpdateOutput, jax.Array]:
        state, prepared = learner.ingest(state=state, chunk=trajectory)
        order_key, update_key = jax.random.split(jax.random.fold_in(key, first_update))
        rows = jax.tree.leaves(prepared)[0].shape[0]
        # One sort an epoch. jax.random.permutation takes two where there are more than a thousand rows or so, which is
        # a sixth of the time of PPO's small updates.
        orders = jnp.argsort(jax.random.bits(order_key, (epochs, rows)), axis=-1)
        orders = orders.reshape(epochs * minibatches, rows // minibatches)

        def minibatch(rows_now: jax.Array) -> Tree:
            return jax.tree.map(lambda leaf: leaf[rows_now], prepared)

        def make_update(state: Tree, rows_now: jax.Array, number: jax.Array) -> tuple[Tree, UpdateOutput]:
            return learner.update(
                state=state, batch=placement.split(minibatch(rows_now)), key=jax.random.fold_in(update_key, number)
            )

        program, results = jax.make_jaxpr(make_update, return_shape=True)(state, orders[0], jnp.uint32(0))

        def step(carry: tuple[Tree, jax.Array], inputs: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[Any, Any]:
            state, stopped = carry
            *arguments, learnable = inputs
            made = ~stopped & learnable
            state, output = jax.lax.cond(
                made,
                lambda state: evaluate(program, state, arguments, results=results),
                lambda state: (state, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), results[1])),
                state,
            )
            stop = jnp.zeros((), jnp.bool_) if output.stop is None else output.stop
            return (state, stopped | stop), (output, made)

        numbers = jnp.arange(epochs * minibatches, dtype=jnp.uint32)
        learnable = jax.vmap(lambda rows_now: learner.learns_from(batch=minibatch(rows_now)))(orders)
        (state, _), (outputs, made) = jax.lax.scan(
            step, (state, jnp.zeros((), jnp.bool_)), (orders, numbers, learnable)
        )
        return state, outputs, made

    return placement.compile(learn, donate_argnums=0)

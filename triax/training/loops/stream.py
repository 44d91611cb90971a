"""Learning from every step once, in order, as it is made: no memory of experience."""

from typing import Any

import jax
import jax.numpy as jnp

from triax.learners.interface import Learner, StreamPlan
from triax.random import KeyArray
from triax.rollout import Fleet
from triax.training.loops.base import COLLECT_SECONDS, FleetLoop, Iteration, update_number
from triax.trees import Tree
from triax.types import EpisodeSummary, RowOrigin, Trajectory, Transitions, UpdateOutput


class StreamLoop(FleetLoop):
    """Takes one step in every environment, makes one update with these rows, and acts with the result.

    :param learner: the algorithm.
    :param plan: its plan.
    :param fleet: makes experience.
    :param environments: how many environments the fleet has.
    :param seed: the run's seed.
    """

    def __init__(self, *, learner: Learner[Any], plan: StreamPlan, fleet: Fleet, environments: int, seed: int) -> None:
        super().__init__(learner=learner, fleet=fleet, seed=seed)
        self._environments = environments

        def learn(state: Tree, trajectory: Trajectory, key: KeyArray, number: jax.Array) -> tuple[Tree, UpdateOutput]:
            state, prepared = learner.ingest(state=state, chunk=trajectory)
            batch = stream_transitions(trajectory=prepared, discount=plan.discount)
            return learner.update(state=state, batch=batch, key=jax.random.fold_in(key, number))

        self._learn = jax.jit(learn, donate_argnums=0)
        self.publish()

    def advance(self, *, limit: int) -> Iteration:
        """Make one step in every environment, and one update."""
        metrics = []
        episodes: list[EpisodeSummary] = []
        lags: list[int] = []
        rows = self._environments
        for chunk in self.fleet.collect(minimum=rows, maximum=rows, timeout=COLLECT_SECONDS):
            self.learner_state, output = self._learn(
                self.learner_state, chunk.trajectory, self._update_key, update_number(self.counters.updates)
            )
            self.counters.updates += 1
            self.counters.environment_steps += chunk.steps
            metrics.append(jax.tree.map(lambda leaf: leaf[None], output.metrics))
            episodes.extend(chunk.episodes)
            lags.append(self.counters.policy_version - chunk.policy_version)
        if metrics:
            self.publish()
        return Iteration(metrics=tuple(metrics), episodes=tuple(episodes), policy_lags=tuple(lags))


def stream_transitions(*, trajectory: Trajectory, discount: float) -> Transitions:
    """Turn one step of B environments into a batch of B transitions.

    :param trajectory: T = 1.
    :param discount: γ.
    :return: one row an environment; rows in which no action was taken weigh 0.
    """
    environments = trajectory.reward.shape[1]
    zeros = jnp.zeros((environments,), jnp.int32)
    return Transitions(
        observation=jax.tree.map(lambda leaf: leaf[0], trajectory.observation),
        action=jax.tree.map(lambda leaf: leaf[0], trajectory.action),
        reward=jnp.asarray(trajectory.reward[0]),
        discount=jnp.where(trajectory.terminated[0], 0.0, discount),
        next_observation=jax.tree.map(lambda leaf: leaf[1], trajectory.observation),
        weight=jnp.asarray(trajectory.valid[0], jnp.float32),
        extras=jax.tree.map(lambda leaf: leaf[0], trajectory.extras),
        origin=RowOrigin(source=zeros, task=zeros, slot=jnp.arange(environments), generation=zeros),
    )

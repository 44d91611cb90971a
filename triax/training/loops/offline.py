"""Learning from a recorded dataset; no environment is stepped."""

import math
from typing import Any

import numpy as np

from triax.learners.interface import DatasetPlan, Learner
from triax.random import derive_generator
from triax.replay import BatchSource
from triax.training.devices import DEFAULT_PLACEMENT, Placement
from triax.training.loops.base import (
    Counters,
    Iteration,
    Loop,
    LoopState,
    compiled_updates,
    update_number,
)
from triax.trees import Tree, to_numpy
from triax.types import Trajectory


class OfflineLoop(Loop):
    """Draws batches and updates; looks at the held-out loss from time to time, and stops when it no longer falls.

    :param learner: the algorithm.
    :param plan: its plan.
    :param training: the part of the dataset that is learned from, as one trajectory; for statistics.
    :param source: draws batches from it.
    :param held_out: all rows of the other part, as one batch; None where nothing is held out.
    :param updates_per_call: updates in one compiled call.
    :param seed: the run's seed.
    :param placement: on which devices updates are computed.
    :raises ValueError: if a batch cannot be split over the devices.
    """

    def __init__(
        self,
        *,
        learner: Learner[Any],
        plan: DatasetPlan,
        training: Trajectory,
        source: BatchSource,
        held_out: Tree | None,
        updates_per_call: int,
        seed: int,
        placement: Placement = DEFAULT_PLACEMENT,
    ) -> None:
        super().__init__(learner=learner, seed=seed, placement=placement)
        placement.check_rows(rows=plan.batch_size, field="batch_size")
        self._plan = plan
        self._source = source
        self._held_out = self.placement.everywhere(held_out)
        self._updates_per_call = updates_per_call
        self._seed = seed
        self._updates = compiled_updates(learner=learner, placement=self.placement)
        self._held_out_loss = self.placement.compile(learner.held_out_loss)
        if learner.ingests:
            self.learner_state, _ = self._ingest(state=self.learner_state, chunk=training)
        self._best_parameters = to_numpy(self.policy_parameters())
        self._best_loss = math.inf
        self._without_improvement = 0

    @property
    def steps(self) -> int:
        """Updates."""
        return self.counters.updates

    @property
    def counts_updates(self) -> bool:
        """They are."""
        return True

    def advance(self, *, limit: int) -> Iteration:
        """Make the updates of one call; a call cannot be split."""
        batches = self._source.sample(
            unit=self._plan.unit,
            batch_size=self._plan.batch_size,
            batches=self._updates_per_call,
            generator=derive_generator(seed=self._seed, name=("dataset", self.counters.updates)),
        )
        self.learner_state, output = self._updates(
            self.learner_state,
            self.placement.split_batches(batches),
            self._update_key,
            update_number(self.counters.updates),
        )
        looks_before = self.counters.updates // self._plan.held_out_interval
        self.counters.updates += self._updates_per_call
        self.counters.policy_version += 1
        metrics: list[Tree] = [output.metrics]
        finished = None
        if self._held_out is not None and self.counters.updates // self._plan.held_out_interval > looks_before:
            loss = float(self._held_out_loss(state=self.learner_state, batch=self._held_out))
            metrics.append({"held_out_loss": np.array([loss])})
            finished = self._judge(loss=loss)
        return Iteration(metrics=tuple(metrics), finished=finished)

    def begin_with(self, *, parameters: Tree) -> None:
        """Put other parameters in the place of those of the policy; see :meth:`Loop.begin_with`."""
        super().begin_with(parameters=parameters)
        self._best_parameters = to_numpy(self.policy_parameters())

    def agent_parameters(self) -> Tree:
        """Extract the parameters with the lowest held-out loss, or the newest where nothing is held out."""
        if self._held_out is None or not math.isfinite(self._best_loss):
            return self.policy_parameters()
        return self._best_parameters

    def state(self) -> LoopState:
        """Copy everything that changes; see :meth:`Loop.state`."""
        return LoopState(
            learner=to_numpy(self.learner_state),
            fleet=(),
            source=self._source.state(),
            own={
                "best_parameters": self._best_parameters,
                "best_loss": np.array(self._best_loss),
                "without_improvement": np.array(self._without_improvement),
            },
        )

    def restore(self, *, state: LoopState, counters: Counters) -> None:
        """Take over a state; see :meth:`Loop.restore`."""
        self.counters = counters
        self.learner_state = self.placement.everywhere(state.learner)
        self._source.restore(state.source)
        self._best_parameters = state.own["best_parameters"]
        self._best_loss = float(state.own["best_loss"])
        self._without_improvement = int(state.own["without_improvement"])

    def close(self) -> None:
        """Nothing is open."""

    def _judge(self, *, loss: float) -> str | None:
        if loss < self._best_loss:
            self._best_loss = loss
            self._best_parameters = to_numpy(self.policy_parameters())
            self._without_improvement = 0
            return None
        self._without_improvement += 1
        if self._plan.patience is None or self._without_improvement < self._plan.patience:
            return None
        return (
            f"the held-out loss has not fallen for {self._without_improvement} looks; its best was "
            f"{self._best_loss:.6g}"
        )

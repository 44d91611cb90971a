"""Learning from all experience kept so far, or from a mixture of that and a dataset."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from triax.learners.interface import Learner, ReplayPlan
from triax.random import derive_generator
from triax.replay import RECORDED, BatchSource, Replay
from triax.rollout import Fleet, WorkersFailed
from triax.training.devices import DEFAULT_PLACEMENT, Placement
from triax.training.loops.base import (
    COLLECT_SECONDS,
    Counters,
    FleetLoop,
    Iteration,
    LoopState,
    compiled_updates,
    update_number,
)
from triax.training.loops.limiter import RateLimiter
from triax.trees import Tree, replace, to_numpy, tree_map
from triax.types import ActionMode, Chunk, Trajectory

MOST_UNPUBLISHED = 8
"""Of an iteration's updates, after so many there is a policy that is sent to a fleet which works meanwhile."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Prepared:
    """Batches for a call of updates.

    :ivar batches: on the device, or on their way to it.
    :ivar policy_versions: which versions took the steps that they hold, [rows]; recorded ones are left out.
    """

    batches: Tree
    policy_versions: npt.NDArray[Any]


class ReplayLoop(FleetLoop):
    """Collects, keeps, and updates in a fixed ratio, within a tolerance.

    An iteration collects as many steps as one compiled call of updates asks for, and makes the calls that are due.
    While the device works, the batches of the next call are drawn: from the replay as it is then, so that which rows
    they hold follows from the seed, the update's number and the replay at that point, and not from timing.

    A fleet that makes experience meanwhile gets a policy after the last call of an iteration, and after every few
    updates before: when the call after the one that makes it has begun, so that the device does not stand idle while
    policies are copied, unless there is nothing for the device to do. Others act when all calls are made.

    :param learner: the algorithm.
    :param plan: the replay's part of its plan.
    :param batch_size: rows a batch, over all sources.
    :param fleet: makes experience.
    :param replay: keeps it.
    :param source: where batches are drawn from: the replay, or a mixture with it.
    :param updates_per_call: updates in one compiled call.
    :param ratio_tolerance: how many updates either side may be ahead of the other, beyond one call.
    :param seed: the run's seed.
    :param placement: on which devices updates are computed.
    :ivar replay: keeps experience.
    :raises ValueError: if a batch cannot be split over the devices.
    """

    def __init__(
        self,
        *,
        learner: Learner[Any],
        plan: ReplayPlan,
        batch_size: int,
        fleet: Fleet,
        replay: Replay,
        source: BatchSource,
        updates_per_call: int,
        ratio_tolerance: int = 0,
        seed: int,
        placement: Placement = DEFAULT_PLACEMENT,
    ) -> None:
        super().__init__(learner=learner, fleet=fleet, seed=seed, placement=placement)
        placement.check_rows(rows=batch_size, field="batch_size")
        self._plan = plan
        self._batch_size = batch_size
        self.replay = replay
        self._source = source
        self._limiter = RateLimiter(
            updates_per_step=plan.updates_per_step,
            warmup_steps=plan.warmup_steps,
            tolerance=ratio_tolerance,
            updates_per_call=updates_per_call,
        )
        self._seed = seed
        self._updates = compiled_updates(learner=learner, placement=self.placement)
        self._copied_policy = self.placement.compile(
            lambda state: jax.tree.map(jnp.copy, learner.rollout_parameters(state=state))
        )
        self._prepared: _Prepared | None = None
        self._announced: Tree | None = None
        self.publish()

    def advance(self, *, limit: int) -> Iteration:
        """Collect and update; see :meth:`Loop.advance`."""
        end = self.steps + limit
        chunks = self._collect(limit=limit, wait=self._announced is None)
        if self._announced is not None and not self._limiter.calls_due(self.counters):
            self._send_announced()
            try:
                chunks += self._collect(limit=max(0, end - self.steps))
            except WorkersFailed:
                # What came before it is passed on; the fleet says so again when it is asked next.
                if not chunks:
                    raise
        lags = tuple(self.counters.policy_version - chunk.policy_version for chunk in chunks)
        metrics, ages, unpublished = [], [], 0
        for _ in range(self._limiter.calls_due(self.counters)):
            prepared = self._sample() if self._prepared is None else self._prepared
            self._prepared = None
            self.learner_state, output = self._updates(
                self.learner_state, prepared.batches, self._update_key, update_number(self.counters.updates)
            )
            self.counters.updates += self._limiter.updates_per_call
            metrics.append(output.metrics)
            ages.append(self.counters.policy_version - prepared.policy_versions)
            if not self._source.uses_feedback:
                self._prepared = self._sample()
            elif output.feedback is not None:
                self._source.feedback(feedback=to_numpy(output.feedback))
            unpublished += self._limiter.updates_per_call
            if self.fleet.is_concurrent and unpublished >= MOST_UNPUBLISHED:
                self._announce()
                unpublished = 0
        if not metrics:
            # Experience has come since these were drawn: draw again, so that a resumed run draws the same.
            self._prepared = None
            if chunks and self.learner.ingests and self.acting_mode() is not ActionMode.RANDOM:
                # It has changed the statistics alone: a resumed run acts with those of its checkpoint.
                self.publish()
        elif not self.fleet.is_concurrent:
            self.publish()
        elif unpublished > 0:
            self._announce()
        episodes = tuple(episode for chunk in chunks for episode in chunk.episodes)
        return Iteration(metrics=tuple(metrics), episodes=episodes, policy_lags=lags, policy_ages=tuple(ages))

    def publish(self) -> None:
        """Give the fleet a new policy version: the learner's of now, in place of one that was announced."""
        self._announced = None
        super().publish()

    def prefill(self, *, experience: Trajectory, task: npt.NDArray[Any]) -> None:
        """Fill the replay; see :meth:`Loop.prefill`. Environments get episodes in turn, as each has its own place."""
        if self.learner.extras_spec:
            raise ValueError(
                f"Experiment.prefill is set, and {type(self.learner).__name__} needs "
                f"{sorted(self.learner.extras_spec)} beside each action, which recordings do not have; leave it out."
            )
        if self.learner.ingests:
            self.learner_state, _ = self._ingest(state=self.learner_state, chunk=experience)
            self.publish()
        starts = np.flatnonzero(experience.is_first[:, 0])
        ends = np.flatnonzero(experience.is_last[:, 0])
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            self.replay.insert_rows(
                trajectory=rows_of(experience, start=int(start), end=int(end)),
                first_stream=number % self.replay.streams,
                task=task[start:end],
            )
        steps = int(np.sum(experience.valid))
        if len(self.replay) < steps:
            raise ValueError(
                f"Experiment.prefill has {steps} steps, and the replay has room for {len(self.replay)} of them; raise "
                "replay.capacity, or set prefill.transitions."
            )

    def state(self) -> LoopState:
        """Copy everything that changes; see :meth:`Loop.state`."""
        state = super().state()
        return replace(state, source=self._source.state(), own={"prepared": np.array(self._prepared is not None)})

    def restore(self, *, state: LoopState, counters: Counters) -> None:
        """Take over a state; see :meth:`Loop.restore`."""
        self._announced = None
        super().restore(state=state, counters=counters)
        self._source.restore(state.source)
        # The replay is as it was when they were drawn.
        self._prepared = self._sample() if bool(state.own["prepared"]) else None

    def acting_mode(self) -> ActionMode:
        """Act at random at first, if the plan says so, then by the policy."""
        random = self._plan.random_warmup and self._limiter.warming_up(self.counters)
        return ActionMode.RANDOM if random else ActionMode.SAMPLE

    def _announce(self) -> None:
        """Count a new policy version, which may still be computed, and send the one that was announced before it."""
        newest = self.placement.on_first(self._copied_policy(self.learner_state))
        if self._announced is not None:
            self._send_announced()
        self.counters.policy_version += 1
        self._announced = newest

    def _send_announced(self) -> None:
        """Send the version that was announced, as soon as it is computed."""
        self.fleet.publish(parameters=self._announced, version=self.counters.policy_version, mode=self.acting_mode())
        self._announced = None

    def _collect(self, *, limit: int, wait: bool = True) -> list[Chunk]:
        warming_up = self._limiter.warming_up(self.counters)
        wanted = self._limiter.wanted(self.counters)
        chunks = self.fleet.collect(
            minimum=min(limit, wanted.needed) if wait else 0,
            maximum=min(limit, wanted.welcome),
            timeout=COLLECT_SECONDS,
        )
        for chunk in chunks:
            self.replay.insert(chunk)
            if self.learner.ingests:
                self.learner_state, _ = self._ingest(state=self.learner_state, chunk=chunk.trajectory)
            self.counters.environment_steps += chunk.steps
        if warming_up and not self._limiter.warming_up(self.counters):
            self.publish()
        return chunks

    def _sample(self) -> _Prepared:
        batches = self._source.sample(
            unit=self._plan.unit,
            batch_size=self._batch_size,
            batches=self._limiter.updates_per_call,
            generator=derive_generator(seed=self._seed, name=("replay", self.counters.updates)),
        )
        versions = np.asarray(batches.origin.policy_version)
        return _Prepared(batches=self.placement.split_batches(batches), policy_versions=versions[versions != RECORDED])


def rows_of(experience: Trajectory, *, start: int, end: int) -> Trajectory:
    """Take some rows, with what followed the last of them.

    :param experience: the rows.
    :param start: the first.
    :param end: the row after the last, whose observation is kept.
    :return: views.
    """
    return Trajectory(
        observation=tree_map(lambda leaf: leaf[start : end + 1], experience.observation),
        action=tree_map(lambda leaf: leaf[start:end], experience.action),
        reward=experience.reward[start:end],
        terminated=experience.terminated[start:end],
        truncated=experience.truncated[start:end],
        is_first=experience.is_first[start : end + 1],
        is_last=experience.is_last[start : end + 1],
    )

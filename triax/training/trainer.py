"""What surrounds a training loop: evaluations, logs, checkpoints, callbacks, stopping, all at the boundaries of
iterations.

At a boundary everything is one consistent cut. What is due there follows from the counters alone, so that a run that
was stopped at any boundary and resumed does the same as one that was not.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from triax.rollout import WorkersFailed
from triax.runs import (
    CheckpointFailed,
    CheckpointStore,
    EpisodeRow,
    LogError,
    MetricsRow,
    Progress,
    RunLogs,
    TensorBoardFailed,
)
from triax.training.callbacks import TrainingView
from triax.training.evaluating import AGENT_PART, Evaluated, Evaluating, PinnedPolicy
from triax.training.experiment import Experiment
from triax.training.interrupts import StopRequest
from triax.training.loops import Counters, Iteration, Loop, LoopState
from triax.training.metrics import Diverged, MetricMeans
from triax.training.rates import Rates
from triax.training.schedule import Schedule
from triax.trees import leaves_by_path, to_numpy

TRAINING_PART = "training"
"""The checkpoint's part that going on needs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """How a run ended.

    :ivar reason: in words.
    :ivar interrupted: whether a signal ended it.
    :ivar is_saved: whether there is a checkpoint of its end.
    """

    reason: str
    interrupted: bool
    is_saved: bool


class Trainer:
    """Runs a loop to its end.

    :param experiment: schedules, stop conditions, callbacks.
    :param loop: advances learning.
    :param evaluating: makes evaluations; None where there is no environment to evaluate in.
    :param store: takes checkpoints.
    :param logs: takes rows.
    :param progress: shows how far it is.
    :param stop: says when a signal has asked for the end.
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        loop: Loop,
        evaluating: Evaluating | None,
        store: CheckpointStore,
        logs: RunLogs,
        progress: Progress,
        stop: StopRequest,
    ) -> None:
        self._experiment = experiment
        self._loop = loop
        self._evaluating = evaluating
        self._store = store
        self._logs = logs
        self._progress = progress
        self._stop = stop
        self._means = MetricMeans()
        self._rates = Rates(workers=experiment.rollout.workers)
        self._unwritten: list[Callable[[], None]] = []
        checkpoint = experiment.checkpoint
        self._log_rows = Schedule(interval=experiment.loop.log_interval, next=experiment.loop.log_interval)
        self._checkpoints = Schedule(interval=checkpoint.interval, next=checkpoint.interval)
        self._best_score: float | None = None
        self._scored: Evaluated | None = None
        self._saved: tuple[int, int] | None = None
        self._wall_seconds_before = 0.0
        self._started = time.monotonic()
        self._finished: str | None = None
        self._said_fall_together = False

    def run(self) -> TrainingOutcome:
        """Train until the steps are used up, a stop condition holds, or a signal comes.

        :return: how it ended. A checkpoint of the end has been made, if the disk took it.
        :raises Diverged: if what was learned is not finite. It is neither evaluated nor saved.
        """
        self._started = time.monotonic()
        self._rates.begin(
            wall_seconds=self._wall_seconds(), counters=self._loop.counters, report=self._loop.fleet_report()
        )
        view = self._view()
        for callback in self._experiment.callbacks:
            callback.on_start(view)
        while True:
            try:
                if self._at_boundary():
                    break
                iteration = self._loop.advance(limit=self._steps_to_next_event())
            except WorkersFailed:
                if self._stop.interrupted:
                    break  # The signal went to the workers, too.
                # What was learnt is kept; the error then ends the run.
                self._save_what_is_new()
                raise
            self._logs.reached.steps = self._loop.counters.environment_steps
            self._means.add(iteration=iteration)
            self._log_episodes(iteration)
            self._finished = iteration.finished or self._finished
            note = f"return {iteration.episodes[-1].undiscounted_return:.4g}" if iteration.episodes else None
            self._progress.update(steps=self._loop.steps, note=note)
        self._save_what_is_new()
        for callback in self._experiment.callbacks:
            callback.on_end(self._view())
        return TrainingOutcome(
            reason=self._stop.reason or self._finished or "done",
            interrupted=self._stop.interrupted,
            is_saved=self._saved == self._reached(),
        )

    def restore(self, *, state: LoopState, counters: Mapping[str, Any]) -> None:
        """Take over the state of a checkpoint.

        :param state: the loop's part.
        :param counters: the checkpoint's document.
        """
        self._loop.restore(state=state, counters=Counters(**counters["counters"]))
        self._log_rows.restore(counters["log_rows"])
        self._checkpoints.restore(counters["checkpoints"])
        if self._evaluating is not None:
            self._evaluating.restore(counters["evaluating"])
        self._best_score = counters["best_score"]
        self._wall_seconds_before = counters["wall_seconds"]
        self._finished = counters["finished"]
        self._means.restore(counters["means"])
        self._saved = self._reached()

    def _at_boundary(self) -> bool:
        """Do what is due, in a fixed order, and tell whether the run ends here."""
        steps = self._loop.steps
        after = self._experiment.stop.after_seconds
        if after is not None and self._wall_seconds() >= after:
            self._finished = self._finished or f"{after:g} seconds are over"
        at_end = steps >= self._experiment.total_steps or self._finished is not None
        evaluates = self._evaluating is not None and self._evaluating.schedule.due(steps=steps, at_end=at_end)
        if evaluates or self._checkpoints.due(steps=steps, at_end=at_end):
            self._check_finite()
        self._say_if_evaluations_fall_together()
        now_is_best = False
        for evaluated in self._evaluated(at_end=at_end):
            self._log_evaluation(evaluated)
            if self._best_score is None or evaluated.row.mean > self._best_score:
                self._best_score = evaluated.row.mean
                now_is_best = evaluated.policy.steps == steps
            self._scored = evaluated
        if self._stop.interrupted:
            return True
        if self._log_rows.due(steps=steps, at_end=at_end):
            self._log_metrics()
        if now_is_best or self._checkpoints.due(steps=steps, at_end=at_end):
            self._save_checkpoint(at_end=at_end)
        if not at_end and self._finished is not None:
            return self._at_boundary()
        return at_end

    def _steps_to_next_event(self) -> int:
        events = [self._experiment.total_steps, self._log_rows.next, self._checkpoints.next]
        if self._evaluating is not None:
            events.append(self._evaluating.schedule.next)
        return max(1, min(events) - self._loop.steps)

    def _evaluated(self, *, at_end: bool) -> Iterable[Evaluated]:
        if self._evaluating is None:
            return ()
        now = PinnedPolicy(
            steps=self._loop.steps,
            counters=dataclasses.replace(self._loop.counters),
            wall_seconds=self._wall_seconds(),
        )
        return self._evaluating.advance(now=now, at_end=at_end)

    def _say_if_evaluations_fall_together(self) -> None:
        if self._evaluating is None or self._said_fall_together:
            return
        points = self._evaluating.schedule.points(steps=self._loop.steps)
        if points > 1:
            self._said_fall_together = True
            self._progress.say(
                f"warning: evaluation.interval={self._experiment.evaluation.interval} is shorter than an iteration of "
                f"training: {points} evaluations fall together at {self._loop.steps:,}, where one is made for all of "
                "them. Raise the interval, or make iterations shorter."
            )

    def _log_evaluation(self, evaluated: Evaluated) -> None:
        row = evaluated.row
        self._write(functools.partial(self._logs.append_evaluation, row))
        self._progress.say(
            f"{evaluated.policy.steps:>9,} {'updates' if self._loop.counts_updates else 'steps'}: mean return "
            f"{row.mean:.5g} [{row.interval_low:.5g}, {row.interval_high:.5g}] over {row.episodes} episodes"
        )
        target = self._experiment.stop.at_return
        if target is not None and row.mean >= target:
            self._finished = self._finished or f"the mean return reached {target:g}"
        view = dataclasses.replace(
            self._view(),
            environment_steps=row.environment_steps,
            updates=row.updates,
            policy_parameters=evaluated.parameters,
        )
        for callback in self._experiment.callbacks:
            callback.on_evaluation(view, row)

    def _log_metrics(self) -> None:
        self._log_rows.done(steps=self._loop.steps)
        counters, wall_seconds = self._loop.counters, self._wall_seconds()
        rates = self._rates.take(wall_seconds=wall_seconds, counters=counters, report=self._loop.fleet_report())
        row = MetricsRow(**dataclasses.asdict(counters), wall_seconds=wall_seconds, metrics=self._means.take() | rates)
        self._write(functools.partial(self._logs.append_metrics, row))
        for callback in self._experiment.callbacks:
            callback.on_metrics(self._view(), row)

    def _log_episodes(self, iteration: Iteration) -> None:
        for episode in iteration.episodes:
            row = EpisodeRow(
                environment_steps=self._loop.counters.environment_steps,
                environment=episode.environment,
                undiscounted_return=episode.undiscounted_return,
                length=episode.length,
                physics=episode.physics,
            )
            self._write(functools.partial(self._logs.append_episode, row))

    def _write(self, append: Callable[[], None]) -> None:
        """Append a row to a log; one that the disk does not take waits, and comes before the next."""
        first = not self._unwritten
        self._unwritten.append(append)
        try:
            self._write_waiting()
        except LogError as error:
            if first:
                self._progress.say(f"warning: {error}. Rows are kept in memory and tried again with each new one.")

    def _write_waiting(self) -> None:
        while self._unwritten:
            try:
                self._unwritten[0]()
            except TensorBoardFailed as error:
                self._progress.say(f"warning: {error}. The row stands in its log.")
            del self._unwritten[0]

    def _check_finite(self) -> None:
        """Refuse what is not to be evaluated or saved: here its numbers go to the host in any case."""
        self._means.check()
        for path, leaf in leaves_by_path(to_numpy(self._loop.policy_parameters())).items():
            if jnp.issubdtype(leaf.dtype, jnp.inexact) and not np.isfinite(leaf).all():
                raise Diverged(f"the policy's parameters {path} are not finite")

    def _save_what_is_new(self) -> None:
        if self._saved != self._reached():
            self._check_finite()
            self._save_checkpoint(at_end=True)

    def _reached(self) -> tuple[int, int]:
        """Say how far the learner is: updates may be made between two steps."""
        return self._loop.steps, self._loop.counters.updates

    def _score(self) -> float | None:
        """Give the mean return of the policy of now; None if it was not evaluated."""
        scored = self._scored
        if scored is None or (scored.policy.steps, scored.policy.counters.updates) != self._reached():
            return None
        return scored.row.mean

    def _save_checkpoint(self, *, at_end: bool) -> None:
        steps = self._loop.steps
        self._checkpoints.done(steps=steps)
        try:
            self._store.save(
                steps=steps,
                parts={AGENT_PART: to_numpy(self._loop.agent_parameters()), TRAINING_PART: self._loop.state()},
                counters=self._counters(),
                agent_parts=(AGENT_PART,),
                score=self._score(),
                needs=[] if self._evaluating is None else [own.steps for own in self._evaluating.outstanding],
            )
            self._saved = self._reached()
        except (CheckpointFailed, LogError, OSError) as error:
            outlook = "" if at_end else " Training goes on; the next checkpoint will be tried as planned."
            self._progress.say(f"warning: {error}.{outlook}")

    def _counters(self) -> dict[str, Any]:
        """Describe everything that a checkpoint must hold beside the loop's state."""
        self._write_waiting()  # no checkpoint is made of logs that are not complete
        return {
            "counters": dataclasses.asdict(self._loop.counters),
            "log_rows": self._log_rows.state(),
            "checkpoints": self._checkpoints.state(),
            "evaluating": None if self._evaluating is None else self._evaluating.state(),
            "best_score": self._best_score,
            "wall_seconds": self._wall_seconds(),
            "finished": self._finished,
            "means": self._means.state(),
            "logs": self._logs.lengths().to_json(),
        }

    def _wall_seconds(self) -> float:
        return self._wall_seconds_before + time.monotonic() - self._started

    def _view(self) -> TrainingView:
        def stop(reason: str) -> None:
            self._finished = self._finished or reason

        return TrainingView(
            environment_steps=self._loop.counters.environment_steps,
            updates=self._loop.counters.updates,
            counts_updates=self._loop.counts_updates,
            policy_parameters=self._loop.policy_parameters,
            stop=stop,
        )

"""What surrounds a training loop: evaluations, logs, checkpoints, callbacks, stopping, all at the boundaries of
iterations.

At a boundary everything is one consistent cut. What is due there follows from the counters alone, so that a run that
was stopped at any boundary and resumed does the same as one that was not.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from triax.evaluation import Evaluator
from triax.random import derive_seed
from triax.rollout import WorkersFailed
from triax.runs import CheckpointFailed, CheckpointStore, EvaluationRow, MetricsRow, Progress, RunLogs
from triax.training.callbacks import TrainingView
from triax.training.experiment import Experiment
from triax.training.interrupts import StopRequest
from triax.training.loops import Counters, Loop, LoopState
from triax.training.metrics import MetricMeans
from triax.training.rates import Rates
from triax.trees import to_numpy

AGENT_PART = "agent"
"""The checkpoint's part that acting needs."""

TRAINING_PART = "training"
"""The checkpoint's part that going on needs."""


@dataclasses.dataclass(kw_only=True)
class Schedule:
    """Something that is due every so many steps.

    :ivar interval: in steps.
    :ivar next: the steps at which it is due next.
    :ivar last: the steps at which it was done last; −1 before.
    """

    interval: int
    next: int
    last: int = -1

    def due(self, *, steps: int, at_end: bool) -> bool:
        """Tell whether it is due.

        :param steps: the steps now.
        :param at_end: whether the run ends here, where everything is due that was not just done.
        :return: whether the steps have reached the next point.
        """
        return steps >= self.next or (at_end and self.last != steps)

    def done(self, *, steps: int) -> None:
        """Move to the next point.

        :param steps: the steps now.
        """
        self.next = (steps // self.interval + 1) * self.interval
        self.last = steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """How a run ended.

    :ivar reason: in words.
    :ivar interrupted: whether a signal ended it.
    """

    reason: str
    interrupted: bool


class Trainer:
    """Runs a loop to its end.

    :param experiment: schedules, stop conditions, callbacks.
    :param loop: advances learning.
    :param evaluator: None where there is no environment to evaluate in.
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
        evaluator: Evaluator | None,
        store: CheckpointStore,
        logs: RunLogs,
        progress: Progress,
        stop: StopRequest,
    ) -> None:
        self._experiment = experiment
        self._loop = loop
        self._evaluator = evaluator
        self._store = store
        self._logs = logs
        self._progress = progress
        self._stop = stop
        self._means = MetricMeans()
        self._rates = Rates(workers=experiment.rollout.workers)
        self._unwritten: list[Callable[[], None]] = []
        evaluation, checkpoint = experiment.evaluation, experiment.checkpoint
        self._evaluations = Schedule(
            interval=evaluation.interval, next=0 if evaluation.at_start else evaluation.interval
        )
        self._log_rows = Schedule(interval=experiment.loop.log_interval, next=experiment.loop.log_interval)
        self._checkpoints = Schedule(interval=checkpoint.interval, next=checkpoint.interval)
        self._best_score: float | None = None
        self._saved_steps: int | None = None
        self._wall_seconds_before = 0.0
        self._started = time.monotonic()
        self._finished: str | None = None

    def run(self) -> TrainingOutcome:
        """Train until the steps are used up, a stop condition holds, or a signal comes.

        :return: how it ended. A checkpoint of the end has been made, if the disk took it.
        """
        self._started = time.monotonic()
        self._rates.begin(
            wall_seconds=self._wall_seconds(), counters=self._loop.counters, report=self._loop.fleet_report()
        )
        view = self._view()
        for callback in self._experiment.callbacks:
            callback.on_start(view)
        while not self._at_boundary():
            try:
                iteration = self._loop.advance(limit=self._steps_to_next_event())
            except WorkersFailed:
                if self._stop.interrupted:
                    break  # The signal went to the workers, too.
                # What was learnt is kept; the error then ends the run.
                if self._saved_steps != self._loop.steps:
                    self._save_checkpoint(score=None)
                raise
            self._means.add(iteration=iteration)
            self._finished = iteration.finished or self._finished
            note = f"return {iteration.episodes[-1].undiscounted_return:.4g}" if iteration.episodes else None
            self._progress.update(steps=self._loop.steps, note=note)
        if self._saved_steps != self._loop.steps:
            self._save_checkpoint(score=None)
        for callback in self._experiment.callbacks:
            callback.on_end(self._view())
        return TrainingOutcome(reason=self._stop.reason or self._finished or "done", interrupted=self._stop.interrupted)

    def restore(self, *, state: LoopState, counters: Mapping[str, Any]) -> None:
        """Take over the state of a checkpoint.

        :param state: the loop's part.
        :param counters: the checkpoint's document.
        """
        self._loop.restore(state=state, counters=Counters(**counters["counters"]))
        for name, schedule in self._schedules().items():
            schedule.next, schedule.last = counters["schedules"][name]["next"], counters["schedules"][name]["last"]
        self._best_score = counters["best_score"]
        self._wall_seconds_before = counters["wall_seconds"]
        self._finished = counters["finished"]
        self._means.restore(counters["means"])
        self._saved_steps = self._loop.steps

    def _at_boundary(self) -> bool:
        """Do what is due, in a fixed order, and tell whether the run ends here."""
        steps = self._loop.steps
        after = self._experiment.stop.after_seconds
        if after is not None and self._wall_seconds() >= after:
            self._finished = self._finished or f"{after:g} seconds are over"
        at_end = steps >= self._experiment.total_steps or self._finished is not None
        score = None
        if self._evaluator is not None and self._evaluations.due(steps=steps, at_end=at_end):
            score = self._evaluate(evaluator=self._evaluator)
        if self._stop.interrupted:
            return True
        if self._log_rows.due(steps=steps, at_end=at_end):
            self._log_metrics()
        if score is not None and (self._best_score is None or score > self._best_score):
            self._best_score = score
            self._save_checkpoint(score=score)
        elif self._checkpoints.due(steps=steps, at_end=at_end):
            self._save_checkpoint(score=score)
        if not at_end and self._finished is not None:
            return self._at_boundary()
        return at_end

    def _steps_to_next_event(self) -> int:
        events = [self._experiment.total_steps, self._log_rows.next, self._checkpoints.next]
        if self._evaluator is not None:
            events.append(self._evaluations.next)
        return max(1, min(events) - self._loop.steps)

    def _evaluate(self, *, evaluator: Evaluator) -> float | None:
        """Evaluate the policy of now; None if a signal came in between, and then the evaluation is still due."""
        steps = self._loop.steps
        evaluation = evaluator.evaluate(
            parameters=self._loop.agent_parameters(),
            evaluation_seed=derive_seed(seed=self._experiment.seed, name=("evaluation", steps)),
            stop=self._stop,
        )
        if evaluation is None:
            return None
        self._evaluations.done(steps=steps)
        row = EvaluationRow(
            **dataclasses.asdict(self._loop.counters),
            wall_seconds=self._wall_seconds(),
            episodes=len(evaluation.returns),
            returns=evaluation.returns,
            lengths=evaluation.lengths,
            mean=evaluation.mean,
            interval_low=evaluation.interval_low,
            interval_high=evaluation.interval_high,
        )
        self._write(functools.partial(self._logs.append_evaluation, row))
        self._progress.say(
            f"{steps:>9,} {'updates' if self._loop.counts_updates else 'steps'}: mean return {row.mean:.5g} "
            f"[{row.interval_low:.5g}, {row.interval_high:.5g}] over "
            f"{row.episodes} episodes"
        )
        target = self._experiment.stop.at_return
        if target is not None and row.mean >= target:
            self._finished = self._finished or f"the mean return reached {target:g}"
        for callback in self._experiment.callbacks:
            callback.on_evaluation(self._view(), row)
        return row.mean

    def _log_metrics(self) -> None:
        self._log_rows.done(steps=self._loop.steps)
        counters, wall_seconds = self._loop.counters, self._wall_seconds()
        rates = self._rates.take(wall_seconds=wall_seconds, counters=counters, report=self._loop.fleet_report())
        row = MetricsRow(**dataclasses.asdict(counters), wall_seconds=wall_seconds, metrics=self._means.take() | rates)
        self._write(functools.partial(self._logs.append_metrics, row))
        for callback in self._experiment.callbacks:
            callback.on_metrics(self._view(), row)

    def _write(self, append: Callable[[], None]) -> None:
        """Append a row to a log; one that the disk does not take waits, and comes before the next."""
        self._unwritten.append(append)
        try:
            while self._unwritten:
                self._unwritten[0]()
                del self._unwritten[0]
        except OSError as error:
            self._progress.say(
                f"warning: a row of the log could not be written: {error}. It is kept in memory and tried again."
            )

    def _save_checkpoint(self, *, score: float | None) -> None:
        steps = self._loop.steps
        self._checkpoints.done(steps=steps)
        try:
            self._store.save(
                steps=steps,
                parts={AGENT_PART: to_numpy(self._loop.agent_parameters()), TRAINING_PART: self._loop.state()},
                counters=self._counters(),
                agent_parts=(AGENT_PART,),
                score=score,
            )
            self._saved_steps = steps
        except (CheckpointFailed, OSError) as error:
            self._progress.say(f"warning: {error}. Training goes on; the next checkpoint will be tried as planned.")

    def _counters(self) -> dict[str, Any]:
        """Describe everything that a checkpoint must hold beside the loop's state."""
        if self._unwritten:
            raise OSError("the logs are not complete, so that no checkpoint can be made")
        return {
            "counters": dataclasses.asdict(self._loop.counters),
            "schedules": {
                name: {"next": schedule.next, "last": schedule.last} for name, schedule in self._schedules().items()
            },
            "best_score": self._best_score,
            "wall_seconds": self._wall_seconds(),
            "finished": self._finished,
            "means": self._means.state(),
            "logs": self._logs.lengths().to_json(),
        }

    def _schedules(self) -> dict[str, Schedule]:
        return {"evaluation": self._evaluations, "log": self._log_rows, "checkpoint": self._checkpoints}

    def _wall_seconds(self) -> float:
        return self._wall_seconds_before + time.monotonic() - self._started

    def _view(self) -> TrainingView:
        def stop(reason: str) -> None:
            self._finished = self._finished or reason

        return TrainingView(
            environment_steps=self._loop.counters.environment_steps,
            updates=self._loop.counters.updates,
            policy_parameters=self._loop.policy_parameters,
            stop=stop,
        )

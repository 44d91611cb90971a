"""Evaluations of a run as its schedule names them: between two iterations, or beside training."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

from triax.evaluation import Evaluation, EvaluationConfig, Evaluator, EvaluatorProcess
from triax.random import derive_seed
from triax.runs import CheckpointFailed, CheckpointStore, EvaluationRow, RunError
from triax.training.interrupts import StopRequest
from triax.training.loops import Counters, Loop
from triax.training.schedule import Schedule
from triax.trees import Tree, to_numpy

AGENT_PART = "agent"
"""The checkpoint's part that acting needs."""

_MAXIMUM_OUTSTANDING = 2
"""So many evaluations may be under way: one that is played, and one that waits for it."""

_WAIT_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class PinnedPolicy:
    """The policy of a moment, which is to be evaluated.

    :ivar steps: what the schedule counts.
    :ivar counters: how far the run was.
    :ivar wall_seconds: how long it had gone.
    """

    steps: int
    counters: Counters
    wall_seconds: float

    def row(self, evaluation: Evaluation) -> EvaluationRow:
        """Make the row of the log.

        :param evaluation: what was found.
        :return: the row.
        """
        return EvaluationRow(
            **dataclasses.asdict(self.counters),
            wall_seconds=self.wall_seconds,
            episodes=len(evaluation.returns),
            returns=evaluation.returns,
            lengths=evaluation.lengths,
            mean=evaluation.mean,
            interval_low=evaluation.interval_low,
            interval_high=evaluation.interval_high,
            physics=evaluation.physics,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An evaluation that is done.

    :ivar policy: of which policy.
    :ivar row: what was found.
    :ivar parameters: makes the policy's parameters, before the next evaluation is asked for.
    """

    policy: PinnedPolicy
    row: EvaluationRow
    parameters: Callable[[], Tree]


class Evaluating(abc.ABC):
    """Makes the evaluations of one run.

    :param config: the schedule.
    :param seed: the run's seed.
    :ivar schedule: when the next one is due.
    """

    def __init__(self, *, config: EvaluationConfig, seed: int) -> None:
        self.schedule = Schedule(interval=config.interval, next=0 if config.at_start else config.interval)
        self._seed = seed

    @property
    def outstanding(self) -> tuple[PinnedPolicy, ...]:
        """Policies that are stored, and whose evaluation is not yet done."""
        return ()

    @abc.abstractmethod
    def advance(self, *, now: PinnedPolicy, at_end: bool) -> Iterator[Evaluated]:
        """Do what is due at a boundary.

        :param now: the moment.
        :param at_end: whether the run ends here: then nothing is outstanding afterwards, unless a signal came.
        :return: evaluations, in the order of their policies, each as soon as it is done: what fails later takes none
            of them along.
        """

    def state(self) -> dict[str, Any]:
        """Describe where it stands.

        :return: JSON values.
        """
        return {"schedule": self.schedule.state(), "outstanding": [dataclasses.asdict(own) for own in self.outstanding]}

    def restore(self, state: Any) -> None:
        """Take over what :meth:`state` gave.

        :param state: JSON values.
        """
        self.schedule.restore(state["schedule"])

    def evaluation_seed(self, policy: PinnedPolicy) -> int:
        """Derive the seed of an evaluation.

        :param policy: which is evaluated.
        :return: the seed.
        """
        return derive_seed(seed=self._seed, name=("evaluation", policy.steps))


class InlineEvaluating(Evaluating):
    """Training stands still meanwhile. An evaluation that a signal stops is due again after resuming.

    :param evaluator: plays.
    :param loop: has the policy.
    :param stop: says when a signal has asked for the end.
    :param config: the schedule.
    :param seed: the run's seed.
    """

    def __init__(
        self, *, evaluator: Evaluator, loop: Loop, stop: StopRequest, config: EvaluationConfig, seed: int
    ) -> None:
        super().__init__(config=config, seed=seed)
        self._evaluator = evaluator
        self._loop = loop
        self._stop = stop

    def advance(self, *, now: PinnedPolicy, at_end: bool) -> Iterator[Evaluated]:
        """Do what is due; see :meth:`Evaluating.advance`."""
        if not self.schedule.due(steps=now.steps, at_end=at_end):
            return
        evaluation = self._evaluator.evaluate(
            parameters=self._loop.agent_parameters(), evaluation_seed=self.evaluation_seed(now), stop=self._stop
        )
        if evaluation is None:
            return
        self.schedule.done(steps=now.steps)
        yield Evaluated(policy=now, row=now.row(evaluation), parameters=self._loop.agent_parameters)


class BackgroundEvaluating(Evaluating):
    """A process plays while training goes on.

    A policy is stored as a checkpoint before the process hears of it, and checkpoints of the whole say which of these
    are outstanding. So each evaluation is made on exactly its policy, and stands in the log once, whatever crashes.

    :param evaluator: the process.
    :param loop: has the policy.
    :param store: stores policies.
    :param stop: says when a signal has asked for the end.
    :param say: tells the user.
    :param config: the schedule, and what happens if the process cannot keep up.
    :param seed: the run's seed.
    """

    def __init__(
        self,
        *,
        evaluator: EvaluatorProcess,
        loop: Loop,
        store: CheckpointStore,
        stop: StopRequest,
        say: Callable[[str], None],
        config: EvaluationConfig,
        seed: int,
    ) -> None:
        super().__init__(config=config, seed=seed)
        self._evaluator = evaluator
        self._loop = loop
        self._store = store
        self._stop = stop
        self._say = say
        self._stretches = config.when_behind == "stretch"
        self._outstanding: list[PinnedPolicy] = []

    @property
    def outstanding(self) -> tuple[PinnedPolicy, ...]:
        """Policies that are stored, and whose evaluation is not yet done."""
        return tuple(self._outstanding)

    def advance(self, *, now: PinnedPolicy, at_end: bool) -> Iterator[Evaluated]:
        """Do what is due; see :meth:`Evaluating.advance`."""
        yield from self._finished(seconds=0.0)
        if self.schedule.due(steps=now.steps, at_end=at_end):
            if len(self._outstanding) >= _MAXIMUM_OUTSTANDING and self._stretches and not at_end:
                self._skip(now, reason="the evaluator cannot keep up")
            else:
                yield from self._wait_until(outstanding=_MAXIMUM_OUTSTANDING - 1, reason="the evaluator cannot keep up")
                if not self._stop.interrupted:
                    self._pin(now)
        if at_end:
            yield from self._wait_until(outstanding=0, reason="the last evaluations are under way")

    def restore(self, state: Any) -> None:
        """Take over what :meth:`Evaluating.state` gave, and ask anew for what was outstanding."""
        super().restore(state)
        for stored in state["outstanding"]:
            policy = PinnedPolicy(**stored | {"counters": Counters(**stored["counters"])})
            self._outstanding.append(policy)
            self._evaluator.request(parameters=self._stored(policy), evaluation_seed=self.evaluation_seed(policy))

    def _stored(self, policy: PinnedPolicy) -> Tree:
        template = to_numpy(self._loop.agent_parameters())
        return self._store.load(steps=policy.steps, part=AGENT_PART, template=template)

    def _pin(self, now: PinnedPolicy) -> None:
        parameters = to_numpy(self._loop.agent_parameters())
        try:
            self._store.save_policy(steps=now.steps, parts={AGENT_PART: parameters})
        except CheckpointFailed as error:
            self._skip(now, reason=str(error))
            return
        self.schedule.done(steps=now.steps)
        self._outstanding.append(now)
        self._evaluator.request(parameters=parameters, evaluation_seed=self.evaluation_seed(now))

    def _skip(self, now: PinnedPolicy, *, reason: str) -> None:
        self.schedule.skip(steps=now.steps)
        self._say(f"warning: {reason}: no evaluation at {now.steps:,}, the next at {self.schedule.next:,}.")

    def _wait_until(self, *, outstanding: int, reason: str) -> Iterator[Evaluated]:
        if len(self._outstanding) > outstanding:
            self._say(f"training waits: {reason}.")
        while len(self._outstanding) > outstanding and not self._stop.interrupted:
            yield from self._finished(seconds=_WAIT_SECONDS)

    def _finished(self, *, seconds: float) -> Iterator[Evaluated]:
        for evaluation in self._evaluator.finished(seconds=seconds):
            policy = self._outstanding.pop(0)
            try:
                self._store.set_score(steps=policy.steps, score=evaluation.mean)
            except (RunError, OSError) as error:
                self._say(f"warning: the score of policy {policy.steps} could not be stored: {error}")
            parameters = functools.partial(self._stored, policy)
            yield Evaluated(policy=policy, row=policy.row(evaluation), parameters=parameters)

"""Evaluations beside training: on exactly the policy of the moment, each once, whoever crashes."""

import collections
import dataclasses
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from test_loops import COUNTER, TracedConfig

import triax
from triax.evaluation import Evaluation, EvaluatorProcess
from triax.learners.interface import ReplayPlan, TransitionUnit
from triax.rollout import WorkersFailed
from triax.runs import CheckpointFailed, CheckpointStore, RunDirectory, read_evaluations
from triax.training.building import Parts, build
from triax.training.evaluating import AGENT_PART, BackgroundEvaluating, PinnedPolicy
from triax.training.interrupts import StopRequest
from triax.training.loops import Counters
from triax.trees import Tree, to_numpy

EXPERIMENT = triax.Experiment(
    name="evaluated",
    learner=TracedConfig(plan=ReplayPlan(batch_size=8, unit=TransitionUnit(discount=0.9), warmup_steps=40)),
    environment=COUNTER,
    total_steps=200,
)


class ScriptedEvaluator(EvaluatorProcess):
    """Answers as many requests as it is told to; the return of an evaluation is the number of its request."""

    def __init__(self, *, store: CheckpointStore) -> None:
        self._store = store
        self.allowed = 0
        self.seeds: list[int] = []
        self.parameters: list[Tree] = []
        self.stored: list[tuple[int, ...]] = []
        self._waiting: collections.deque[int] = collections.deque()

    def request(self, *, parameters: Tree, evaluation_seed: int) -> None:
        self._waiting.append(len(self.seeds))
        self.seeds.append(evaluation_seed)
        self.parameters.append(parameters)
        self.stored.append(self._store.steps())

    def finished(self, *, seconds: float = 0.0) -> list[Evaluation]:
        if seconds > 0.0:
            self.allowed += 1
        found = []
        while self.allowed and self._waiting:
            self.allowed -= 1
            value = float(self._waiting.popleft())
            found.append(
                Evaluation(
                    returns=(value,), lengths=(3,), successes=None, mean=value, interval_low=value, interval_high=value
                )
            )
        return found


class Case:
    """What evaluates a run that does not move by itself."""

    def __init__(self, folder: Path, *, parts: Parts, when_behind: Any = "wait") -> None:
        self.said: list[str] = []
        self.store = CheckpointStore(folder, keep_last=1)
        self.evaluator = ScriptedEvaluator(store=self.store)
        self.stop = StopRequest()
        self.parts = parts
        self.evaluating = BackgroundEvaluating(
            evaluator=self.evaluator,
            loop=parts.loop,
            store=self.store,
            stop=self.stop,
            say=self.said.append,
            config=triax.EvaluationConfig(interval=10, when_behind=when_behind),
            seed=3,
        )

    def advance(self, steps: int, *, at_end: bool = False) -> list[tuple[int, float]]:
        now = PinnedPolicy(steps=steps, counters=Counters(environment_steps=steps), wall_seconds=float(steps))
        done = list(self.evaluating.advance(now=now, at_end=at_end))
        assert [entry.row.environment_steps for entry in done] == [entry.policy.steps for entry in done]
        return [(entry.policy.steps, entry.row.mean) for entry in done]

    def checkpoint(self, steps: int) -> None:
        self.store.save(
            steps=steps,
            parts={AGENT_PART: to_numpy(self.parts.loop.agent_parameters()), "training": np.zeros(3)},
            counters={"evaluating": self.evaluating.state()},
            agent_parts=[AGENT_PART],
            score=None,
            needs=[policy.steps for policy in self.evaluating.outstanding],
        )


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    parts = build(experiment=EXPERIMENT)
    yield parts
    parts.close()


def test_a_policy_is_stored_before_the_evaluator_hears_of_it(parts: Parts, tmp_path: Path) -> None:
    case = Case(tmp_path, parts=parts)
    assert case.advance(0) == []
    assert case.advance(4) == []
    assert case.advance(12) == []
    assert case.evaluator.stored == [(0,), (0, 12)]
    assert len(set(case.evaluator.seeds)) == 2
    case.evaluator.allowed = 2
    assert case.advance(14) == [(0, 0.0), (12, 1.0)]
    assert case.advance(16) == []
    assert case.store.resolve("best", full=False) == 12


def test_trap_26_training_waits_for_an_evaluator_that_cannot_keep_up(parts: Parts, tmp_path: Path) -> None:
    case = Case(tmp_path, parts=parts)
    assert case.advance(0) == case.advance(10) == []
    assert case.advance(20) == [(0, 0.0)]
    assert case.said == ["training waits: the evaluator cannot keep up."]
    assert case.advance(25, at_end=True) == [(10, 1.0), (20, 2.0), (25, 3.0)]
    assert case.evaluating.outstanding == ()


def test_trap_26_or_evaluations_are_left_out_and_that_is_said(parts: Parts, tmp_path: Path) -> None:
    case = Case(tmp_path, parts=parts, when_behind="stretch")
    assert case.advance(0) == case.advance(10) == case.advance(20) == []
    assert case.said == ["warning: the evaluator cannot keep up: no evaluation at 20, the next at 30."]
    case.evaluator.allowed = 1
    assert case.advance(25) == [(0, 0.0)]
    assert case.advance(30) == []
    # The last one is never left out.
    assert case.advance(40, at_end=True) == [(10, 1.0), (30, 2.0), (40, 3.0)]


def test_trap_40_what_was_outstanding_is_asked_for_again_with_the_same_policy_and_seed(
    parts: Parts, tmp_path: Path
) -> None:
    case = Case(tmp_path, parts=parts)
    case.advance(0)
    case.evaluator.allowed = 1
    case.advance(10)
    case.checkpoint(12)
    assert case.store.steps() == (0, 10, 12)
    case.evaluator.allowed = 1
    case.advance(15)
    case.advance(20)
    # The trainer is killed; the run goes back to 12, where 10 was outstanding and 20 was not yet made.
    after = Case(tmp_path, parts=parts)
    counters = json.loads(json.dumps(after.store.counters(12)))
    after.store.discard_after(12)
    after.evaluating.restore(counters["evaluating"])
    assert after.store.steps() == (0, 10, 12)
    assert after.evaluator.seeds == [case.evaluator.seeds[1]]
    np.testing.assert_equal(after.evaluator.parameters[0], case.evaluator.parameters[1])
    assert after.advance(20) == []
    assert after.advance(21, at_end=True) == [(10, 0.0), (20, 1.0), (21, 2.0)]
    assert after.evaluator.seeds[1] == case.evaluator.seeds[2]


def test_policies_are_let_go_of_once_no_checkpoint_needs_them(parts: Parts, tmp_path: Path) -> None:
    case = Case(tmp_path, parts=parts)
    for steps in (0, 10, 20):
        case.evaluator.allowed = 1
        case.advance(steps)
    assert [policy.steps for policy in case.evaluating.outstanding] == [20]
    case.checkpoint(22)
    assert case.store.steps() == (10, 20, 22)  # the best, one to be evaluated, the last
    case.evaluator.allowed = 1
    case.advance(24)
    case.checkpoint(26)
    assert case.store.steps() == (20, 26)


def test_a_signal_ends_the_wait(parts: Parts, tmp_path: Path) -> None:
    case = Case(tmp_path, parts=parts)
    case.advance(0)
    case.stop.interrupted = True
    assert case.advance(5, at_end=True) == []
    assert [policy.steps for policy in case.evaluating.outstanding] == [0]
    assert case.evaluating.schedule.due(steps=5, at_end=True)


def test_the_policy_that_was_evaluated_is_there_although_training_went_on(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path, parts=parts)
    before = to_numpy(parts.loop.agent_parameters())
    case.advance(0)
    monkeypatch.setattr(parts.loop, "agent_parameters", lambda: jax.tree.map(lambda leaf: leaf + 1, before))
    case.evaluator.allowed = 1
    now = PinnedPolicy(steps=4, counters=Counters(environment_steps=4), wall_seconds=4.0)
    (entry,) = case.evaluating.advance(now=now, at_end=False)
    assert entry.policy.steps == 0
    jax.tree.map(np.testing.assert_array_equal, entry.parameters(), before)


def test_a_full_disk_leaves_an_evaluation_out_and_says_so(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path, parts=parts)

    def refuse(*arguments: Any, **more: Any) -> None:
        raise CheckpointFailed("the disk is full") from OSError(errno.ENOSPC, "")

    monkeypatch.setattr(CheckpointStore, "save_policy", refuse)
    assert case.advance(0) == []
    assert case.said == ["warning: the disk is full: no evaluation at 0, the next at 10."]
    monkeypatch.undo()
    assert case.advance(10, at_end=True) == [(10, 0.0)]


class FailingEvaluator(EvaluatorProcess):
    """Answers one request, once it is waited for, and fails after that."""

    def __init__(self, **arguments: Any) -> None:
        self._answered = False

    def request(self, *, parameters: Tree, evaluation_seed: int) -> None:
        self._fail_if_answered()

    def finished(self, *, seconds: float = 0.0) -> list[Evaluation]:
        self._fail_if_answered()
        if seconds == 0.0:
            return []
        self._answered = True
        return [Evaluation(returns=(7.0,), lengths=(3,), successes=None, mean=7.0, interval_low=7.0, interval_high=7.0)]

    def close(self) -> None:
        pass

    def _fail_if_answered(self) -> None:
        if self._answered:
            raise WorkersFailed("the evaluator failed too often")


@pytest.mark.parametrize(("total_steps", "outstanding"), [(10, [10]), (200, [10, 20])], ids=["at the end", "before"])
def test_what_was_evaluated_before_the_evaluator_failed_is_logged(
    total_steps: int, outstanding: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triax.training.building.EvaluatorProcess", FailingEvaluator)
    experiment = dataclasses.replace(
        EXPERIMENT,
        total_steps=total_steps,
        evaluation=triax.EvaluationConfig(interval=10, backend="process"),
        loop=triax.LoopConfig(video=False),
    )
    with pytest.raises(WorkersFailed, match="the evaluator failed too often"):
        triax.train(experiment=experiment, run_directory=tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    assert [(row.environment_steps, row.mean) for row in read_evaluations(run)] == [(0, 7.0)]
    store = CheckpointStore(run.checkpoints_path, keep_last=1)
    counters: Any = store.counters(store.resolve("last", full=True))
    assert [policy["steps"] for policy in counters["evaluating"]["outstanding"]] == outstanding
    assert counters["logs"]["evaluations"] == (run.path / "evaluations.jsonl").stat().st_size


@pytest.mark.parametrize(("field", "value"), [("backend", "thread"), ("when_behind", "drop")])
def test_settings_that_there_are_not_are_refused(field: str, value: Any) -> None:
    with pytest.raises(Exception, match=field):
        triax.EvaluationConfig(**{field: value})

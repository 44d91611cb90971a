"""What surrounds the loops: what is saved at the end, and what becomes of a run whose disk does not take it."""

import dataclasses
import errno
import itertools
import signal
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from test_loops import TracedConfig

import triax
from triax.environments.probes import CounterProbe
from triax.learners.interface import OnPolicyPlan, ReplayPlan, TransitionUnit
from triax.runs import (
    CheckpointFailed,
    CheckpointStore,
    LogError,
    MetricsRow,
    RunDirectory,
    read_episodes,
    read_evaluations,
    read_metrics,
)
from triax.runs.jsonlines import JsonLines
from triax.runs.tensorboard import TensorBoardWriter
from triax.training.loops import ReplayLoop
from triax.training.loops.base import Iteration


@dataclasses.dataclass(frozen=True)
class Interrupting(triax.Callback):
    """Ctrl-C at the first row of metrics."""

    def on_metrics(self, view: triax.TrainingView, row: MetricsRow) -> None:
        signal.raise_signal(signal.SIGINT)


Rows: TypeAlias = tuple[list[int], list[int], list[int]]
"""Environment steps of the rows of metrics, of evaluations and of episodes."""

EXPERIMENT = triax.Experiment(
    name="full",
    learner=TracedConfig(plan=ReplayPlan(batch_size=8, unit=TransitionUnit(discount=0.9), warmup_steps=40)),
    environment=triax.EnvironmentConfig(factory=CounterProbe),
    total_steps=200,
    evaluation=triax.EvaluationConfig(interval=100, episodes=1),
    checkpoint=triax.CheckpointConfig(interval=100),
    loop=triax.LoopConfig(log_interval=20, video=False),
)


def rows_of(run: Path) -> Rows:
    directory = RunDirectory.open(run)
    logs: Any = (read_metrics(directory), read_evaluations(directory), read_episodes(directory))
    metrics, evaluations, episodes = ([row.environment_steps for row in rows] for rows in logs)
    return metrics, evaluations, episodes


@pytest.fixture(scope="module")
def untroubled(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    run = tmp_path_factory.mktemp("untroubled") / "run"
    triax.train(experiment=EXPERIMENT, run_directory=run)
    rows = rows_of(run)
    assert min(map(len, rows)) >= 3
    return rows


def test_updates_that_came_after_the_newest_checkpoint_are_saved_though_no_step_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = ReplayLoop.advance

    def updating(self: ReplayLoop, *, limit: int) -> Iteration:
        if self.steps < 100:
            return advance(self, limit=limit)
        # As where LoopConfig.ratio_tolerance lets updates go ahead.
        self.counters.updates += 3
        signal.raise_signal(signal.SIGINT)
        return Iteration()

    monkeypatch.setattr(ReplayLoop, "advance", updating)
    with pytest.raises(triax.TrainingInterrupted, match="is saved"):
        triax.train(experiment=EXPERIMENT, run_directory=tmp_path / "run")
    store = CheckpointStore(RunDirectory.open(tmp_path / "run").checkpoints_path)
    assert store.steps()[-1] == 100
    saved: Any = store.counters(100)["counters"]
    assert saved["updates"] == 7 * 8 + 3  # seven calls, for the 60 steps after the warm-up


def test_rows_that_a_full_disk_refuses_are_written_once_there_is_room(
    untroubled: tuple[list[int], ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    appended, append = 0, JsonLines.append

    def refusing(self: JsonLines, row: Any) -> None:
        nonlocal appended
        appended += 1
        if 5 <= appended < 25:
            raise LogError(f"{self.path} could not be written: No space left on device")
        append(self, row)

    monkeypatch.setattr(JsonLines, "append", refusing)
    triax.train(experiment=EXPERIMENT, run_directory=tmp_path / "run")
    assert rows_of(tmp_path / "run") == untroubled
    said = capsys.readouterr().out
    assert said.count("could not be written: No space left on device. Rows are kept in memory and tried again") == 1


def test_a_disk_that_stays_full_costs_the_checkpoints_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(self: JsonLines, row: Any) -> None:
        raise LogError(f"{self.path} could not be written: No space left on device")

    monkeypatch.setattr(JsonLines, "append", refusing)
    with pytest.raises(CheckpointFailed, match=r"the end of the run .* could not be saved; there is no checkpoint"):
        triax.train(experiment=EXPERIMENT, run_directory=tmp_path / "run")
    assert "Training goes on; the next checkpoint will be tried as planned." in capsys.readouterr().out
    assert not list((tmp_path / "run" / "checkpoints").glob("*/manifest.json"))


def test_an_interrupted_run_that_could_not_be_saved_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(self: JsonLines, row: Any) -> None:
        raise LogError(f"{self.path} could not be written: No space left on device")

    monkeypatch.setattr(JsonLines, "append", refusing)
    experiment = dataclasses.replace(EXPERIMENT, callbacks=(Interrupting(),))
    with pytest.raises(
        triax.TrainingInterrupted, match="could not be saved; there is no checkpoint from before either"
    ):
        triax.train(experiment=experiment, run_directory=tmp_path / "run")


def test_without_tensorboard_the_logs_are_what_they_would_be(
    untroubled: tuple[list[int], ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refusing(self: TensorBoardWriter, **_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TensorBoardWriter, "write", refusing)
    triax.train(experiment=EXPERIMENT, run_directory=tmp_path / "run")
    assert rows_of(tmp_path / "run") == untroubled
    assert "tensorboard could not be written: No space left on device. The row stands in its log." in (
        capsys.readouterr().out
    )


def test_evaluations_that_fall_together_are_made_once_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    experiment = dataclasses.replace(
        EXPERIMENT,
        learner=TracedConfig(plan=OnPolicyPlan(steps=50)),
        evaluation=triax.EvaluationConfig(interval=20, episodes=1),
    )
    triax.train(experiment=experiment, run_directory=run)
    # Chunks have 50 rows, of which some are no steps.
    evaluated = rows_of(run)[1]
    assert evaluated[0] == 0
    assert len(evaluated) == 6
    assert all(40 < later - earlier <= 50 for earlier, later in itertools.pairwise(evaluated))
    told = capsys.readouterr().out
    assert told.count("evaluation.interval=20 is shorter than an iteration of training: 2 evaluations fall") == 1

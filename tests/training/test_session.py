"""Going on with a run: what it says about what was lost, and about another machine."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_trainer import EXPERIMENT

import triax
from triax.rollout import InlineFleet
from triax.runs import RunLogs
from triax.training import building
from triax.training.building import build
from triax.training.interrupts import TrainingInterrupted

LATE = dataclasses.replace(EXPERIMENT, evaluation=triax.EvaluationConfig(interval=100, episodes=1, at_start=False))
"""Its first checkpoint is at step 100."""


@pytest.mark.parametrize(
    ("crash", "begun"), [(160, "resumed from checkpoint 100"), (60, "begun anew, for want of a checkpoint")]
)
def test_after_a_crash_the_lost_steps_are_counted_and_said_once(
    crash: int, begun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append = RunLogs.append_metrics

    def crashing(self: RunLogs, row: Any) -> None:
        if row.environment_steps >= crash:
            raise RuntimeError("the power went")
        append(self, row)

    monkeypatch.setattr(RunLogs, "append_metrics", crashing)
    with pytest.raises(RuntimeError, match="the power went"):
        triax.train(experiment=LATE, run_directory=tmp_path / "run")
    monkeypatch.undo()
    capsys.readouterr()
    kept = 100 if crash > 100 else 0
    triax.resume(run_directory=tmp_path / "run")
    assert f"{begun}; {crash - kept} environment steps are lost, and made anew" in capsys.readouterr().out
    triax.resume(run_directory=tmp_path / "run")
    assert "are lost" not in capsys.readouterr().out


def test_trap_38_resuming_on_another_number_of_cores_is_warned_of(tmp_path: Path) -> None:
    run = tmp_path / "run"
    triax.train(experiment=EXPERIMENT, run_directory=run)
    cores = len(os.sched_getaffinity(0))
    document = json.loads((run / "experiment.json").read_text())
    assert document["machine"]["cores"] == cores
    triax.resume(run_directory=run, checkpoint=100)
    document["machine"]["cores"] = cores + 1
    (run / "experiment.json").write_text(json.dumps(document))
    with pytest.warns(UserWarning, match=rf"made elsewhere.*not be exact to the bit: cores: {cores + 1}, now {cores}$"):
        triax.resume(run_directory=run, checkpoint=100)


def test_an_interrupted_run_says_what_its_workers_had_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append, report = RunLogs.append_metrics, InlineFleet.report

    def interrupting(self: RunLogs, row: Any) -> None:
        append(self, row)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunLogs, "append_metrics", interrupting)
    monkeypatch.setattr(InlineFleet, "report", lambda self: dataclasses.replace(report(self), steps_underway=1600))
    with pytest.raises(TrainingInterrupted):
        triax.train(experiment=EXPERIMENT, run_directory=tmp_path / "run")
    assert "1,600 environment steps that were under way are lost" in capsys.readouterr().out


def test_environments_are_closed_if_the_rest_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[InlineFleet] = []
    monkeypatch.setattr(InlineFleet, "close", lambda self: closed.append(self))
    experiment = triax.Experiment(
        name="odd",
        learner=triax.PPOConfig(steps=8, minibatch_size=7),
        environment=triax.EnvironmentConfig(id="Pendulum-v1"),
        total_steps=16,
    )
    with pytest.raises(ValueError, match="minibatch_size=7"):
        build(experiment=experiment)
    assert len(closed) == 1


def test_chunks_on_their_way_count_among_what_workers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "available_bytes", lambda: 200 * 2**20)
    experiment = triax.Experiment(
        name="far_ahead",
        learner=triax.PPOConfig(steps=1024, minibatch_size=1024),
        environment=triax.EnvironmentConfig(id="Pendulum-v1"),
        rollout=triax.RolloutConfig(backend="processes", workers=1, environments_per_worker=1, maximum_policy_lag=8000),
        total_steps=16,
    )
    near = dataclasses.replace(experiment, rollout=dataclasses.replace(experiment.rollout, lead=1))
    build(experiment=near).close()
    far = dataclasses.replace(experiment, rollout=dataclasses.replace(experiment.rollout, lead=8000))
    with pytest.raises(
        ValueError,
        match=r"8001 chunks of 0\.0 MiB on their way.*use a smaller rollout.lead or shorter chunks, or a cluster",
    ):
        build(experiment=far)


def test_a_program_from_standard_input_trains(tmp_path: Path) -> None:
    program = """
import triax

environment = triax.EnvironmentConfig(id="Pendulum-v1")
experiment = triax.Experiment(name="typed", learner=triax.SACConfig(), environment=environment, total_steps=4)
triax.train(experiment=experiment, run_directory="run")
"""
    subprocess.run([sys.executable, "-"], input=program, cwd=tmp_path, text=True, check=True, timeout=300)
    assert json.loads((tmp_path / "run" / "experiment.json").read_text())["module"] == "__main__"


def test_numbers_of_another_type_are_refused_by_name(tmp_path: Path) -> None:
    # In a process of its own, where types of arguments are not checked beforehand.
    program = """
import triax

whole = {"name": "a", "learner": triax.SACConfig(), "environment": triax.EnvironmentConfig(id="Pendulum-v1")}
for field in ({"seed": 1.5}, {"seed": True}, {"total_steps": "10"}, {"device": 0}):
    try:
        triax.Experiment(**whole, **({"total_steps": 4} | field))
    except ValueError as error:
        print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, text=True, check=True, timeout=300, capture_output=True
    ).stdout.splitlines()
    assert said == [
        "Experiment.seed=1.5 must be an int.",
        "Experiment.seed=True must be an int.",
        "Experiment.total_steps='10' must be an int.",
        'Experiment.device=0 must be a text such as "gpu:0", or None.',
    ]


@pytest.mark.parametrize(
    "field", [{"at_return": float("nan")}, {"after_seconds": 0.0}, {"after_seconds": float("inf")}]
)
def test_stops_that_never_come_are_refused(field: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"StopConfig.{next(iter(field))}=.* must be a finite number"):
        triax.StopConfig(**field)

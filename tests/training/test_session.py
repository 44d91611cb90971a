"""Runs from outside: what a resumed one says about what was lost."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from test_trainer import EXPERIMENT

import triax
from triax.runs import RunLogs

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

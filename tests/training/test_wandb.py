"""The callback for Weights & Biases, with a module in the place of its package."""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_trainer import EXPERIMENT

import triax
from triax.runs import RunDirectory, read_evaluations, read_metrics
from triax.training.callbacks import TrainingView
from triax.training.wandb import WandbNotInstalled

LOGGED = dataclasses.replace(
    EXPERIMENT, callbacks=(triax.WandbCallback(project="probes", settings={"group": "counter"}),)
)


class FakeWandb(ModuleType):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.calls: list[tuple[str, Any]] = []

    def init(self, **arguments: Any) -> None:
        self.calls.append(("init", arguments))

    def define_metric(self, name: str, *, step_metric: str) -> None:
        self.calls.append((f"define {name}", step_metric))

    def log(self, values: dict[str, Any]) -> None:
        self.calls.append(("log", values))

    def finish(self) -> None:
        self.calls.append(("finish", None))


def test_metrics_and_evaluations_are_logged_with_their_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)

    triax.train(experiment=LOGGED, run_directory=tmp_path / "run")

    assert fake.calls[:2] == [
        ("init", {"project": "probes", "group": "counter"}),
        ("define *", "environment_steps"),
    ]
    assert fake.calls[-1] == ("finish", None)
    logged = [values for name, values in fake.calls if name == "log"]
    run = RunDirectory.open(tmp_path / "run")
    assert [values for values in logged if "evaluation/mean" in values] == [
        {
            "environment_steps": row.environment_steps,
            "updates": row.updates,
            "evaluation/mean": row.mean,
            "evaluation/interval_low": row.interval_low,
            "evaluation/interval_high": row.interval_high,
        }
        for row in read_evaluations(run)
    ]
    metrics = [values for values in logged if "evaluation/mean" not in values]
    rows = read_metrics(run)
    assert [values["environment_steps"] for values in metrics] == [row.environment_steps for row in rows]
    assert [set(values) for values in metrics] == [
        {"environment_steps", "updates", *(f"metrics/{name}" for name in row.metrics)} for row in rows
    ]

    assert len(fake.calls) == 3 + len(read_evaluations(run)) + len(rows)
    triax.resume(run_directory=tmp_path / "run")
    assert [name for name, _ in fake.calls].count("init") == 2


def test_without_environment_steps_everything_is_over_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    view = TrainingView(
        environment_steps=0, updates=0, counts_updates=True, policy_parameters=lambda: (), stop=lambda reason: None
    )
    triax.WandbCallback(project="clones").on_start(view)
    assert fake.calls[1] == ("define *", "updates")


def test_without_the_package_one_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(WandbNotInstalled, match=r"pip install 'triax\[wandb\]'"):
        triax.train(experiment=LOGGED, run_directory=tmp_path / "run")

"""What the script on throughput advises."""

from typing import Any

import pytest
import throughput

WELL = {"waiting": 0.0, "share": 0.97, "replay": 0.1, "environment": 10_000.0, "policy": 40_000.0}


@pytest.mark.parametrize(
    ("found", "limit", "setting"),
    [
        ({}, "Updates", "--learner.updates-per-step"),
        ({"share": 0.8}, "What goes on around", "--loop.updates-per-call"),
        ({"share": 0.8, "replay": 0.6}, "The replay", "--learner.batch-size"),
        ({"waiting": 0.3, "share": 0.7}, "The environment", "--rollout.workers"),
        ({"waiting": 0.3, "share": 0.7, "policy": 5_000.0}, "Acting", "--rollout.environments-per-worker"),
    ],
)
def test_the_advice_names_what_limits_and_a_setting(found: dict[str, float], limit: str, setting: str) -> None:
    said = throughput.advice(**{**WELL, **found})
    assert said.startswith(f"{limit} ")
    assert setting in said


def test_the_best_is_what_comes_nearest_to_the_rate_of_updates_in_its_own_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {"inline": (350.0, 400.0), 1: (400.0, 500.0), 8: (300.0, 310.0)}

    def whole_loop(bench: object, *, updates: object, **rollout: Any) -> dict[str, float]:
        rate, alone = found[rollout.get("environments_per_worker", "inline")]
        return {"rate": rate, "updates": alone, "share": rate / alone, "waiting": 0.0}

    monkeypatch.setattr(throughput, "whole_loop", whole_loop)
    monkeypatch.setattr(throughput, "updates_meter", lambda experiment, updates_per_call: lambda amount: 500.0)
    bench = throughput.Bench(environment="Pendulum-v1", seconds=1.0)
    best, options, count = throughput.measure_whole(bench, table=throughput.Table(), workers=[1], environments=[1, 8])
    assert best["rate"] == 300.0
    assert options == "--rollout.workers 1 --rollout.environments-per-worker 8"
    assert count == 8

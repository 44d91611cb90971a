"""Limits and the budget of restarts."""

import dataclasses
import time

import pytest

from triax.rollout import RestartBudget, SupervisionConfig


def test_the_budget_counts_within_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = RestartBudget(config=SupervisionConfig(restarts=2, window_seconds=10.0))
    assert budget.take()
    now = 6.0
    assert budget.take()
    assert not budget.take()
    now = 10.5
    assert budget.take()
    assert not budget.take()


@pytest.mark.parametrize("field", ["restarts", "step_seconds", "reset_seconds", "start_seconds", "window_seconds"])
def test_supervision_out_of_range_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"SupervisionConfig.{field}=-1"):
        dataclasses.replace(SupervisionConfig(), **{field: -1})

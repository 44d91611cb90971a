"""Limits and the budget of restarts."""

import dataclasses
import time

import pytest

from triax.rollout import RestartBudget, SupervisionConfig
from triax.rollout.supervision import Watch, WatchClock


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


def test_time_that_nobody_watched_counts_as_half_of_the_shortest_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock, watch = WatchClock(config=SupervisionConfig(reset_seconds=4.0)), Watch()
    assert watch.seconds(thing="step 1", now=clock.look()) == 0.0
    now = 1.0
    assert watch.seconds(thing="step 1", now=clock.look()) == 1.0
    now = 1000.0  # all of them were stopped
    assert watch.seconds(thing="step 1", now=clock.look()) == 3.0
    # It still has not moved, and the trainer looks seldom: so it hangs.
    now = 1005.0
    assert watch.seconds(thing="step 1", now=clock.look()) == 5.0
    assert watch.seconds(thing="step 2", now=clock.look()) == 0.0

"""Waiting for actions: awake while it pays, and never where it would keep the computation from its core."""

import time
from typing import Any

import pytest

import triax
from triax.environments.probes import EndlessRewardProbe
from triax.rollout import acting
from triax.rollout.acting import AWAKE_SECONDS, wait_awake
from triax.training.building import build


class Computed:
    """What is ready when it was asked so many times; each time takes a part of the time to stay awake."""

    def __init__(self, *, after: int, monkeypatch: pytest.MonkeyPatch, cores: int = 2) -> None:
        self.asked = 0
        self.after = after
        monkeypatch.setattr(time, "perf_counter", lambda: self.asked * AWAKE_SECONDS / 10)
        monkeypatch.setattr(acting, "usable_cores", lambda: cores)

    def is_ready(self) -> bool:
        self.asked += 1
        return self.asked > self.after


def wait(computed: Computed) -> int:
    wait_awake(computed.is_ready)
    return computed.asked


def test_it_waits_until_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(Computed(after=4, monkeypatch=monkeypatch)) == 5


def test_it_gives_up_in_the_end_and_the_rest_is_waited_for_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(Computed(after=1000, monkeypatch=monkeypatch)) == 10


def test_the_only_core_is_left_to_whoever_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(Computed(after=4, monkeypatch=monkeypatch, cores=1)) == 0


def test_whoever_steps_environments_in_line_waits_for_each_action(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[Any] = []

    def wait_and_count(is_ready: Any) -> None:
        waits.append(is_ready)
        wait_awake(is_ready)

    monkeypatch.setattr(acting, "wait_awake", wait_and_count)
    probe = triax.EnvironmentConfig(factory=EndlessRewardProbe, arguments={"steps": 8})
    parts = build(
        experiment=triax.Experiment(name="awake", learner=triax.A2CConfig(steps=4), environment=probe, total_steps=4)
    )
    try:
        parts.loop.advance(limit=4)
        assert len(waits) == 4
        assert all(is_ready() for is_ready in waits)
    finally:
        parts.close()

"""The ratio of updates to environment steps."""

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_loops import TracedConfig

import triax
from triax.environments.probes import CounterProbe
from triax.learners.interface import ReplayPlan, TransitionUnit
from triax.runs import RunDirectory, read_metrics
from triax.training.loops import Counters
from triax.training.loops.limiter import RateLimiter, Wanted


def test_without_tolerance_experience_and_updates_alternate() -> None:
    limiter = RateLimiter(updates_per_step=2.0, warmup_steps=10, tolerance=0, updates_per_call=8)
    counters = Counters(environment_steps=3)
    assert limiter.wanted(counters) == Wanted(needed=7, welcome=7)
    assert limiter.calls_due(counters) == 0
    counters = Counters(environment_steps=10)
    assert limiter.wanted(counters) == Wanted(needed=4, welcome=4)
    assert limiter.calls_due(counters) == 0
    counters = Counters(environment_steps=19)
    assert limiter.calls_due(counters) == 2
    counters.updates = 16
    assert limiter.wanted(counters) == Wanted(needed=3, welcome=3)


def test_a_tolerance_lets_either_side_go_ahead() -> None:
    limiter = RateLimiter(updates_per_step=0.5, warmup_steps=0, tolerance=3, updates_per_call=4)
    assert limiter.wanted(Counters()) == Wanted(needed=2, welcome=14)
    assert limiter.calls_due(Counters()) == 0
    assert limiter.calls_due(Counters(environment_steps=2)) == 1  # three ahead of the one that is due
    assert limiter.calls_due(Counters(environment_steps=2, updates=4)) == 0
    assert limiter.wanted(Counters(environment_steps=10, updates=4)) == Wanted(needed=0, welcome=12)
    assert limiter.calls_due(Counters(environment_steps=10, updates=4)) == 1


@settings(deadline=None)
@given(
    ratio=st.sampled_from([0.1, 0.5, 1.0, 1.7, 4.0]),
    tolerance=st.integers(0, 30),
    updates_per_call=st.integers(1, 16),
    arrivals=st.lists(st.integers(0, 40), min_size=1, max_size=80),
    begun=st.tuples(st.integers(0, 200), st.integers(0, 200)),
)
def test_trap_30_the_ratio_holds_and_nobody_waits_for_ever(
    ratio: float, tolerance: int, updates_per_call: int, arrivals: list[int], begun: tuple[int, int]
) -> None:
    limiter = RateLimiter(
        updates_per_step=ratio, warmup_steps=20, tolerance=tolerance, updates_per_call=updates_per_call
    )
    # From wherever a checkpoint was made, also one of a run with another ratio.
    counters = Counters(environment_steps=begun[0], updates=begun[1])
    settled = False
    for available in arrivals:
        wanted = limiter.wanted(counters)
        assert 0 <= wanted.needed <= wanted.welcome
        # Either updates are made at once, or experience is all that is missing.
        assert limiter.calls_due(counters) > 0 or wanted.needed > 0
        taken = min(available, wanted.welcome)
        counters.environment_steps += taken
        made = limiter.calls_due(counters) * updates_per_call
        counters.updates += made
        ahead = counters.updates - math.floor(max(0, counters.environment_steps - 20) * ratio)
        settled = settled or abs(ahead) < updates_per_call
        if settled:
            assert -tolerance - 2 * updates_per_call - ratio <= ahead <= tolerance + updates_per_call


@pytest.mark.parametrize("tolerance", [0, 16])
def test_a_run_keeps_the_ratio_within_the_tolerance(tolerance: int, tmp_path: Path) -> None:
    plan = ReplayPlan(batch_size=8, unit=TransitionUnit(discount=0.9), warmup_steps=40)
    experiment = triax.Experiment(
        name="limited",
        learner=TracedConfig(plan=plan),
        environment=triax.EnvironmentConfig(factory=CounterProbe),
        total_steps=200,
        evaluation=triax.EvaluationConfig(interval=1000, episodes=2, environments=2),
        loop=triax.LoopConfig(log_interval=20, video=False, updates_per_call=4, ratio_tolerance=tolerance),
    )
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    rows = read_metrics(RunDirectory.open(result.run_directory))[2:]
    ahead = [row.updates - (row.environment_steps - 40) for row in rows]
    assert max(ahead) <= tolerance
    assert min(ahead) > -8
    assert (max(ahead) > 0) == (tolerance > 0)


def test_a_tolerance_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"LoopConfig.ratio_tolerance=-1 must be at least 0"):
        dataclasses.replace(triax.LoopConfig(), ratio_tolerance=-1)

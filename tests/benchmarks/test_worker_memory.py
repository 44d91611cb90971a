"""What worker processes take of memory."""

import contextlib
import dataclasses

import pytest
from settings import experiment_of
from worker_memory import MIB, ROOT, proportional_sizes

import triax
from triax.rollout.processes import ProcessFleet
from triax.training.building import WORKER_BYTES, build
from triax.training.loops import ReplayLoop


@pytest.mark.slow
def test_a_worker_takes_what_is_allowed_for_it() -> None:
    workers = 3
    experiment = dataclasses.replace(
        experiment_of(ROOT / "experiments" / "pendulum_sac.py"),
        rollout=triax.RolloutConfig(backend="processes", workers=workers),
    )
    with contextlib.closing(build(experiment=experiment)) as parts:
        loop = parts.loop
        assert isinstance(loop, ReplayLoop)
        assert isinstance(loop.fleet, ProcessFleet)
        while loop.counters.updates < 500:
            loop.advance(limit=10**6)
        sizes = [proportional_sizes(process) for process in loop.fleet.processes]
    assert len(sizes) == workers
    for size in sizes:
        # Programs and libraries, which count in proportion, are shared by few here.
        assert size is not None
        assert 0.5 * WORKER_BYTES / MIB < size[0] < 1.5 * WORKER_BYTES / MIB

"""The fleet of Ray actors, on a Ray of this machine that the tests share."""

import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from cluster_helpers import (
    DiaryEnvironment,
    collect_until_restart,
    descendants,
    diary_fleet,
    publish,
    scratch_ray,
)

import triax
from triax.rollout import CannotSendToWorkers, Fleet, RolloutConfig, SupervisionConfig, WorkersFailed
from triax.rollout.cluster import RayFleet, RayNotInstalled
from triax.rollout.cluster.connection import RayConnection
from triax.runs import RunDirectory, read_metrics
from triax.types import ActionMode, Chunk, ChunkOrigin

# A Ray takes seconds to start, and much of two processors.
pytestmark = pytest.mark.slow

RAY = RolloutConfig(backend="ray")


@pytest.fixture(scope="module")
def shared_ray() -> Iterator[RayConnection]:
    """A Ray with room for two workers; fleets use the connection that is there."""
    with scratch_ray() as variables:
        os.environ.update(variables)
        jax.devices()  # as in training, where it has begun before the fleet
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        connection = RayConnection(address=None, workers=2)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        yield connection
        connection.close()
        connection.close()
        deadline = time.monotonic() + 20.0
        while any(is_of_ray(process) for process in descendants(os.getpid())):
            assert time.monotonic() < deadline, "Ray has left processes"
            time.sleep(0.1)
        for name in variables:
            del os.environ[name]


def is_of_ray(process: int) -> bool:
    with suppress(OSError):
        return b"ray" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


@contextmanager
def running(fleet: RayFleet) -> Iterator[RayFleet]:
    """Publish, and close the fleet afterwards."""
    try:
        publish(fleet, version=1)
        yield fleet
    finally:
        fleet.close()
        fleet.close()


def origins_of(chunks: list[Chunk]) -> list[ChunkOrigin]:
    return [chunk.origin for chunk in chunks if chunk.origin is not None]


def process_of(fleet: RayFleet, worker: int) -> int:
    return int(fleet._workers[worker].place.split()[1])


def test_a_ray_of_our_own_listens_on_this_machine_only(shared_ray: RayConnection) -> None:
    sockets = {
        os.readlink(link)
        for process in descendants(os.getpid())
        if is_of_ray(process)
        for link in Path(f"/proc/{process}/fd").iterdir()
        if os.readlink(link).startswith("socket:")
    }
    heard = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, state, inode = fields[1].split(":")[0], fields[3], fields[9]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                heard.append(address)
    assert len(heard) >= 3
    # 127.0.0.1, as IPv4 and as IPv6 has it.
    assert {address[-8:] for address in heard} == {"0100007F"}


@pytest.mark.usefixtures("shared_ray")
def test_chunks_come_from_every_worker_each_once_and_of_one_policy_version() -> None:
    config = dataclasses.replace(RAY, workers=2, environments_per_worker=3)
    with running(diary_fleet(config=config)) as fleet:
        assert isinstance(fleet, Fleet)
        assert fleet.environments == 6
        chunks = fleet.collect(minimum=100)
        assert sum(chunk.trajectory.reward.size for chunk in chunks) >= 100
        while {origin.worker for origin in origins_of(chunks)} != {0, 1}:
            chunks += fleet.collect(minimum=12, maximum=12)
        publish(fleet, version=2)
        while {chunk.policy_version for chunk in chunks[-4:]} != {2}:
            more = fleet.collect(minimum=12, maximum=12)
            assert len(more) == 1
            chunks += more
        by_worker: dict[int, list[int]] = {0: [], 1: []}
        for origin, chunk in zip(origins_of(chunks), chunks, strict=True):
            assert chunk.trajectory.reward.shape == (4, 3)
            assert chunk.first_environment == 3 * origin.worker
            assert origin.life == 0
            by_worker[origin.worker].append(origin.sequence)
            valid = ~chunk.trajectory.is_last[:-1]
            np.testing.assert_allclose(chunk.trajectory.action[valid], chunk.policy_version / 100, rtol=1e-6)
        for sequence in by_worker.values():
            assert sequence == list(range(len(sequence)))
        # Environments begin differently, also those of different workers.
        first = [chunk for origin, chunk in zip(origins_of(chunks), chunks, strict=True) if origin.sequence == 0]
        assert len({float(number) for chunk in first for number in chunk.trajectory.observation[0, :, 0]}) == 6
        # JAX has the processor alone, and one thread of it.
        assert (chunks[-1].trajectory.observation[..., 2] == 1.0).all()
        assert chunks[-1].trajectory.observation[-1, 0, 3] == 1.0
        report = fleet.report()
        assert report.environment_steps == sum(chunk.steps for chunk in chunks)
        assert report.resets >= 6
        assert report.restarts == 0


@pytest.mark.usefixtures("shared_ray")
def test_workers_wait_for_the_trainer_instead_of_running_ahead_and_are_left_alone_meanwhile() -> None:
    supervision = SupervisionConfig(step_seconds=2.0, reset_seconds=2.0)
    with running(diary_fleet(config=dataclasses.replace(RAY, lead=2, supervision=supervision))) as fleet:
        fleet.collect(minimum=4, maximum=4)
        time.sleep(2.5)  # an evaluation, a long update
        # Two chunks lie ready; each that is taken is followed by the order of another one.
        assert len(fleet._workers[0]._calls) == 2
        chunks = fleet.collect(minimum=12, maximum=12)
        assert [origin.sequence for origin in origins_of(chunks)] == [1, 2, 3]
        assert fleet.report().worker_seconds_waited > 1.0
        assert fleet.report().restarts == 0


@pytest.mark.usefixtures("shared_ray")
def test_a_class_that_no_worker_can_import_is_taken_along_and_its_environments_are_closed(tmp_path: Path) -> None:
    class Mine(DiaryEnvironment):
        """Inside a function; one in ``__main__`` is sent in the same way."""

    with running(diary_fleet(config=RAY, make=Mine, closed=tmp_path / "closed")) as fleet:
        fleet.collect(minimum=4)
        before = time.monotonic()
        assert fleet.collect(minimum=10**6, timeout=0.5)
        assert 0.5 <= time.monotonic() - before < 5.0
        with pytest.raises(ValueError, match="minimum ≤ maximum"):
            fleet.collect(minimum=2, maximum=1)
        assert not (tmp_path / "closed").exists()
    assert (tmp_path / "closed").exists()


@pytest.mark.usefixtures("shared_ray")
def test_a_worker_that_is_killed_begins_anew_and_its_experience_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with running(diary_fleet(config=dataclasses.replace(RAY, workers=2))) as fleet:
        chunks = fleet.collect(minimum=32)
        while {origin.worker for origin in origins_of(chunks)} != {0, 1}:
            chunks += fleet.collect(minimum=4)
        os.kill(process_of(fleet, 1), signal.SIGKILL)
        chunks += collect_until_restart(fleet)
        origins = origins_of(chunks)
        assert len(set(origins)) == len(origins)
        first_life = [origin.sequence for origin in origins if (origin.worker, origin.life) == (1, 0)]
        assert first_life == list(range(len(first_life)))
        assert {(origin.worker, origin.life) for origin in origins} == {(0, 0), (1, 0), (1, 1)}
        # The second life is no repetition of the first.
        starts = {
            float(chunk.trajectory.observation[0, 0, 0])
            for origin, chunk in zip(origins, chunks, strict=True)
            if origin.sequence == 0
        }
        assert len(starts) == 3
        assert fleet.report().restarts == 1
    assert "worker 1 (process" in (said := capfd.readouterr().err)
    assert "is gone: The actor died" in said
    assert f"worker 1 begins anew; what it had not handed over is lost, {RAY.lead} chunks at most" in said


@pytest.mark.usefixtures("shared_ray")
def test_a_failing_environment_is_shown_and_ends_the_run_past_the_budget(capfd: pytest.CaptureFixture[str]) -> None:
    chunks: list[Chunk] = []
    config = dataclasses.replace(RAY, supervision=SupervisionConfig(restarts=1))
    with running(diary_fleet(config=config, trouble="raise", chunk_steps=2)) as fleet:

        def collect_for_ever() -> None:
            while True:
                chunks.extend(fleet.collect(minimum=1, timeout=1.0))

        with pytest.raises(WorkersFailed, match=r"1 workers were started again .* rollout.supervision.restarts"):
            collect_for_ever()
    assert {origin.life for origin in origins_of(chunks)} == {0, 1}
    said = capfd.readouterr().err
    assert said.count("RuntimeError: the gripper fell off") >= 2
    assert "Traceback (most recent call last)" in said
    assert "cluster_helpers.py" in said  # where the environment raised


@pytest.mark.usefixtures("shared_ray")
def test_an_environment_that_cannot_be_made_ends_the_run_at_once() -> None:
    with running(diary_fleet(config=RAY, trouble="start")) as fleet:
        with pytest.raises(WorkersFailed, match=r"worker 0 could not begin: .*no licence for this simulator"):
            fleet.collect(minimum=1, timeout=600.0)
        assert fleet.report().restarts == 0


@pytest.mark.usefixtures("shared_ray")
def test_a_worker_that_hangs_is_replaced_and_the_trainer_says_for_whom_it_waits(
    capfd: pytest.CaptureFixture[str],
) -> None:
    supervision = SupervisionConfig(step_seconds=2.0, patience_seconds=0.5)
    with running(
        diary_fleet(config=dataclasses.replace(RAY, supervision=supervision), trouble="sleep", chunk_steps=2)
    ) as fleet:
        assert [chunk.steps for chunk in collect_until_restart(fleet)] == [2, 2]
    said = capfd.readouterr().err
    assert "has been at one step for more than 2 s (rollout.supervision.step_seconds)" in said
    assert "no experience for" in said
    assert "is at its chunk for" in said


@pytest.mark.usefixtures("shared_ray")
def test_a_worker_that_hangs_in_a_long_chunk_is_noticed_as_soon() -> None:
    config = dataclasses.replace(RAY, supervision=SupervisionConfig(step_seconds=2.0, restarts=0))
    with (
        running(diary_fleet(config=config, trouble="sleep", chunk_steps=256)) as fleet,
        pytest.raises(WorkersFailed, match="has been at one step for more than 2 s"),
    ):
        assert fleet.collect(minimum=1, timeout=120.0)


@pytest.mark.usefixtures("shared_ray")
def test_a_worker_that_is_stopped_from_outside_is_replaced() -> None:
    supervision = SupervisionConfig(step_seconds=2.0, reset_seconds=2.0)
    with running(diary_fleet(config=dataclasses.replace(RAY, supervision=supervision))) as fleet:
        fleet.collect(minimum=4)
        os.kill(process_of(fleet, 0), signal.SIGSTOP)
        collect_until_restart(fleet)
        assert fleet.report().restarts == 1


@pytest.mark.usefixtures("shared_ray")
def test_the_limits_are_those_of_one_environment() -> None:
    # A row takes 4 · 0.8 s, and a chunk 6.4 s.
    supervision = SupervisionConfig(step_seconds=2.0, reset_seconds=2.0)
    config = dataclasses.replace(RAY, environments_per_worker=4, supervision=supervision)
    with running(diary_fleet(config=config, trouble="slow", chunk_steps=2)) as fleet:
        assert fleet.collect(minimum=16)
        assert fleet.report().restarts == 0


@pytest.mark.usefixtures("shared_ray")
def test_a_worker_for_which_there_is_no_room_is_waited_for_and_the_reason_is_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    supervision = SupervisionConfig(patience_seconds=0.5, start_seconds=30.0)
    with running(diary_fleet(config=dataclasses.replace(RAY, workers=3, supervision=supervision))) as fleet:
        chunks = fleet.collect(minimum=4)
        while not (waiting := [life for life in fleet._workers.values() if not life.is_placed]) or len(waiting) > 1:
            chunks += fleet.collect(minimum=0)
        assert "waits for Ray to place it: it needs 1 CPU, and of the cluster's 2 there are 0 free" in waiting[0].doing
        assert len({origin.worker for origin in origins_of(chunks)}) <= 2
    assert "could not" not in capfd.readouterr().err


@pytest.mark.usefixtures("shared_ray")
def test_a_restored_fleet_begins_new_lives_and_goes_on_counting() -> None:
    with running(diary_fleet(config=RAY)) as fleet:
        first = fleet.collect(minimum=8, maximum=8)
        state, report = fleet.state(), fleet.report()
        fleet.restore(state)
        with pytest.raises(ValueError, match="no policy"):
            fleet.collect(minimum=1)
        publish(fleet, version=1, mode=ActionMode.RANDOM)
        second = fleet.collect(minimum=4, maximum=4)
        assert [origin.life for origin in origins_of(second)] == [1]
        assert fleet.report().environment_steps == report.environment_steps + 4
        assert not np.array_equal(first[0].trajectory.observation[0], second[0].trajectory.observation[0])
        assert np.ptp(second[0].trajectory.action) > 0.0
    other = diary_fleet(config=dataclasses.replace(RAY, workers=2))
    with pytest.raises(ValueError, match="the checkpoint is one of 1 workers"):
        other.restore(state)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_an_on_policy_run_learns_from_chunks_that_lie_in_rays_memory(tmp_path: Path) -> None:
    small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(16,)))
    experiment = triax.Experiment(
        name="on_policy",
        learner=triax.PPOConfig(actor=small, critic=small, steps=4096, epochs=1, minibatch_size=1024),
        environment=triax.EnvironmentConfig(id="Pendulum-v1"),
        rollout=RAY,
        total_steps=12_000,
        evaluation=triax.EvaluationConfig(interval=12_000, episodes=2, environments=2),
        loop=triax.LoopConfig(log_interval=4096, video=False),
    )
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    last = read_metrics(RunDirectory.open(result.run_directory))[-1]
    assert last.environment_steps >= 12_000
    assert last.updates > 0
    assert last.metrics["policy_lag_maximum"] <= 1.0


def test_an_environment_that_cannot_be_sent_is_refused_when_the_fleet_is_built() -> None:
    lock = threading.Lock()

    def make(**arguments: Any) -> DiaryEnvironment:
        with lock:
            return DiaryEnvironment(**arguments)

    with pytest.raises(CannotSendToWorkers, match=r"the environment cannot be sent .*lock"):
        diary_fleet(config=RAY, make=make)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayNotInstalled, match=r'pip install "triax\[ray\]"'):
        diary_fleet(config=RAY)


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "host:port", ""])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r'ray_address=.* must be "auto" or "host:port"'):
        dataclasses.replace(RAY, ray_address=address)


def test_an_address_without_the_backend_is_refused() -> None:
    with pytest.raises(ValueError, match='is of use with backend="ray" only'):
        RolloutConfig(ray_address="auto")

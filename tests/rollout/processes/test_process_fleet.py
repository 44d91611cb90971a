"""The fleet of worker processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from process_helpers import DiaryEnvironment, VersionPolicy, collect_until_restart, diary_fleet, publish

from triax.rollout import CannotSendToWorkers, Fleet, RolloutConfig, SupervisionConfig, WorkersFailed
from triax.rollout.processes import ProcessFleet
from triax.rollout.processes.life import WorkerLife
from triax.spaces import space_spec
from triax.types import ActionMode, Chunk


@contextmanager
def running(fleet: ProcessFleet) -> Iterator[ProcessFleet]:
    """Close a fleet afterwards, and see that nothing of it is left."""
    try:
        publish(fleet, version=1)
        yield fleet
        processes = fleet.processes
    finally:
        fleet.close()
    for process in processes:
        assert not Path(f"/proc/{process}").exists()


def test_chunks_come_from_every_worker_each_once_and_of_one_policy_version() -> None:
    config = RolloutConfig(backend="processes", workers=2, environments_per_worker=3)
    with running(diary_fleet(config=config)) as fleet:
        assert isinstance(fleet, Fleet)
        assert fleet.environments == 6
        chunks = fleet.collect(minimum=100)
        makers = [chunk.origin.worker for chunk in chunks if chunk.origin is not None]
        while min(makers.count(0), makers.count(1)) < 2:  # either may start late
            more = fleet.collect(minimum=12, maximum=12)
            makers += [chunk.origin.worker for chunk in more if chunk.origin is not None]
            chunks += more
        publish(fleet, version=2)
        # What was on its way when the new one came was made with the old one.
        while {chunk.policy_version for chunk in chunks[-4:]} != {2}:
            chunks += fleet.collect(minimum=12, maximum=12)
        by_worker: dict[int, list[int]] = {0: [], 1: []}
        for chunk in chunks:
            assert chunk.origin is not None
            assert chunk.trajectory.reward.shape == (4, 3)
            assert chunk.first_environment == 3 * chunk.origin.worker
            assert chunk.origin.life == 0
            by_worker[chunk.origin.worker].append(chunk.origin.sequence)
            valid = ~chunk.trajectory.is_last[:-1]
            np.testing.assert_allclose(chunk.trajectory.action[valid], chunk.policy_version / 100, rtol=1e-6)
        for sequence in by_worker.values():
            assert sequence == list(range(len(sequence)))
            assert len(sequence) > 1
        # Environments begin differently, also those of different workers.
        first = {
            float(number)
            for chunk in chunks
            if chunk.origin is not None and chunk.origin.sequence == 0
            for number in chunk.trajectory.observation[0, :, 0]
        }
        assert len(first) == 6
        report = fleet.report()
        assert report.environment_steps == sum(chunk.steps for chunk in chunks)
        assert report.resets >= 6
        assert report.restarts == 0


def test_trap_31_workers_keep_to_the_processor_and_to_one_thread() -> None:
    with running(diary_fleet(config=RolloutConfig(backend="processes"))) as fleet:
        *_, chunk = fleet.collect(minimum=8)
        assert (chunk.trajectory.observation[..., 2] == 1.0).all()
        assert chunk.trajectory.observation[-1, 0, 3] == 1.0
        assert os.getpriority(os.PRIO_PROCESS, fleet.processes[0]) - os.getpriority(os.PRIO_PROCESS, 0) == 10


def test_trap_24_workers_wait_for_the_trainer_instead_of_running_ahead() -> None:
    config = RolloutConfig(backend="processes", lead=2)
    with running(diary_fleet(config=config)) as fleet:
        fleet.collect(minimum=4, maximum=4)
        time.sleep(1.0)
        assert fleet._workers[0].channel.written == 1 + 2
        assert fleet.report().steps_underway == 2 * 4 - 1  # in one row an episode begins
        assert fleet.report().worker_seconds_waited > 0.5


def test_trap_21_a_worker_that_is_killed_begins_anew_and_its_experience_is_kept(
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = RolloutConfig(backend="processes", workers=2)
    with running(diary_fleet(config=config)) as fleet:
        before = fleet.collect(minimum=32)
        time.sleep(0.5)  # both are ahead now
        os.kill(fleet.processes[1], signal.SIGKILL)
        chunks = before + collect_until_restart(fleet)
        origins = [chunk.origin for chunk in chunks if chunk.origin is not None]
        assert len(set(origins)) == len(origins)
        first_life = [origin.sequence for origin in origins if (origin.worker, origin.life) == (1, 0)]
        assert first_life == list(range(len(first_life)))
        assert {(origin.worker, origin.life) for origin in origins} == {(0, 0), (1, 0), (1, 1)}
        # The second life is no repetition of the first.
        starts = {
            origin: float(chunk.trajectory.observation[0, 0, 0])
            for origin, chunk in zip(origins, chunks, strict=True)
            if origin.sequence == 0
        }
        assert len(set(starts.values())) == 3
        assert fleet.report().restarts == 1
    assert "worker 1" in (said := capfd.readouterr().err)
    assert "signal 9" in said


def test_trap_39_a_worker_that_hangs_in_a_step_is_killed_and_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    supervision = SupervisionConfig(step_seconds=2.0)
    config = RolloutConfig(backend="processes", supervision=supervision)
    with running(diary_fleet(config=config, trouble="sleep", chunk_steps=2)) as fleet:
        chunks = collect_until_restart(fleet)
        assert [chunk.steps for chunk in chunks] == [2, 2]
    assert "at one step for more than 2 s (rollout.supervision.step_seconds)" in capfd.readouterr().err


def test_a_worker_that_is_stopped_from_outside_is_replaced() -> None:
    supervision = SupervisionConfig(step_seconds=2.0)
    with running(diary_fleet(config=RolloutConfig(backend="processes", supervision=supervision))) as fleet:
        fleet.collect(minimum=4)
        time.sleep(0.5)  # it waits for the trainer now
        os.kill(fleet.processes[0], signal.SIGSTOP)
        chunks = collect_until_restart(fleet)
        origins = [chunk.origin for chunk in chunks if chunk.origin is not None]
        assert next(origin.sequence for origin in origins if origin.life == 1) == 0
        assert fleet.report().restarts == 1


def test_a_worker_that_hangs_is_found_by_a_trainer_that_looks_seldom() -> None:
    supervision = SupervisionConfig(step_seconds=1.0)
    with running(diary_fleet(config=RolloutConfig(backend="processes", supervision=supervision))) as fleet:
        fleet.collect(minimum=4)
        os.kill(fleet.processes[0], signal.SIGSTOP)
        for _ in range(6):
            time.sleep(1.5)  # longer than the limit: an update, say
            fleet.collect(minimum=0)
        assert fleet.report().restarts == 1


def test_a_worker_that_waited_long_for_a_busy_trainer_is_left_alone() -> None:
    supervision = SupervisionConfig(step_seconds=1.0)
    with running(diary_fleet(config=RolloutConfig(backend="processes", supervision=supervision))) as fleet:
        fleet.collect(minimum=4)
        for _ in range(2):
            time.sleep(1.5)  # an evaluation, a long update
            fleet.collect(minimum=8, maximum=8)
        assert fleet.report().restarts == 0


def test_workers_that_were_stopped_together_with_the_trainer_go_on() -> None:
    supervision = SupervisionConfig(step_seconds=1.0)
    with running(diary_fleet(config=RolloutConfig(backend="processes", supervision=supervision))) as fleet:
        fleet.collect(minimum=40)
        os.kill(fleet.processes[0], signal.SIGSTOP)
        time.sleep(2.0)  # the trainer sees nothing meanwhile
        fleet.collect(minimum=12, maximum=12, timeout=0.1)
        os.kill(fleet.processes[0], signal.SIGCONT)
        fleet.collect(minimum=40)
        assert fleet.report().restarts == 0


@pytest.mark.parametrize(
    ("trouble", "message"), [("raise", "RuntimeError: the gripper fell off"), ("nan", "the reward is nan")]
)
def test_trap_27_a_failing_environment_is_shown_and_ends_the_run_past_the_budget(
    trouble: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    supervision = SupervisionConfig(restarts=1)
    config = RolloutConfig(backend="processes", supervision=supervision)
    chunks: list[Chunk] = []
    with running(diary_fleet(config=config, trouble=trouble, chunk_steps=2)) as fleet:

        def collect_for_ever() -> None:
            while True:
                chunks.extend(fleet.collect(minimum=1, timeout=1.0))

        with pytest.raises(WorkersFailed, match=r"1 workers were started again .* rollout.supervision.restarts"):
            collect_for_ever()
        assert {chunk.origin.life for chunk in chunks if chunk.origin is not None} == {0, 1}
    said = capfd.readouterr().err
    assert message in said
    assert "Traceback (most recent call last)" in said


@pytest.mark.parametrize(
    ("trouble", "message"), [("start", "no licence for this simulator"), ("reset", "the table is not set")]
)
def test_an_environment_that_can_never_be_stepped_ends_the_run_at_once(trouble: str, message: str) -> None:
    config = RolloutConfig(backend="processes")
    with running(diary_fleet(config=config, trouble=trouble)) as fleet:
        with pytest.raises(WorkersFailed, match=rf"worker 0 could not begin: .*{message}"):
            fleet.collect(minimum=1, timeout=600.0)
        assert fleet.report().restarts == 0


def test_a_worker_that_fails_within_its_first_chunk_begins_anew() -> None:
    config = RolloutConfig(backend="processes", supervision=SupervisionConfig(restarts=1))
    with running(diary_fleet(config=config, trouble="raise", chunk_steps=256)) as fleet:
        with pytest.raises(WorkersFailed, match=r"1 workers were started again .* rollout.supervision.restarts"):
            fleet.collect(minimum=1, timeout=600.0)
        assert fleet.report().restarts == 1
        assert fleet.report().lost_steps == 3


def test_what_a_worker_wrote_before_it_hung_is_kept() -> None:
    supervision = SupervisionConfig(step_seconds=2.0)
    config = RolloutConfig(backend="processes", supervision=supervision, lead=3)
    with running(diary_fleet(config=config, trouble="sleep", chunk_steps=1)) as fleet:
        chunks = fleet.collect(minimum=1, maximum=1)
        time.sleep(2.5)  # it hangs in its third step, with one chunk unread
        while len(chunks) < 3:
            chunks += fleet.collect(minimum=1, maximum=1)
        origins = [chunk.origin for chunk in chunks if chunk.origin is not None]
        assert [(origin.life, origin.sequence) for origin in origins] == [(0, 0), (0, 1), (1, 0)]
        assert fleet.report().lost_steps == 1  # the one in which it hung


def test_a_worker_killed_in_the_middle_of_committing_is_replaced() -> None:
    with running(diary_fleet(config=RolloutConfig(backend="processes"))) as fleet:
        fleet.collect(minimum=4)
        time.sleep(0.5)
        fleet._workers[0].channel._memory.words[2] += 1  # the record is counted, and the head has not passed it
        os.kill(fleet.processes[0], signal.SIGKILL)
        collect_until_restart(fleet)
        assert fleet.report().restarts == 1


def test_a_worker_that_cannot_be_started_again_ends_the_run_and_leaves_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running(diary_fleet(config=RolloutConfig(backend="processes", workers=2))) as fleet:
        fleet.collect(minimum=20)

        def refuse(**arguments: object) -> None:
            raise OSError("there are no descriptors left")

        monkeypatch.setattr("triax.rollout.processes.fleet.WorkerLife", refuse)
        os.kill(fleet.processes[0], signal.SIGKILL)

        def collect_for_ever() -> None:
            while True:
                fleet.collect(minimum=10**6, timeout=1.0)

        with pytest.raises(WorkersFailed, match="worker 0 could not be started: there are no descriptors left"):
            collect_for_ever()
        assert len(fleet.processes) == 1


def test_a_worker_that_cannot_be_started_at_first_is_said_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(diary_fleet(config=RolloutConfig(backend="processes", workers=2))) as fleet:
        start = fleet._start

        def refuse_the_second(*, worker: int, number: int, is_first: bool) -> WorkerLife:
            if worker == 1:
                raise OSError("there are no descriptors left")
            return start(worker=worker, number=number, is_first=is_first)

        monkeypatch.setattr(fleet, "_start", refuse_the_second)
        for _ in range(2):
            with pytest.raises(WorkersFailed, match="worker 1 could not be started: there are no descriptors left"):
                fleet.collect(minimum=20)


def test_environments_are_closed_when_the_fleet_is(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    with running(diary_fleet(config=RolloutConfig(backend="processes"), closed=closed)) as fleet:
        fleet.collect(minimum=4)
        assert not closed.exists()
    assert closed.exists()


def test_trap_30_a_trainer_that_waits_long_says_for_whom(capfd: pytest.CaptureFixture[str]) -> None:
    supervision = SupervisionConfig(patience_seconds=0.5)
    config = RolloutConfig(backend="processes", supervision=supervision)
    with running(diary_fleet(config=config, trouble="sleep", chunk_steps=3)) as fleet:
        said, deadline = "", time.monotonic() + 120.0
        while "worker 0 is at step for" not in said:
            assert time.monotonic() < deadline, said
            assert fleet.collect(minimum=1, timeout=0.2) == []
            said += capfd.readouterr().err
        time.sleep(0.5)
        assert fleet.collect(minimum=1, timeout=0.2) == []
    said += capfd.readouterr().err
    assert said.count("no experience for") >= 2


def test_an_environment_that_cannot_be_sent_is_refused_when_the_fleet_is_built() -> None:
    with pytest.raises(CannotSendToWorkers, match=r"the environment cannot be sent .*top level of a module"):
        ProcessFleet(
            config=RolloutConfig(backend="processes"),
            make=lambda: DiaryEnvironment(),
            make_policy=VersionPolicy,
            observation_spec=space_spec(space=DiaryEnvironment.observation_space, role="observation"),
            action_spec=space_spec(space=DiaryEnvironment.action_space, role="action"),
            extras_spec={},
            chunk_steps=1,
            seed=0,
        )


def test_a_restored_fleet_begins_new_lives_and_goes_on_counting() -> None:
    config = RolloutConfig(backend="processes")
    with running(diary_fleet(config=config)) as fleet:
        first = fleet.collect(minimum=8, maximum=8)
        state, report = fleet.state(), fleet.report()
    with running(diary_fleet(config=config)) as fleet:
        fleet.restore(state)
        with pytest.raises(ValueError, match="no policy"):
            fleet.collect(minimum=1)
        publish(fleet, version=1, mode=ActionMode.RANDOM)
        second = fleet.collect(minimum=4, maximum=4)
        assert [chunk.origin.life for chunk in second if chunk.origin is not None] == [1]
        assert fleet.report().environment_steps == report.environment_steps + 4
        assert not np.array_equal(first[0].trajectory.observation[0], second[0].trajectory.observation[0])
        assert np.ptp(second[0].trajectory.action) > 0.0
    other = diary_fleet(config=RolloutConfig(backend="processes", workers=2))
    with pytest.raises(ValueError, match="the checkpoint is one of 1 workers"):
        other.restore(state)


@contextmanager
def training() -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A trainer in a process of its own, and the numbers of its workers."""
    script = """
    import sys
    sys.path.insert(0, {folder!r})
    from process_helpers import diary_fleet, publish
    from triax.rollout import RolloutConfig
    if __name__ == "__main__":
        fleet = diary_fleet(config=RolloutConfig(backend="processes", workers=2))
        publish(fleet, version=1)
        fleet.collect(minimum=16)
        print(*fleet.processes, flush=True)
        fleet.collect(minimum=10**9)
    """
    trainer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script).format(folder=str(Path(__file__).parent))],
        stdout=subprocess.PIPE,
        text=True,
    )
    with trainer:
        assert trainer.stdout is not None
        workers = [int(word) for word in trainer.stdout.readline().split()]
        assert len(workers) == 2
        try:
            yield trainer, workers
        finally:
            trainer.kill()


def test_trap_28_workers_end_when_the_trainer_is_killed() -> None:
    with training() as (trainer, workers):
        trainer.kill()
    deadline = time.monotonic() + 10.0
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its trainer"
        time.sleep(0.05)


def test_trap_36_what_processes_share_has_no_name_that_outlives_them() -> None:
    with training() as (trainer, workers):
        maps = [Path(f"/proc/{process}/maps").read_text().splitlines() for process in (trainer.pid, *workers)]
    # Memory that is written to and shared with others, "rw-s", by its name in the file system.
    mappings = [line.split(maxsplit=5) for lines in maps for line in lines]
    assert {fields[5] for fields in mappings if fields[1] == "rw-s"} == {"/memfd:triax (deleted)"}


def test_trap_30_workers_that_wait_long_for_the_trainer_are_spoken_for(capfd: pytest.CaptureFixture[str]) -> None:
    supervision = SupervisionConfig(patience_seconds=0.5)
    config = RolloutConfig(backend="processes", supervision=supervision)
    with running(diary_fleet(config=config)) as fleet:
        fleet.collect(minimum=4)
        fleet.collect(minimum=4)
        assert "workers had to wait" not in capfd.readouterr().err
        time.sleep(0.6)
        fleet.collect(minimum=4)
    assert "workers had to wait: for 1 s the trainer was learning, evaluating, saving" in capfd.readouterr().err

"""The local pool, with small programs in the place of training."""

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from launch_helpers import small_jobs, wait_until

import triax
from triax.launch import Job, LaunchError
from triax.launch.pool import JobProcess, run_pool
from triax.launch.resources import Cores, cores_of, slots
from triax.training.interrupts import StopRequest


class Seen:
    """Writes down what the pool says."""

    def __init__(self, stop: StopRequest | None = None, *, stop_after: int = 99) -> None:
        self.events: list[tuple[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.codes: dict[str, int] = {}
        self._stop, self._stop_after = stop, stop_after

    def began(self, job: Job) -> None:
        self.events.append(("began", job.name))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)

    def ended(self, job: Job, *, exit_code: int) -> None:
        self.events.append(("ended", job.name))
        self.at_once -= 1
        self.codes[job.name] = exit_code

    def refresh(self) -> None:
        if self._stop is not None and len(self.events) >= self._stop_after:
            self._stop.interrupted = True

    def ending(self, running: int) -> None:
        self.events.append(("ending", str(running)))


def run(tmp_path: Path, *, jobs: int, places: Sequence[Cores], shell: str, seen: Seen, stop: StopRequest) -> None:
    run_pool(
        jobs=small_jobs(tmp_path, jobs=jobs),
        slots=places,
        command=lambda job: ["sh", "-c", shell, "sh", job.name],
        log=lambda job: tmp_path / f"{job.name}.log",
        view=seen,
        stop=stop,
    )


def test_as_many_at_once_as_there_are_places_in_order(tmp_path: Path) -> None:
    seen = Seen()
    shell = '[ "$1" = job-1 ] && { echo no >&2; exit 3; }; sleep 0.3; echo "$1"'
    run(tmp_path, jobs=5, places=[frozenset()] * 2, shell=shell, seen=seen, stop=StopRequest())
    assert seen.most_at_once == 2
    assert [name for what, name in seen.events if what == "began"] == [f"job-{number}" for number in range(5)]
    assert seen.codes == {"job-0": 0, "job-1": 3, "job-2": 0, "job-3": 0, "job-4": 0}
    assert (tmp_path / "job-1.log").read_text() == "no\n"
    assert (tmp_path / "job-4.log").read_text() == "job-4\n"


def test_each_is_kept_to_its_cores(tmp_path: Path) -> None:
    free = sorted(os.sched_getaffinity(0))
    shell = f'exec "{sys.executable}" -c "import os; print(sorted(os.sched_getaffinity(0)))"'
    run(tmp_path, jobs=1, places=[frozenset(free[-1:])], shell=shell, seen=Seen(), stop=StopRequest())
    assert (tmp_path / "job-0.log").read_text() == f"[{free[-1]}]\n"
    assert sorted(os.sched_getaffinity(0)) == free


def test_asked_to_end_it_begins_nothing_more_and_asks_each_once(tmp_path: Path) -> None:
    stop = StopRequest()
    seen = Seen(stop, stop_after=2)
    shell = 'trap "echo asked; sleep 0.3; exit 130" TERM; while :; do sleep 0.05; done'
    run(tmp_path, jobs=4, places=[frozenset()] * 2, shell=shell, seen=seen, stop=stop)
    assert [what for what, _ in seen.events] == ["began", "began", "ending", "ended", "ended"]
    assert set(seen.codes.values()) <= {130, -signal.SIGTERM}  # the latter if its trap was not set yet


def test_a_second_interruption_kills(tmp_path: Path) -> None:
    class Impatient(Seen):
        def ending(self, running: int) -> None:
            raise KeyboardInterrupt

    stop = StopRequest()
    seen = Impatient(stop, stop_after=1)
    started = time.monotonic()
    shell = f'trap "" TERM; echo $$ >{tmp_path}/pid; while :; do sleep 0.05; done'
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, jobs=1, places=[frozenset()], shell=shell, seen=seen, stop=stop)
    assert time.monotonic() - started < 20
    if (tmp_path / "pid").exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_trap_28_a_job_sees_that_its_launch_is_dead(tmp_path: Path) -> None:
    (job,) = small_jobs(tmp_path, jobs=1)
    log = tmp_path / "log"
    command = ["sh", "-c", "echo began; cat; echo ended"]
    process = JobProcess(job=job, command=command, log=log, cores=frozenset())
    wait_until(lambda: log.read_text() == "began\n", seconds=300, what="its beginning")
    time.sleep(0.3)
    assert process.exit_code() is None
    process.close()  # as the kernel does when the launch dies
    wait_until(lambda: process.exit_code() is not None, seconds=300, what="its end")
    assert log.read_text() == "began\nended\n"


def test_cores_are_divided_among_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(2, 10)))
    monkeypatch.setattr("triax.launch.resources.available_bytes", lambda: 5_000_000_000)
    assert slots(cores=3, memory_gb=None, jobs=None) == (frozenset({2, 3, 4}), frozenset({5, 6, 7}))
    assert slots(cores=1, memory_gb=2.0, jobs=None) == (frozenset({2}), frozenset({3}))
    assert slots(cores=3, memory_gb=None, jobs=4) == (frozenset(),) * 4
    assert slots(cores=9, memory_gb=None, jobs=None) == (frozenset(),)
    with pytest.raises(LaunchError, match=r"--memory-gb 6: there are only 4\.66 GiB left"):
        slots(cores=1, memory_gb=6.0, jobs=None)
    with pytest.raises(LaunchError, match="--jobs 0 must be more than 0"):
        slots(cores=1, memory_gb=None, jobs=0)


def test_a_job_takes_a_core_for_each_of_its_processes(tmp_path: Path) -> None:
    first, second = small_jobs(tmp_path, jobs=2)
    assert cores_of([first, second]) == 1
    rollout = triax.RolloutConfig(backend="processes", workers=3)
    beside = dataclasses.replace(second, experiment=dataclasses.replace(second.experiment, rollout=rollout))
    assert cores_of([first, beside]) == 4

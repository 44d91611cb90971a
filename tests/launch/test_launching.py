"""Launches on this machine as a user meets them, with real training: killed, interrupted, failing in parts."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from launch_helpers import call, checkpoints, states, wait_until, write_sweep

from triax.launch.folder import LaunchFolder


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said, _ = process.communicate(timeout=900)
    return process.returncode, said


def lives(folder: LaunchFolder, *, jobs: int) -> list[int]:
    return [state.lives for state in states(folder, jobs=jobs)]


@pytest.mark.slow
def test_killed_in_the_middle_a_second_call_finishes_the_rest(tmp_path: Path) -> None:
    script, folder = write_sweep(place=tmp_path, jobs=3), LaunchFolder(tmp_path / "f")
    slow = tmp_path / "job-1.slow"
    slow.write_text("0.2")
    first = call(script, "run", "--folder", "f", "--jobs", "1")
    wait_until(lambda: checkpoints(folder, "job-1") - {0}, seconds=600, what="a checkpoint of job-1")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    # The job sees that, and ends with a checkpoint; no orphan goes on.
    wait_until(lambda: not folder.is_run("job-1"), seconds=120, what="the end of job-1")
    assert [state.state for state in states(folder, jobs=3)] == ["done", "pending", "pending"]
    reached = max(checkpoints(folder, "job-1"))
    assert 0 < reached < 200

    slow.unlink()
    code, said = finish(call(script, "run", "--folder", "f", "--jobs", "1"))
    assert code == 0, said
    assert [state.state for state in states(folder, jobs=3)] == ["done"] * 3
    assert lives(folder, jobs=3) == [1, 2, 1]
    assert "job-0: " not in said
    assert f"resumed from checkpoint {reached}" in folder.log_path("job-1").read_text()

    code, said = finish(call(script, "collect", "--folder", "f"))
    assert code == 0, said
    assert len((folder.results_path / "evaluations.csv").read_text().splitlines()) == 1 + 3 * 3


@pytest.mark.slow
def test_a_failed_job_is_shown_and_the_rest_goes_on(tmp_path: Path) -> None:
    script, folder = write_sweep(place=tmp_path, jobs=2), LaunchFolder(tmp_path / "f")
    broken = tmp_path / "job-0.broken"
    broken.touch()
    code, said = finish(call(script, "run", "--folder", "f", "--jobs", "1"))
    assert code == 1, said
    assert 'raise RuntimeError(f"{self._broken.name} is broken")' in said
    assert "RuntimeError: job-0.broken is broken" in said
    assert "failed: job-0; when this is mended:" in said
    assert [state.state for state in states(folder, jobs=2)] == ["failed", "done"]

    broken.unlink()
    code, said = finish(call(script, "run", "--folder", "f", "--retry-failed"))
    assert code == 0, said
    assert lives(folder, jobs=2) == [2, 1]


@pytest.mark.slow
def test_interrupted_all_running_jobs_end_with_checkpoints(tmp_path: Path) -> None:
    script, folder = write_sweep(place=tmp_path, jobs=3), LaunchFolder(tmp_path / "f")
    for number in range(3):
        (tmp_path / f"job-{number}.slow").write_text("0.2")
    process = call(script, "run", "--folder", "f", "--jobs", "2")
    wait_until(
        lambda: all(checkpoints(folder, f"job-{number}") - {0} for number in range(2)),
        seconds=600,
        what="checkpoints of both",
    )
    time.sleep(1.0)  # some steps after the checkpoint
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    code, said = finish(process)
    assert code == 130, said
    assert re.search(r"\ninterrupted by SIGINT; go on with: \S*python\S* small_sweep.py run --folder f$", said.rstrip())
    assert [(state.state, state.lives) for state in states(folder, jobs=3)] == [
        ("pending", 1),
        ("pending", 1),
        ("pending", 0),
    ]
    for number in range(2):
        reached = max(checkpoints(folder, f"job-{number}"))
        # The last line of progress says how far it came.
        assert f"small: {reached} / 200 steps" in folder.log_path(f"job-{number}").read_text()
    assert not folder.run_path("job-2").exists()

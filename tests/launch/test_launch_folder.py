"""The folder of a launch: files that people can read, and who may write them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from launch_helpers import prepared_folder

from triax.launch import FolderInUse, LaunchError
from triax.launch.folder import JobState, LaunchFolder

HOLDS = """
import fcntl, os, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(f"process {os.getpid()} on this machine", file=file, flush=True)
print("held", flush=True)
time.sleep(60)
"""


def test_a_state_is_a_small_file_that_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    state = JobState(state="failed", error=("Traceback", "ValueError: no"), lives=2, slurm="12_3")
    state.write(path)
    document = json.loads(path.read_text())
    assert (document["state"], document["error"]) == ("failed", ["Traceback", "ValueError: no"])
    read = JobState.read(path)
    assert (read.state, read.error, read.lives, read.slurm) == ("failed", state.error, 2, "12_3")
    assert read.changed
    assert JobState.read(tmp_path / "none.json") == JobState()


@pytest.mark.parametrize("content", ["", "[]", '{"state": "lost"}', '{"stat": "done"}'])
def test_a_file_that_is_no_state_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(LaunchError, match=r"a\.json"):
        JobState.read(path)


def test_two_launches_into_one_folder_are_refused_with_who_holds_it(tmp_path: Path) -> None:
    folder = prepared_folder(tmp_path)
    with (
        folder.lock(),
        pytest.raises(FolderInUse, match=f"in use by another launch, process {os.getpid()} on .*--folder"),
        LaunchFolder(tmp_path).lock(),
    ):
        pass
    with folder.lock():
        pass


def test_a_job_is_run_by_one_process_and_its_death_is_seen(tmp_path: Path) -> None:
    folder = prepared_folder(tmp_path)
    assert not folder.is_run("a")
    lock = tmp_path / "jobs" / ".a.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert folder.is_run("a")
        with (
            pytest.raises(FolderInUse, match=f"job 'a' is run by process {holder.pid}"),
            folder.lock_job("a", wait_seconds=0.3),
        ):
            pass
        threading.Timer(0.5, holder.kill).start()
        with folder.lock_job("a", wait_seconds=30.0):
            assert folder.is_run("a")
    assert not folder.is_run("a")

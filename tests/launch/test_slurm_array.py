"""A job array on a real Slurm of one node; left out where there is none."""

import csv
import shutil
import subprocess
from pathlib import Path

import pytest
from launch_helpers import call, checkpoints, states, wait_until, write_sweep

from triax.launch.folder import LaunchFolder
from triax.launch.submissions import read_submissions

JOBS = 12
TIME_LIMIT, CANCELLED, WARNED = "job-0", "job-1", "job-2"


def missing_slurm() -> str | None:
    for command in ("sbatch", "srun", "sinfo", "squeue", "scontrol", "scancel"):
        if shutil.which(command) is None:
            return f"no Slurm: {command} is not in PATH"
    try:
        asked = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "no Slurm: sinfo does not answer"
    if asked.returncode != 0 or not set(asked.stdout.split()) & {"idle", "mix", "alloc"}:
        return f"no Slurm that takes jobs: {(asked.stdout + asked.stderr).strip()}"
    return None


@pytest.fixture
def slurm() -> None:
    """Skips a test where there is no Slurm, and says why."""
    reason = missing_slurm()
    if reason is not None:
        pytest.skip(reason)
    pytest.importorskip("submitit", reason="submitit is not installed")


def submit(script: Path) -> str:
    # No warning before the time limit: the job is to run into it.
    process = call(script, "slurm", "--folder", "f", "--minutes", "2", "--grace-seconds", "0")
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return str(said)


def slurm_says(number: str) -> str:
    return subprocess.run(["scontrol", "show", "job", number], capture_output=True, text=True, check=False).stdout


def wait_for_checkpoint(folder: LaunchFolder, name: str) -> None:
    wait_until(lambda: checkpoints(folder, name) - {0}, seconds=240, what=f"a checkpoint of {name}")


@pytest.mark.slow
def test_what_was_cut_off_is_resumed_and_nothing_repeated(slurm: None, tmp_path: Path) -> None:
    script, folder = write_sweep(place=tmp_path, jobs=JOBS), LaunchFolder(tmp_path / "f")
    for name in (TIME_LIMIT, CANCELLED, WARNED):
        (tmp_path / f"{name}.slow").write_text("1.0")
    assert f"submitted {JOBS} jobs" in submit(script)
    numbers = read_submissions(folder)
    try:
        for name, command in ((CANCELLED, ["scancel"]), (WARNED, ["scancel", "--signal=USR2"])):
            wait_for_checkpoint(folder, name)
            # Its exit code is no guide: where Slurm is busy it asks again, and fails if the job has ended meanwhile.
            subprocess.run([*command, numbers[name]], check=False)
        wait_until(
            lambda: [state.state for state in states(folder, jobs=JOBS)] == ["pending"] * 3 + ["done"] * 9,
            seconds=600,
            what="the end of all others",
        )
        wait_until(lambda: "COMPLETING" not in slurm_says(numbers[TIME_LIMIT]), seconds=300, what="the end at Slurm")
        assert "JobState=TIMEOUT" in slurm_says(numbers[TIME_LIMIT])
        assert "JobState=CANCELLED" in slurm_says(numbers[CANCELLED])
        reached = {name: max(checkpoints(folder, name)) for name in (TIME_LIMIT, CANCELLED, WARNED)}
        assert all(0 < steps < 200 for steps in reached.values())
        assert [state.lives for state in states(folder, jobs=JOBS)] == [1] * JOBS

        for name in reached:
            (tmp_path / f"{name}.slow").unlink()
        assert "submitted 3 jobs" in submit(script)
        assert "submitted" not in submit(script)  # They are Slurm's already.
        wait_until(
            lambda: [state.state for state in states(folder, jobs=JOBS)] == ["done"] * JOBS,
            seconds=240,
            what="the end of those that were cut off",
        )
    finally:
        subprocess.run(["scancel", *read_submissions(folder).values()], check=False)
    assert [state.lives for state in states(folder, jobs=JOBS)] == [2] * 3 + [1] * 9
    for name, steps in reached.items():
        assert f"resumed from checkpoint {steps}" in folder.log_path(name).read_text()

    process = call(script, "collect", "--folder", "f")
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    rows = list(csv.DictReader((folder.results_path / "evaluations.csv").read_text().splitlines()))
    assert sorted((row["job"], int(row["environment_steps"])) for row in rows) == sorted(
        (f"job-{number}", steps) for number in range(JOBS) for steps in (0, 100, 200)
    )
    assert (folder.results_path / "returns.png").stat().st_size > 1000

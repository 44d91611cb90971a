"""How jobs stand: a file that says "running" is believed only if something lives."""

import dataclasses
from pathlib import Path

import pytest
from launch_helpers import fake_command, make_run, prepared_folder, small_jobs

from triax.launch import LaunchError, SlurmError
from triax.launch.folder import JobState, LaunchFolder
from triax.launch.submissions import read_submissions, write_submission
from triax.launch.survey import survey

JOBS = 3


@pytest.fixture
def folder(tmp_path: Path) -> LaunchFolder:
    return prepared_folder(tmp_path / "launch")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, but for the shell's own commands."""
    place = tmp_path / "bin"
    place.mkdir()
    for name in ("cat", "echo"):
        fake_command(place=place, name=name, script=f'exec /bin/{name} "$@"')
    monkeypatch.setenv("PATH", str(place))
    return place


def stand(folder: LaunchFolder, tmp_path: Path) -> list[tuple[str, str, bool]]:
    standings = survey(folder=folder, jobs=small_jobs(tmp_path, jobs=JOBS))
    return [(it.state.state, it.state.note, it.is_missing) for it in standings]


def test_a_running_job_without_a_process_is_pending(folder: LaunchFolder, tmp_path: Path) -> None:
    JobState(state="running", lives=1).write(folder.state_path("job-0"))
    JobState(state="running", lives=1).write(folder.state_path("job-1"))
    JobState(state="done", lives=1).write(folder.state_path("job-2"))
    with folder.lock_job("job-1", wait_seconds=0.0):
        assert stand(folder, tmp_path) == [
            ("pending", "its process died", True),
            ("running", "", True),
            ("done", "", False),
        ]
    assert stand(folder, tmp_path)[1] == ("pending", "its process died", True)


def test_failed_jobs_are_not_missing(folder: LaunchFolder, tmp_path: Path) -> None:
    JobState(state="failed", error=("no",)).write(folder.state_path("job-0"))
    assert [missing for _, _, missing in stand(folder, tmp_path)] == [False, True, True]


def test_what_slurm_has_is_left_to_it(folder: LaunchFolder, tmp_path: Path, commands: Path) -> None:
    write_submission(folder=folder, numbers={f"job-{number}": f"70_{number}" for number in range(JOBS)})
    JobState(state="running", lives=1, slurm="70_0").write(folder.state_path("job-0"))
    JobState(state="running", lives=1, slurm="70_1").write(folder.state_path("job-1"))
    fake_command(
        place=commands, name="squeue", script=f'echo "$@" >{tmp_path}/asked; echo "70_0|RUNNING\n70_2|PENDING"'
    )
    fake_command(place=commands, name="sacct", script='echo "70_1|TIMEOUT"')
    assert stand(folder, tmp_path) == [
        ("running", "Slurm job 70_0: running", False),
        ("pending", "its process died (Slurm: timeout)", True),
        ("pending", "Slurm job 70_2: pending", False),
    ]
    assert "--jobs=70" in (tmp_path / "asked").read_text()


def test_without_accounting_a_job_that_is_gone_was_cut_off(
    folder: LaunchFolder, tmp_path: Path, commands: Path
) -> None:
    write_submission(folder=folder, numbers={"job-0": "70_0"})
    JobState(state="running", lives=1, slurm="70_0").write(folder.state_path("job-0"))
    fake_command(
        place=commands, name="squeue", script="echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
    )
    assert stand(folder, tmp_path)[0] == ("pending", "its process died", True)
    fake_command(place=commands, name="sacct", script="echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert stand(folder, tmp_path)[0] == ("pending", "its process died", True)


def test_where_nobody_can_tell_nothing_is_started_twice(folder: LaunchFolder, tmp_path: Path, commands: Path) -> None:
    write_submission(folder=folder, numbers={"job-0": "70_0"})
    assert stand(folder, tmp_path)[0] == ("pending", "Slurm job 70_0: there is no Slurm here to ask", False)
    fake_command(place=commands, name="squeue", script="echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(SlurmError, match=r"squeue does not say .*Unable to contact"):
        stand(folder, tmp_path)


def test_a_job_that_began_with_other_settings_is_refused(folder: LaunchFolder, tmp_path: Path) -> None:
    job, *_ = small_jobs(tmp_path, jobs=1)
    make_run(folder=folder, job=job, means=[0.0])
    (standing,) = survey(folder=folder, jobs=[job])
    assert standing.has_begun
    changed = dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, total_steps=300))
    with pytest.raises(
        LaunchError, match=r"'job-0' has begun with other settings: experiment\.total_steps was 200 and is"
    ):
        survey(folder=folder, jobs=[changed])


def test_the_last_submission_counts(folder: LaunchFolder) -> None:
    write_submission(folder=folder, numbers={"job-0": "9_0", "job-1": "9_1"})
    write_submission(folder=folder, numbers={"job-1": "10"})
    assert read_submissions(folder) == {"job-0": "9_0", "job-1": "10"}
    (folder.slurm_path / "11.json").write_text("{}")
    with pytest.raises(LaunchError, match=r"11\.json"):
        read_submissions(folder)

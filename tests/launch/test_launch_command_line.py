"""The command line of a file of many experiments: what is said, and the exit code."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launch_helpers import make_run, small_jobs

from triax import launch
from triax.launch.folder import JobState, LaunchFolder


def jobs() -> Iterator[launch.Job]:
    """Yield what ``small_jobs`` makes here."""
    yield from small_jobs(Path.cwd(), jobs=3)


def twins() -> Iterator[launch.Job]:
    """Yield a job twice."""
    yield from (*small_jobs(Path.cwd(), jobs=1), *small_jobs(Path.cwd(), jobs=1))


class Outcome:
    """What a command said."""

    def __init__(self, *, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a command in an empty folder, where there is no Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")

    def command(*arguments: str, function: Callable[[], Iterator[launch.Job]] = jobs) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sweep.py", *arguments])
        with pytest.raises(SystemExit) as end:
            launch.main(jobs=function)
        captured = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Outcome(code=end.value.code, out=captured.out, err=captured.err)

    return command


@pytest.mark.parametrize("command", ["run", "slurm"])
def test_a_dry_run_says_what_would_be_done_and_does_nothing(command: str, run: Callable[..., Outcome]) -> None:
    folder = LaunchFolder(Path("f"))
    said = run(command, "--folder", "f", "--dry-run")
    assert said.code == 0, said.err
    assert "start job-0 (even)\nstart job-1 (odd)\nstart job-2 (even)\n" in said.out
    assert not folder.path.exists()
    make_run(folder=folder, job=small_jobs(Path.cwd(), jobs=1)[0], means=[0.0])
    folder.state_path("a").parent.mkdir()
    JobState(state="running", lives=1).write(folder.state_path("job-0"))
    JobState(state="done", lives=1).write(folder.state_path("job-1"))
    JobState(state="failed", lives=1).write(folder.state_path("job-2"))
    said = run(command, "--folder", "f", "--dry-run")
    assert said.out.startswith("resume job-0 (even)\n3 jobs: 1 pending, 1 done, 1 failed; 1 to be started or resumed\n")
    assert "start job-2" in run(command, "--folder", "f", "--dry-run", "--retry-failed").out
    assert JobState.read(folder.state_path("job-0")).state == "running"


def test_each_mistake_is_one_message(run: Callable[..., Outcome]) -> None:
    for words, function, message in (
        (("run", "--folder", "f"), twins, "two jobs have the name 'job-0'"),
        (("slurm", "--folder", "f"), jobs, "there is no Slurm on this machine"),
        (("collect", "--folder", "f"), jobs, "has been evaluated yet"),
    ):
        said = run(*words, function=function)
        assert said.code == 1
        assert said.err.startswith("\nerror: ")
        assert message in said.err
        assert len(said.err.strip().splitlines()) == 1
    # Nothing is written down as submitted, either.
    assert not list(Path("f/slurm").iterdir())
    assert run("run", "--no-such-option").code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--cores", "-2"), "--cores -2 must be more than 0"),
        (("run", "--cores", "0"), "--cores 0 must be more than 0"),
        (("slurm", "--minutes", "0"), "--minutes 0 must be more than 0"),
        (("slurm", "--memory-gb", "-1"), "--memory-gb -1.0 must be more than 0"),
    ],
)
def test_values_out_of_range_are_wrong_usage(words: tuple[str, ...], message: str, run: Callable[..., Outcome]) -> None:
    said = run(*words)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_second_launch_into_a_folder_is_refused(run: Callable[..., Outcome]) -> None:
    with LaunchFolder(Path("f")).lock():
        for command in ("run", "slurm"):
            said = run(command, "--folder", "f")
            assert said.code == 1
            assert "f is in use by another launch, process" in said.err
        assert run("status", "--folder", "f").code == 0
    assert not list(Path("f/jobs").iterdir())


def test_status_shows_each_job_and_why_it_failed(run: Callable[..., Outcome]) -> None:
    folder = LaunchFolder(Path("f"))
    with folder.lock():
        JobState(state="failed", error=("  in mine", "ValueError: seven")).write(folder.state_path("job-1"))
    said = run("status", "--folder", "f")
    assert said.code == 0
    assert "job-0: pending, 0 / 200 steps" in said.out
    assert "job-1: failed, 0 / 200 steps, ValueError: seven" in said.out
    assert "3 jobs: 2 pending, 1 failed" in said.out
    assert "f/logs/job-1.log" in said.out


def test_the_folder_is_named_after_the_file(run: Callable[..., Outcome]) -> None:
    assert f"in runs/{Path(__file__).stem}." in run("run", "--dry-run").out


def test_submitit_and_pyarrow_are_imported_when_they_are_needed() -> None:
    code = "import sys, triax, triax.launch; assert not {'submitit', 'pyarrow', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

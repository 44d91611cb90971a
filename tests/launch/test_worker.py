"""The process of a job, without the process."""

import dataclasses
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from launch_helpers import prepared_folder, write_sweep

import triax
from triax.launch import Sweep
from triax.launch.arguments import WorkerArguments
from triax.launch.folder import JobState, LaunchFolder
from triax.launch.worker import run_job


@pytest.fixture
def folder(tmp_path: Path) -> LaunchFolder:
    return prepared_folder(tmp_path / "launch")


@pytest.fixture
def arguments(tmp_path: Path, folder: LaunchFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerArguments]:
    """Those of job-1."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sweeps.small", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)}
    sweep = Sweep(script=write_sweep(place=tmp_path, jobs=2), function="sweeps.small:jobs")
    yield WorkerArguments(sweep=sweep, name="job-1", digest=sweep.load()[1].digest(), folder=folder.path)
    del sys.modules["sweeps.small"]
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_arguments_come_back_from_their_words(arguments: WorkerArguments) -> None:
    told = dataclasses.replace(arguments, allow_changed_source=True, lifeline=True)
    for each in (arguments, told):
        assert each.command()[1:4] == ["-u", "-m", "triax.launch.worker"]
        assert WorkerArguments.parse(each.command()[4:]) == each


class Training:
    """Stands in for training: writes down what is asked of it, and ends as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.error: BaseException | None = None
        monkeypatch.setattr("triax.launch.worker.train", self.train)
        monkeypatch.setattr("triax.launch.worker.resume", self.resume)

    def train(self, *, experiment: triax.Experiment, run_directory: Path) -> None:
        self.asked.append(f"train {experiment.seed}")
        run_directory.mkdir()
        (run_directory / "experiment.json").touch()
        if self.error is not None:
            raise self.error

    def resume(self, *, run_directory: Path, allow_changed_source: bool) -> None:
        self.asked.append(f"resume {run_directory.name}{' changed' if allow_changed_source else ''}")
        if self.error is not None:
            raise self.error


def fail() -> None:
    """Fail as an environment of a user's does, two functions down."""
    try:
        raise RuntimeError("it is broken")
    except RuntimeError as cause:
        raise ValueError("an environment has failed") from cause


def test_begun_cut_off_failed_resumed_done_and_not_repeated(
    arguments: WorkerArguments,
    folder: LaunchFolder,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    training = Training(monkeypatch)
    path = folder.state_path("job-1")

    training.error = triax.TrainingInterrupted("interrupted by SIGTERM")
    assert run_job(arguments) == 130
    state = JobState.read(path)
    assert (state.state, state.note, state.lives) == ("pending", "was asked to end", 1)

    with pytest.raises(ValueError, match="an environment") as raised:
        fail()
    training.error = raised.value
    assert run_job(arguments) == 1
    state = JobState.read(path)
    assert (state.state, state.lives) == ("failed", 2)
    # Where it came from, and what became of it.
    assert any("test_worker.py" in line and "in fail" in line for line in state.error)
    assert state.error[-2:] == ("RuntimeError: it is broken", "ValueError: an environment has failed")
    assert "Traceback" in capfd.readouterr().err

    training.error = None
    assert run_job(dataclasses.replace(arguments, allow_changed_source=True)) == 0
    state = JobState.read(path)
    assert (state.state, state.lives, state.error) == ("done", 3, ())

    assert run_job(arguments) == 0
    assert training.asked == ["train 1", "resume job-1", "resume job-1 changed"]
    assert JobState.read(path).lives == 3


def test_what_it_is_at_slurm_is_written_down(
    arguments: WorkerArguments, folder: LaunchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    Training(monkeypatch)
    for name, value in (("JOB_ID", "73"), ("ARRAY_JOB_ID", "70"), ("ARRAY_TASK_ID", "3")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert run_job(arguments) == 0
    assert JobState.read(folder.state_path("job-1")).slurm == "70_3"


@pytest.mark.parametrize(
    ("name", "digest", "message"),
    [("job-1", "0" * 64, "another experiment under this name"), ("job-9", "", "no job of this name any more")],
)
def test_a_file_that_was_changed_since_the_launch_is_refused(
    name: str, digest: str, message: str, arguments: WorkerArguments, folder: LaunchFolder
) -> None:
    assert run_job(dataclasses.replace(arguments, name=name, digest=digest)) == 1
    assert message in JobState.read(folder.state_path(name)).error[-1]
    assert not folder.run_path(name).exists()

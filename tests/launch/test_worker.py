"""The process of a job, without the process."""

import dataclasses
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from launch_helpers import checkpoints, prepared_folder, write_sweep

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


def test_a_failure_is_written_down_and_tried_again_from_its_checkpoint(
    arguments: WorkerArguments, folder: LaunchFolder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "job-1.broken"
    broken.touch()
    assert run_job(arguments) == 1
    state = JobState.read(folder.state_path("job-1"))
    assert (state.state, state.lives) == ("failed", 1)
    # Where it came from, in the user's own file, and what became of it.
    assert any("launch_helpers.py" in line for line in state.error)
    assert any(line == "RuntimeError: job-1.broken is broken" for line in state.error)
    assert "EnvironmentFailed" in state.error[-1]
    assert "Traceback" in capfd.readouterr().err

    broken.unlink()
    assert run_job(arguments) == 0
    state = JobState.read(folder.state_path("job-1"))
    assert (state.state, state.lives, state.error) == ("done", 2, ())
    assert 200 in checkpoints(folder, "job-1")

    before = sorted((path, path.stat().st_mtime_ns) for path in folder.run_path("job-1").rglob("*"))
    assert run_job(arguments) == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.run_path("job-1").rglob("*")) == before
    assert JobState.read(folder.state_path("job-1")).lives == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"digest": "0" * 64}, "another experiment under this name"), ({"name": "job-9"}, "no job of this name any more")],
)
def test_a_file_that_was_changed_since_the_launch_is_refused(
    changed: dict[str, str], message: str, arguments: WorkerArguments, folder: LaunchFolder
) -> None:
    name = changed.get("name", "job-1")
    assert run_job(dataclasses.replace(arguments, **changed)) == 1
    assert message in JobState.read(folder.state_path(name)).error[-1]
    assert not folder.run_path(name).exists()

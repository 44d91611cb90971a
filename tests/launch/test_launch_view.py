"""What is shown of many jobs: one table on a terminal, plain lines elsewhere."""

import io
from pathlib import Path

import pytest
from launch_helpers import make_run, prepared_folder, small_jobs
from rich.console import Console

from triax.launch.folder import JobState, LaunchFolder
from triax.launch.progress import JobProgress, Line, make_table, read_progress
from triax.launch.survey import survey
from triax.launch.view import TerminalView


@pytest.fixture
def folder(tmp_path: Path) -> LaunchFolder:
    return prepared_folder(tmp_path / "launch")


def printed(*lines: Line, height: int | None = None) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(make_table(lines, height=height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line(name: str, state: str, *, steps: int = 0) -> Line:
    progress = JobProgress(steps=steps, latest_return=-12.5, seconds_left=90.0)
    return Line(name=name, state=state, note="", progress=progress, total=200)


def test_progress_is_read_from_the_logs(folder: LaunchFolder, tmp_path: Path) -> None:
    (job,) = small_jobs(tmp_path, jobs=1)
    assert read_progress(folder=folder, job=job) == JobProgress()
    make_run(folder=folder, job=job, means=[1.0, 3.0])
    # 100 of 200 steps took two seconds.
    assert read_progress(folder=folder, job=job) == JobProgress(steps=100, latest_return=3.0, seconds_left=2.0)


def test_one_table_of_all(tmp_path: Path) -> None:
    text = printed(line("a", "running", steps=1100), line("b", "done"), line("c", "failed"))
    (row,) = (row for row in text.splitlines() if row.startswith("a "))
    assert row.split() == ["a", "running", "1,100", "/", "200", "-12.5", "1", "min", "30", "s"]
    assert "3 jobs: 1 running, 1 done, 1 failed" in text


def test_where_there_is_no_room_what_runs_and_what_failed_is_shown() -> None:
    lines = [line(f"job-{number}", "done") for number in range(9)] + [line("x", "failed"), line("y", "running")]
    text = printed(*lines, height=3)
    assert [name in text for name in ("x  ", "y  ", "job-0", "job-1")] == [True, True, True, False]
    assert "8 not shown" in text


def view(folder: LaunchFolder, tmp_path: Path, *, terminal: bool) -> tuple[TerminalView, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, height=30)
    standings = survey(folder=folder, jobs=small_jobs(tmp_path, jobs=3))
    return TerminalView(folder=folder, standings=standings, console=console, plain_seconds=0.0), out


@pytest.mark.parametrize("terminal", [False, True])
def test_failed_jobs_are_shown_with_the_last_lines_of_their_tracebacks(
    terminal: bool, folder: LaunchFolder, tmp_path: Path
) -> None:
    shown, out = view(folder, tmp_path, terminal=terminal)
    first, second, third = small_jobs(tmp_path, jobs=3)
    with shown:
        for job in (first, second, third):
            shown.began(job)
        JobState(state="failed", error=('  File "mine.py", line 3', "ValueError: seven")).write(
            folder.state_path("job-0")
        )
        shown.ended(first, exit_code=1)
        JobState(state="done").write(folder.state_path("job-1"))
        shown.ended(second, exit_code=0)
        folder.log_path("job-2").write_text("begun\nlast words\n")
        shown.ended(third, exit_code=-9)
    text = out.getvalue()
    assert (shown.failed, shown.cut_off) == (["job-0"], ["job-2"])
    assert "job-0 failed:" in text
    assert 'File "mine.py", line 3' in text
    assert "ValueError: seven" in text
    assert "job-2 was cut off: killed by SIGKILL" in text
    assert "last words" in text
    if terminal:
        assert "3 jobs: 1 pending, 1 done, 1 failed" in text
    else:
        assert "job-1: done" in text


def test_plain_lines_say_how_far_running_jobs_are(folder: LaunchFolder, tmp_path: Path) -> None:
    shown, out = view(folder, tmp_path, terminal=False)
    first, second, _ = small_jobs(tmp_path, jobs=3)
    make_run(folder=folder, job=second, means=[1.0, 3.0])
    with shown:
        shown.began(first)
        shown.began(second)
        shown.refresh()
    assert "job-1: running, 100 / 200 steps, return 3, 2 s left" in out.getvalue()

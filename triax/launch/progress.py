"""How far a job is, read from the logs in its run directory, and the table that shows all jobs."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from triax.launch.folder import LaunchFolder
from triax.launch.jobs import Job
from triax.launch.survey import Standing
from triax.runs import RunDirectory
from triax.runs.jsonlines import read_last_row
from triax.runs.progress import duration

COLOURS = {"pending": "dim", "running": "cyan", "done": "green", "failed": "red"}
_SHOWN_FIRST = ("running", "failed", "pending", "done")


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobProgress:
    """How far a job is.

    :ivar steps: environment steps so far; updates, where no environment is stepped.
    :ivar latest_return: the mean return of the newest evaluation; None before there is one.
    :ivar seconds_left: at the speed so far; None before it is known.
    """

    steps: int = 0
    latest_return: float | None = None
    seconds_left: float | None = None


def read_progress(*, folder: LaunchFolder, job: Job) -> JobProgress:
    """Read how far a job is.

    :param folder: of the launch.
    :param job: the job.
    :return: its progress.
    :raises LogError: if a log is damaged.
    """
    run = RunDirectory(folder.run_path(job.name))
    metrics: Any = read_last_row(run.metrics_path) or {}
    evaluation: Any = read_last_row(run.evaluations_path) or {}
    newest = max(metrics, evaluation, key=lambda row: row.get("updates", -1))
    if not newest:
        return JobProgress()
    steps = newest["environment_steps"] or newest["updates"]
    rate = steps / newest["wall_seconds"] if newest["wall_seconds"] else 0.0
    return JobProgress(
        steps=steps,
        latest_return=evaluation.get("mean"),
        seconds_left=max(0, job.experiment.total_steps - steps) / rate if rate > 0 else None,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A job as the table shows it.

    :ivar name: of the job.
    :ivar state: pending, running, done or failed.
    :ivar note: a word on it.
    :ivar progress: how far it is.
    :ivar total: how far it is to get.
    """

    name: str
    state: str
    note: str
    progress: JobProgress
    total: int

    @staticmethod
    def of(standing: Standing, *, progress: JobProgress) -> "Line":
        """Describe a job.

        :param standing: how it stands.
        :param progress: how far it is.
        :return: its line.
        """
        state = standing.state
        note = state.error[-1].strip() if state.state == "failed" and state.error else state.note
        if state.state == "pending" and not standing.on_slurm and standing.has_begun:
            note = f"cut off: {note or 'its process died'}"
        return Line(
            name=standing.job.name,
            state=state.state,
            note=note,
            progress=progress,
            total=standing.job.experiment.total_steps,
        )

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """Write the line.

        :return: name, state, steps, return, time left, note.
        """
        steps, latest, left = self.progress.steps, self.progress.latest_return, self.progress.seconds_left
        return (
            self.name,
            self.state,
            f"{steps:,} / {self.total:,}",
            "" if latest is None else f"{latest:.5g}",
            duration(left) if self.state == "running" and left is not None else "",
            self.note,
        )

    def text(self) -> str:
        """Write the line where there is no table.

        :return: one line of text.
        """
        name, state, steps, latest, left, note = self.cells()
        pieces = [f"{steps} steps", f"return {latest}" if latest else "", f"{left} left" if left else "", note]
        return f"{name}: {state}, " + ", ".join(piece for piece in pieces if piece)


def make_table(lines: Sequence[Line], *, height: int | None = None) -> Group:
    """Show jobs in a table.

    :param lines: the jobs.
    :param height: the most lines there is room for; of more jobs, those that run or failed are shown. None shows all.
    :return: the table; below it, how many jobs are in which state.
    """
    shown = list(lines)
    if height is not None and len(shown) > height:
        shown = sorted(shown, key=lambda line: _SHOWN_FIRST.index(line.state))[:height]
    left_out = f"; {len(lines) - len(shown)} not shown" if len(shown) < len(lines) else ""
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("steps", "return"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("time left", justify="right", no_wrap=True)
    table.add_column("", overflow="ellipsis", no_wrap=True)
    for line in shown:
        table.add_row(*line.cells(), style=COLOURS[line.state])
    return Group(table, Text(count_states([line.state for line in lines]) + left_out))


def count_states(states: Sequence[str]) -> str:
    """Count jobs by state.

    :param states: of the jobs.
    :return: for example ``12 jobs: 3 pending, 2 running, 7 done``.
    """
    counts = {state: states.count(state) for state in COLOURS}
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{len(states)} {'job' if len(states) == 1 else 'jobs'}: {words}"

"""Results of all jobs: one table of their evaluations, and a plot of the groups."""

import csv
import dataclasses
import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from triax.launch.errors import LaunchError
from triax.launch.folder import LaunchFolder
from triax.launch.survey import Standing
from triax.runs import GroupSummary, RunDirectory, compare_runs, read_evaluations
from triax.runs.files import write_atomically
from triax.statistics import Statistic


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One evaluation of one job: a row of the table.

    :ivar job: the job's name.
    :ivar group: its group.
    :ivar state: whether the job is done, or what else.
    :ivar experiment: the experiment's name.
    :ivar seed: the experiment's seed.
    :ivar environment_steps: the environment steps that training had taken.
    :ivar updates: the gradient steps that it had taken.
    :ivar wall_seconds: the time that it had taken.
    :ivar episodes: how many were played.
    :ivar mean: their mean undiscounted return.
    :ivar interval_low: the lower end of the mean's 95 % interval.
    :ivar interval_high: its upper end.
    """

    job: str
    group: str
    state: str
    experiment: str
    seed: int
    environment_steps: int
    updates: int
    wall_seconds: float
    episodes: int
    mean: float
    interval_low: float
    interval_high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collected:
    """What was collected.

    :ivar files: that were written.
    :ivar groups: a summary of each group of jobs that are done.
    :ivar notes: what is missing, and why.
    """

    files: tuple[Path, ...]
    groups: tuple[GroupSummary, ...]
    notes: tuple[str, ...]


def collect(*, folder: LaunchFolder, standings: Sequence[Standing], statistic: Statistic = "iqm") -> Collected:
    """Write the table of all evaluations so far, and the plot of the jobs that are done.

    :param folder: of the launch.
    :param standings: the jobs.
    :param statistic: how the jobs of a group are averaged.
    :return: what was written.
    :raises LaunchError: if there are no evaluations yet.
    :raises LogError: if a log is damaged, or the jobs of a group have no range of steps in common.
    """
    rows = [row for standing in standings for row in _rows(folder=folder, standing=standing)]
    if not rows:
        raise LaunchError(f"no job in {folder.path} has been evaluated yet.")
    folder.results_path.mkdir(parents=True, exist_ok=True)
    files, notes = [_write_csv(rows, path=folder.results_path / "evaluations.csv")], []
    try:
        files.append(_write_parquet(rows, path=folder.results_path / "evaluations.parquet"))
    except ModuleNotFoundError:
        notes.append("no Parquet file: pyarrow is not installed (pip install 'triax[parquet]')")
    groups: tuple[GroupSummary, ...] = ()
    evaluated = {row.job for row in rows}
    done = [it.job for it in standings if it.state.state == "done" and it.job.name in evaluated]
    if done:
        plot = folder.results_path / "returns.png"
        groups = compare_runs(
            [RunDirectory.open(folder.run_path(job.name)) for job in done],
            labels=[job.group for job in done],
            statistic=statistic,
            output=plot,
        )
        files.append(plot)
    if len(done) < len(standings):
        notes.append(f"the plot shows {len(done)} of {len(standings)} jobs: the others are not done")
    return Collected(files=tuple(files), groups=groups, notes=tuple(notes))


def _rows(*, folder: LaunchFolder, standing: Standing) -> list[ResultRow]:
    job = standing.job
    return [
        ResultRow(
            job=job.name,
            group=job.group,
            state=standing.state.state,
            experiment=job.experiment.name,
            seed=job.experiment.seed,
            environment_steps=row.environment_steps,
            updates=row.updates,
            wall_seconds=row.wall_seconds,
            episodes=row.episodes,
            mean=row.mean,
            interval_low=row.interval_low,
            interval_high=row.interval_high,
        )
        for row in read_evaluations(RunDirectory(folder.run_path(job.name)))
    ]


def _write_csv(rows: Sequence[ResultRow], *, path: Path) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, fieldnames=[field.name for field in dataclasses.fields(ResultRow)], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)
    write_atomically(path=path, content=text.getvalue().encode())
    return path


def _write_parquet(rows: Sequence[ResultRow], *, path: Path) -> Path:
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    content = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist([dataclasses.asdict(row) for row in rows]), content)
    write_atomically(path=path, content=content.getvalue())
    return path

"""The table of all evaluations, and the plot of the groups."""

import csv
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from launch_helpers import make_run, prepared_folder, small_jobs

from triax.launch import LaunchError
from triax.launch.collecting import collect
from triax.launch.folder import JobState, LaunchFolder
from triax.launch.survey import Standing, survey
from triax.statistics import bootstrap_band, interquartile_mean

MEANS = {"job-0": [0.0, 8.0], "job-1": [1.0, 3.0], "job-2": [2.0, 4.0], "job-3": [5.0]}


@pytest.fixture
def folder(tmp_path: Path) -> LaunchFolder:
    return prepared_folder(tmp_path / "launch")


def standings(folder: LaunchFolder, tmp_path: Path) -> tuple[Standing, ...]:
    jobs = small_jobs(tmp_path, jobs=5)
    for job in jobs[:4]:
        make_run(folder=folder, job=job, means=MEANS[job.name])
        JobState(state="pending" if job.name == "job-3" else "done", lives=1).write(folder.state_path(job.name))
    return survey(folder=folder, jobs=jobs)


def test_the_table_has_every_evaluation_and_the_plot_the_groups_of_what_is_done(
    folder: LaunchFolder, tmp_path: Path
) -> None:
    collected = collect(folder=folder, standings=standings(folder, tmp_path))
    assert [path.name for path in collected.files] == ["evaluations.csv", "evaluations.parquet", "returns.png"]
    rows = list(csv.DictReader(collected.files[0].read_text().splitlines()))
    assert [(row["job"], float(row["mean"])) for row in rows] == [
        (name, mean) for name, means in MEANS.items() for mean in means
    ]
    assert rows[1] == {
        "job": "job-0", "group": "even", "state": "done", "experiment": "small", "seed": "0",
        "environment_steps": "100", "updates": "80", "wall_seconds": "2.0", "episodes": "1",
        "mean": "8.0", "interval_low": "7.0", "interval_high": "9.0",
    }  # fmt: skip
    assert rows[-1]["state"] == "pending"
    even, odd = collected.groups
    # Of two seeds a quarter is none, so that nothing is trimmed: (8 + 4) / 2.
    assert (even.group, even.seeds, even.final) == ("even", 2, 6.0)
    band = bootstrap_band([[0.0, 8.0], [2.0, 4.0]])
    assert (even.interval_low, even.interval_high) == (band.low[-1], band.high[-1])
    assert (odd.group, odd.seeds, odd.final, odd.interval_low) == ("odd", 1, 3.0, None)
    assert any("3 of 5 jobs" in note for note in collected.notes)


def test_parquet_says_the_same_as_csv(folder: LaunchFolder, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    collected = collect(folder=folder, standings=standings(folder, tmp_path))
    table = parquet.read_table(collected.files[1]).to_pylist()
    rows = list(csv.DictReader(collected.files[0].read_text().splitlines()))
    assert [{name: str(value) for name, value in row.items()} for row in table] == rows
    assert isinstance(table[0]["seed"], int)


def test_without_pyarrow_there_is_a_table_and_a_word_on_it(
    folder: LaunchFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    collected = collect(folder=folder, standings=standings(folder, tmp_path))
    assert [path.name for path in collected.files] == ["evaluations.csv", "returns.png"]
    assert "triax[parquet]" in collected.notes[0]


def test_the_interquartile_mean_leaves_out_the_best_and_the_worst_of_four(folder: LaunchFolder, tmp_path: Path) -> None:
    jobs = [dataclasses.replace(job, group="all") for job in small_jobs(tmp_path, jobs=4)]
    for job, final in zip(jobs, (-100.0, 1.0, 2.0, 100.0), strict=True):
        make_run(folder=folder, job=job, means=[0.0, final])
        JobState(state="done").write(folder.state_path(job.name))
    found = survey(folder=folder, jobs=jobs)
    assert (
        collect(folder=folder, standings=found).groups[0].final == 1.5 == interquartile_mean([-100.0, 1.0, 2.0, 100.0])
    )
    assert collect(folder=folder, standings=found, statistic="mean").groups[0].final == np.mean(
        [-100.0, 1.0, 2.0, 100.0]
    )


def test_before_the_first_evaluation_there_is_nothing_to_collect(folder: LaunchFolder, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"no job .* has been evaluated yet"):
        collect(folder=folder, standings=survey(folder=folder, jobs=small_jobs(tmp_path, jobs=1)))
    assert not folder.results_path.exists()

"""Plots of runs: which files come out, and that the numbers of a comparison are right."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import imageio.v3
import numpy as np
import pytest

from triax.runs.comparison import GroupSummary, compare_runs
from triax.runs.directory import RunDirectory
from triax.runs.errors import LogError
from triax.runs.logs import RunLogs
from triax.runs.plots import plot_run
from triax.runs.rows import EvaluationRow, MetricsRow


def make_run(
    path: Path, *, name: str, means: Sequence[float], every: int = 10, first: int = 0, updates_only: bool = False
) -> RunDirectory:
    run = RunDirectory.create(path, {"name": name})
    with RunLogs(run) as logs:
        for index, mean in enumerate(means):
            steps = first + every * index
            logs.append_evaluation(
                EvaluationRow(
                    environment_steps=0 if updates_only else steps,
                    updates=steps,
                    policy_version=index,
                    wall_seconds=1.0 * index,
                    episodes=2,
                    returns=(mean - 1, mean + 1),
                    lengths=(5, 6),
                    mean=mean,
                    interval_low=mean - 1,
                    interval_high=mean + 1,
                )
            )
    return run


def add_metrics(run: RunDirectory, *, names: Sequence[str], rows: int = 40) -> None:
    with RunLogs(run) as logs:
        for index in range(rows):
            logs.append_metrics(
                MetricsRow(
                    environment_steps=100_000 * index,
                    updates=index,
                    policy_version=index,
                    wall_seconds=1.0 * index,
                    metrics={name: math.sin(index / 5) * 10.0**place for place, name in enumerate(names, start=-5)},
                )
            )


def require_picture(path: Path) -> None:
    picture = imageio.v3.imread(path)
    assert min(picture.shape[:2]) > 300
    assert picture[..., :3].std() > 5  # something is drawn


@pytest.mark.parametrize("count", [1, 3, 20])
def test_a_run_is_plotted(tmp_path: Path, count: int) -> None:
    run = make_run(tmp_path, name="a $name_of_x$", means=[1.0, math.nan, 3.0])
    add_metrics(run, names=["_hidden", "cost $", "loss/critic", *(f"metric_{index}" for index in range(17))][:count])
    written = plot_run(run)
    assert written == (run.plots_path / "evaluation_return.png", run.plots_path / "learner_metrics.png")
    for path in written:
        require_picture(path)


def test_a_plot_replaces_the_former_one(tmp_path: Path) -> None:
    run = make_run(tmp_path, name="x", means=[1.0, 2.0])
    (path,) = plot_run(run)
    path.write_bytes(b"")
    assert plot_run(run) == (path,)
    require_picture(path)


def test_a_run_is_plotted_as_far_as_it_got(tmp_path: Path) -> None:
    assert plot_run(RunDirectory.create(tmp_path / "nothing", {})) == ()
    run = make_run(tmp_path / "evaluated once", name="x", means=[5.0])
    assert plot_run(run) == (run.plots_path / "evaluation_return.png",)
    run = RunDirectory.create(tmp_path / "metrics of none", {})
    add_metrics(run, names=[])
    assert plot_run(run) == ()
    run = RunDirectory.create(tmp_path / "nan", {})
    with RunLogs(run) as logs:
        row = MetricsRow(environment_steps=0, updates=0, policy_version=0, wall_seconds=0.0, metrics={"loss": math.nan})
        logs.append_metrics(row)
    assert plot_run(run) == (run.plots_path / "learner_metrics.png",)


def test_plotting_uses_no_global_state(tmp_path: Path) -> None:
    plot_run(make_run(tmp_path, name="x", means=[1.0, 2.0]))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_a_comparison_by_hand(tmp_path: Path) -> None:
    # Five seeds end at 0, 10, 20, 30 and 1000: the interquartile mean of the middle three is 20, the mean 212.
    runs = [make_run(tmp_path / f"a{end}", name="a", means=[0.0, end]) for end in (0.0, 10.0, 20.0, 30.0, 1000.0)]
    runs.append(make_run(tmp_path / "b", name="b", means=[4.0, 8.0, 6.0]))
    output = tmp_path / "plots" / "comparison.png"
    first, second = compare_runs(runs, output=output)
    require_picture(output)
    assert (first.group, first.seeds, first.progress, first.final) == ("a", 5, 10, 20.0)
    # Trapezium from 0 to 20 over 10 steps: its area is 100, its mean height 10.
    assert first.area_under_curve == 10.0
    assert first.interval_low is not None
    assert first.interval_high is not None
    assert 0 <= first.interval_low < 20 < first.interval_high <= 1000
    # (4 + 8) / 2 and (8 + 6) / 2, each over half of the length: 6.5.
    assert second == GroupSummary(
        group="b", seeds=1, progress=20, final=6.0, interval_low=None, interval_high=None, area_under_curve=6.5
    )
    mean, _ = compare_runs(runs, output=output, statistic="mean")
    assert mean.final == 212.0


def test_runs_that_were_evaluated_at_other_steps_are_interpolated(tmp_path: Path) -> None:
    # 0 at step 0 to 40 at step 40, and 10 at step 5 to 30 at step 25: in common from 5 to 25, where they have the
    # values 5 … 25 and 10 … 30, on average 7.5 … 27.5.
    runs = [
        make_run(tmp_path / "a", name="x", means=[0.0, 10.0, 20.0, 30.0, 40.0]),
        make_run(tmp_path / "b", name="x", means=[10.0, 20.0, 30.0], first=5),
    ]
    (row,) = compare_runs(runs, output=tmp_path / "comparison.svg", statistic="mean")
    assert (row.progress, row.final, row.area_under_curve) == (25, 27.5, 17.5)
    assert (row.interval_low, row.interval_high) == (25.0, 30.0)
    assert (tmp_path / "comparison.svg").read_text().startswith("<?xml")


def test_labels_and_functions_group(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, name="x", means=[index, index]) for index, name in enumerate("abc")]
    output = tmp_path / "comparison.png"
    rows = compare_runs(runs, output=output, labels=["_one", "two", "_one"])
    assert [(row.group, row.seeds, row.final) for row in rows] == [("_one", 2, 1.0), ("two", 1, 1.0)]
    rows = compare_runs(runs, output=output, group_by=lambda run: run.path.name)
    assert [row.group for row in rows] == ["a", "b", "c"]


def test_training_without_an_environment_is_plotted_over_updates(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="x", means=[1.0, 2.0, 3.0], updates_only=True)
    plot_run(run)
    (row,) = compare_runs([run], output=tmp_path / "comparison.png")
    assert (row.progress, row.area_under_curve) == (20, 2.0)


def test_a_seed_that_diverged_is_not_hidden(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(seed), name="x", means=[1.0, math.nan if seed == 0 else 2.0]) for seed in range(5)]
    (row,) = compare_runs(runs, output=tmp_path / "comparison.png")
    assert math.isnan(row.final)


def test_the_last_evaluation_of_a_step_counts(tmp_path: Path) -> None:
    (row,) = compare_runs([make_run(tmp_path / "a", name="x", means=[1.0, 2.0], every=0)], output=tmp_path / "c.png")
    assert (row.final, row.area_under_curve) == (2.0, 2.0)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    output = tmp_path / "comparison.png"
    with pytest.raises(ValueError, match="no runs"):
        compare_runs([], output=output)
    empty = make_run(tmp_path / "empty", name="x", means=[])
    with pytest.raises(LogError, match="empty has no evaluations"):
        compare_runs([empty], output=output)
    early = make_run(tmp_path / "early", name="x", means=[1.0, 2.0])
    late = make_run(tmp_path / "late", name="x", means=[1.0, 2.0], first=100)
    with pytest.raises(LogError, match="the runs of 'x' have no range of steps in common"):
        compare_runs([early, late], output=output)
    with pytest.raises(ValueError, match="1 labels for 2 runs"):
        compare_runs([early, late], output=output, labels=["a"])
    assert not output.exists()


def test_many_groups_are_told_apart(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(index), name=str(index), means=[index, index + 1]) for index in range(9)]
    rows = compare_runs(runs, output=tmp_path / "comparison.png")
    assert [row.final for row in rows] == list(np.arange(1.0, 10.0))

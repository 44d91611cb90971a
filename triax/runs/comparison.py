"""Runs side by side: seeds of one experiment become one curve with a band, experiments become curves of one plot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triax.runs.directory import RunDirectory
from triax.runs.drawing import (
    COLOURS,
    LINE_STYLES,
    as_text,
    counts_updates,
    marker_for,
    new_figure,
    progress_label,
    progress_of,
    save_figure,
    style_axes,
)
from triax.runs.errors import LogError
from triax.runs.logs import read_evaluations
from triax.runs.rows import EvaluationRow
from triax.statistics import Band, Statistic, average, bootstrap_band

_STATISTIC_NAMES = {"mean": "mean", "iqm": "interquartile mean"}


@dataclass(frozen=True, kw_only=True)
class GroupSummary:
    """One row of the table beside the plot: what the seeds of an experiment reached.

    :param group: the group's name.
    :param seeds: how many runs it has.
    :param progress: where the curve ends: the last environment step (or update) that all runs of the group reached.
    :param final: the statistic over the seeds there.
    :param interval_low: the lower end of its 95 % bootstrap interval; ``None`` for a single seed.
    :param interval_high: its upper end.
    :param area_under_curve: its area divided by its length: the curve's mean height, in the unit of a return.
    """

    group: str
    seeds: int
    progress: int
    final: float
    interval_low: float | None
    interval_high: float | None
    area_under_curve: float

    def sentence(self, *, statistic: Statistic) -> str:
        """Say what the group reached.

        :param statistic: how its seeds were averaged.
        :return: one line.
        """
        interval = "" if self.interval_low is None else f" [{self.interval_low:.5g}, {self.interval_high:.5g}]"
        return (
            f"{self.group} ({self.seeds} seeds): {statistic} {self.final:.5g}{interval} after {self.progress:,}; "
            f"mean height of the curve {self.area_under_curve:.5g}"
        )


@dataclass(frozen=True, kw_only=True)
class _Curve:
    group: str
    seeds: int
    progress: NDArray[np.float64]
    height: NDArray[np.float64]
    band: Band | None


def experiment_name(run: RunDirectory) -> str:
    """Read the name of a run's experiment, by which runs are grouped.

    :param run: the run's directory.
    :return: the name.
    """
    return str(run.document().get("name", run.path.name))


def compare_runs(
    runs: Sequence[RunDirectory],
    *,
    output: Path,
    labels: Sequence[str] | None = None,
    statistic: Statistic = "iqm",
    group_by: Callable[[RunDirectory], str] = experiment_name,
) -> tuple[GroupSummary, ...]:
    """Plot the evaluations of several runs in one figure.

    Runs of one group count as seeds of one experiment. If they were evaluated at different steps, their curves are
    interpolated in the range that all of them cover. The band is the percentile bootstrap interval over the seeds.

    :param runs: the runs.
    :param output: the plot's file, ``.png``, ``.pdf`` or ``.svg``.
    :param labels: a name for each run instead of ``group_by``; runs of equal name are a group.
    :param statistic: how seeds are averaged.
    :param group_by: names the group of a run; its experiment's name by default.
    :return: a summary of each group, in the order in which they first came up.
    :raises LogError: if a run has no evaluations or a broken log, or the runs of a group have no range in common.
    :raises ValueError: if there are no runs, or not as many labels as runs.
    """
    if not runs:
        raise ValueError("there are no runs to compare")
    if labels is not None and len(labels) != len(runs):
        raise ValueError(f"{len(labels)} labels for {len(runs)} runs")
    names = list(labels) if labels is not None else [group_by(run) for run in runs]
    logs = [read_evaluations(run) for run in runs]
    for run, log in zip(runs, logs, strict=True):
        if not log:
            raise LogError(f"{run.path} has no evaluations to compare")
    updates = all(counts_updates(log) for log in logs)
    curves = [
        _curve(
            group=group,
            logs=[log for log, name in zip(logs, names, strict=True) if name == group],
            statistic=statistic,
            updates=updates,
        )
        for group in dict.fromkeys(names)
    ]
    _draw(curves=curves, statistic=statistic, updates=updates, output=output)
    return tuple(_summary(curve) for curve in curves)


def _curve(*, group: str, logs: Sequence[Sequence[EvaluationRow]], statistic: Statistic, updates: bool) -> _Curve:
    sampled = []
    for rows in logs:
        # A later evaluation at the same step stands for the former one.
        points = dict(zip(progress_of(rows, updates=updates), (row.mean for row in rows), strict=True))
        steps = np.asarray(sorted(points))
        sampled.append((steps, np.asarray([points[step] for step in steps])))
    begin, end = max(steps[0] for steps, _ in sampled), min(steps[-1] for steps, _ in sampled)
    if begin > end:
        raise LogError(f"the runs of {group!r} have no range of steps in common: one ends before another begins")
    every = np.unique(np.concatenate([steps for steps, _ in sampled]))
    progress = every[(every >= begin) & (every <= end)]
    heights = np.stack([np.interp(progress, steps, values) for steps, values in sampled])
    return _Curve(
        group=group,
        seeds=len(logs),
        progress=progress,
        height=average(heights, statistic=statistic, axis=0),
        band=bootstrap_band(heights, statistic=statistic) if len(logs) > 1 else None,
    )


def _summary(curve: _Curve) -> GroupSummary:
    length = curve.progress[-1] - curve.progress[0]
    area = np.trapezoid(curve.height, curve.progress) / length if length > 0 else curve.height[-1]
    return GroupSummary(
        group=curve.group,
        seeds=curve.seeds,
        progress=int(curve.progress[-1]),
        final=float(curve.height[-1]),
        interval_low=float(curve.band.low[-1]) if curve.band is not None else None,
        interval_high=float(curve.band.high[-1]) if curve.band is not None else None,
        area_under_curve=float(area),
    )


def _draw(*, curves: Sequence[_Curve], statistic: Statistic, updates: bool, output: Path) -> None:
    figure = new_figure(width=7.0, height=4.2)
    axes = figure.add_subplot()
    style_axes(axes)
    for index, curve in enumerate(curves):
        colour = COLOURS[index % len(COLOURS)]
        if curve.band is not None:
            axes.fill_between(curve.progress, curve.band.low, curve.band.high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(
            curve.progress,
            curve.height,
            color=colour,
            linestyle=LINE_STYLES[index // len(COLOURS) % len(LINE_STYLES)],
            linewidth=1.8,
            marker=marker_for(len(curve.progress)),
            markersize=3.5,
            label=as_text(f"{curve.group} (n = {curve.seeds})"),
        )
    bands = ", 95 % bootstrap interval" if any(curve.band is not None for curve in curves) else ""
    axes.set_title(f"{_STATISTIC_NAMES[statistic]} over seeds{bands}", loc="left", fontsize="medium")
    axes.set_xlabel(progress_label(updates=updates))
    axes.set_ylabel("mean evaluation return")
    axes.legend(frameon=False, fontsize="small")
    save_figure(figure=figure, path=output)

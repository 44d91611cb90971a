"""The plots of one run: what it learned, and how the learner fared."""

import math
from pathlib import Path

import numpy as np

from triax.runs.directory import RunDirectory
from triax.runs.drawing import (
    COLOURS,
    as_text,
    counts_updates,
    marker_for,
    new_figure,
    progress_label,
    progress_of,
    save_figure,
    style_axes,
)
from triax.runs.logs import read_evaluations, read_metrics
from triax.runs.rows import EvaluationRow, MetricsRow

_MAX_COLUMNS = 4


def plot_run(run: RunDirectory) -> tuple[Path, ...]:
    """Plot what a run has logged so far.

    :param run: the run's directory; it may be training.
    :return: the files: ``plots/evaluation_return.png`` if there are evaluations, ``plots/learner_metrics.png`` if there
        are metrics.
    :raises LogError: if a log is broken.
    :raises OSError: if a file cannot be written.
    """
    title = as_text(str(run.document().get("name", run.path.name)))
    evaluations, metrics = read_evaluations(run), read_metrics(run)
    written: list[Path] = []
    if evaluations:
        path = run.plots_path / "evaluation_return.png"
        written.append(_plot_evaluations(rows=evaluations, title=title, path=path))
    if any(row.metrics for row in metrics):
        path = run.plots_path / "learner_metrics.png"
        written.append(_plot_metrics(rows=metrics, title=title, path=path))
    return tuple(written)


def _plot_evaluations(*, rows: tuple[EvaluationRow, ...], title: str, path: Path) -> Path:
    figure = new_figure(width=7.0, height=4.2)
    axes = figure.add_subplot()
    style_axes(axes)
    updates = counts_updates(rows)
    progress = progress_of(rows, updates=updates)
    axes.scatter(
        np.repeat(progress, [len(row.returns) for row in rows]),
        [value for row in rows for value in row.returns],
        s=9,
        color=COLOURS[0],
        alpha=0.18,
        linewidths=0,
        label="single episodes",
    )
    low, high = [row.interval_low for row in rows], [row.interval_high for row in rows]
    if len(rows) == 1:
        axes.vlines(progress, low, high, color=COLOURS[0], alpha=0.5, linewidth=2, label="95 % interval of the mean")
    else:
        axes.fill_between(
            progress, low, high, color=COLOURS[0], alpha=0.22, linewidth=0, label="95 % interval of the mean"
        )
    axes.plot(
        progress,
        [row.mean for row in rows],
        color=COLOURS[0],
        linewidth=1.8,
        marker=marker_for(len(rows)),
        markersize=3.5,
        label="mean",
    )
    axes.set_xlabel(progress_label(updates=updates))
    axes.set_ylabel("undiscounted return of an episode")
    axes.set_title(f"{title}: evaluation", loc="left", fontsize="medium")
    axes.legend(frameon=False, fontsize="small")
    return save_figure(figure=figure, path=path)


def _plot_metrics(*, rows: tuple[MetricsRow, ...], title: str, path: Path) -> Path:
    # In the order in which they first came up: the learner's own.
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    columns = min(_MAX_COLUMNS, len(names) if len(names) <= 3 else math.ceil(math.sqrt(len(names))))
    lines = math.ceil(len(names) / columns)
    figure = new_figure(width=max(4.0, 3.0 * columns), height=0.6 + 2.0 * lines)
    updates = counts_updates(rows)
    for index, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, index + 1)
        style_axes(axes)
        held = tuple(row for row in rows if name in row.metrics)
        progress = progress_of(held, updates=updates)
        values = [row.metrics[name] for row in held]
        axes.plot(progress, values, color=COLOURS[0], linewidth=1.1, marker=marker_for(len(values)), markersize=2.5)
        axes.set_title(as_text(name), loc="left", fontsize="small")
        axes.tick_params(labelsize="x-small")
        axes.locator_params(axis="x", nbins=4)
        axes.ticklabel_format(axis="y", scilimits=(-3, 5))
        axes.yaxis.get_offset_text().set_fontsize("x-small")
        if index + columns >= len(names):  # nothing stands below it
            axes.set_xlabel(progress_label(updates=updates), fontsize="x-small")
    figure.suptitle(f"{title}: metrics of the learner", fontsize="medium", x=0.01, horizontalalignment="left")
    return save_figure(figure=figure, path=path)

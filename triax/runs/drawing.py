"""What all plots have in common: figures without a display and without global state, colours, axes, files.

matplotlib is imported when the first plot is drawn and not before: it takes a second, which a program that only trains
need not spend.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triax.runs.files import write_atomically
from triax.runs.rows import EvaluationRow, MetricsRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows: TypeAlias = Sequence[MetricsRow] | Sequence[EvaluationRow]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""The palette of Okabe and Ito, which readers with any kind of colour vision can tell apart."""

LINE_STYLES = ("-", "--", ":", "-.")
_INK = "#404040"
_FEW_POINTS = 30


def new_figure(*, width: float, height: float) -> "Figure":
    """Make a figure that no window and no global state knows of.

    :param width: its width in inches.
    :param height: its height in inches.
    :return: the figure.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def style_axes(axes: "Axes") -> None:
    """Give axes a light grid, no frame above and to the right, and large numbers of steps in short.

    :param axes: the axes.
    """
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.grid(visible=True, color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#B0B0B0")
    axes.tick_params(colors=_INK, labelcolor=_INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep="\N{NO-BREAK SPACE}"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def marker_for(count: int) -> str:
    """Choose the marker of a line: points where they are few, none where they would hide it.

    :param count: the number of points.
    :return: matplotlib's name of the marker.
    """
    return "o" if count <= _FEW_POINTS else ""


def as_text(words: str) -> str:
    """Protect words that users chose, such as names of metrics, from matplotlib.

    :param words: the words.
    :return: the same, where a dollar is a dollar, and a leading underscore does not hide a line from the legend.
    """
    escaped = words.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def counts_updates(rows: Rows) -> bool:
    """Tell whether rows are of training without an environment, where only the updates advance.

    :param rows: the rows.
    :return: whether they are.
    """
    return all(row.environment_steps == 0 for row in rows) and any(row.updates > 0 for row in rows)


def progress_of(rows: Rows, *, updates: bool) -> NDArray[np.float64]:
    """List how far training was at each row.

    :param rows: the rows.
    :param updates: whether to count updates instead of environment steps.
    :return: the numbers, one a row.
    """
    return np.asarray([row.updates if updates else row.environment_steps for row in rows], np.float64)


def progress_label(*, updates: bool) -> str:
    """Name the axis of progress.

    :param updates: whether it counts updates instead of environment steps.
    :return: the label.
    """
    return "updates" if updates else "environment steps"


def save_figure(*, figure: "Figure", path: Path) -> Path:
    """Write a figure, in whole or not at all; its folder is made.

    :param figure: the figure.
    :param path: the file, whose suffix says which format: ``.png``, ``.pdf``, ``.svg``.
    :return: the same path.
    :raises ValueError: if the format is unknown.
    :raises OSError: if it cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix(".") or "png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path=path, content=content.getvalue())
    return path

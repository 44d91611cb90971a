"""Evaluation curves of several seeds, compared by the area under them."""

from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from triax.statistics import RESAMPLES, bootstrap_band, bootstrap_interval

Curves = NDArray[np.float64]


def curves_of(rows: list[dict[str, Any]]) -> tuple[NDArray[np.int64], Curves]:
    """Read evaluation curves, at the steps at which the first seed was evaluated.

    Chunks of experience end where they end, so that with workers an evaluation comes some steps late; what the others
    had at these steps is interpolated.

    :param rows: of a result; evaluations among them.
    :return: the steps, and a curve a seed of mean returns.
    """
    curves: dict[int, dict[int, float]] = {}
    for row in rows:
        if row["kind"] == "evaluation":
            curves.setdefault(row["seed"], {})[row["environment_steps"]] = row["mean"]
    steps = np.array(sorted(next(iter(curves.values()))))
    found = [np.array(sorted(curve.items())).T for curve in curves.values()]
    return steps, np.array([np.interp(steps, curve[0], curve[1]) for curve in found])


def compare(
    *, name: str, curves: dict[str, list[dict[str, Any]]], output: Path, baseline: float = 0.0
) -> dict[str, Any]:
    """Compare the areas under two sets of curves, and draw both.

    :param name: of the experiment.
    :param curves: by label the rows of a result, ours first and then what it is compared with.
    :param output: the plot's file; its folder is made.
    :param baseline: the return above which areas are compared, such as that of random actions.
    :return: the comparison.
    """
    ours, theirs = curves
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    areas: dict[str, NDArray[np.float64]] = {}
    document: dict[str, Any] = {"experiment": name, "date": date.today().isoformat(), "baseline": baseline}
    for label, rows in curves.items():
        steps, means = curves_of(rows)
        areas[label] = np.trapezoid(means, steps, axis=1) / (steps[-1] - steps[0])
        interval, band = bootstrap_interval(areas[label]), bootstrap_band(means, statistic="mean")
        document[label] = {
            "seeds": len(means),
            "steps": int(steps[-1]),
            "mean_area": round(float(areas[label].mean()), 2),
            "interval": [round(interval.low, 2), round(interval.high, 2)],
            "areas": np.round(areas[label], 2).tolist(),
            "final_mean": round(float(means[:, -1].mean()), 2),
        }
        axes.plot(steps, means.mean(axis=0), marker="o", markersize=3, label=f"{label} (n = {len(means)})")
        axes.fill_between(steps, band.low, band.high, alpha=0.2, linewidth=0)
    generator = np.random.default_rng(0)
    above = {label: area - baseline for label, area in areas.items()}
    resampled = {
        label: area[generator.integers(len(area), size=(RESAMPLES, len(area)))].mean(axis=1)
        for label, area in above.items()
    }
    low, high = np.quantile(resampled[ours] / resampled[theirs], (0.025, 0.975))
    document["ratio"] = round(float(above[ours].mean() / above[theirs].mean()), 3)
    document["ratio_interval"] = [round(float(low), 3), round(float(high), 3)]
    axes.set(title=name, xlabel="environment steps", ylabel="mean evaluation return")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=120)
    plt.close(figure)
    return document

"""The result: summaries with intervals as JSON lines, and the plot."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from families import FAMILIES
from numpy.typing import NDArray
from scales import Scale

from triax.runs import environment_description
from triax.statistics import Interval

Row = dict[str, Any]
"""Of a result."""


def student_interval(values: NDArray[np.float64], *, confidence: float = 0.95) -> Interval:
    """Estimate a confidence interval of a mean by Student's t, which is wider than a bootstrap of five values.

    :param values: independent values, [N], at least two.
    :param confidence: the share of intervals made like this one that hold the true value.
    :return: the interval.
    """
    from scipy.special import stdtrit  # scipy.stats has the same, and takes a second to import

    half = float(stdtrit(len(values) - 1, 0.5 + confidence / 2.0) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(low=float(values.mean()) - half, high=float(values.mean()) + half)


def summaries(*, rows: Sequence[Row], seeds: int) -> list[Row]:
    """Average over variants, and over seeds with an interval.

    :param rows: of variants and clones.
    :param seeds: how many.
    :return: a row for each family, number of source tasks and amount of data.
    """
    clones = [row for row in rows if row["kind"] == "clone"]
    kinds = dict.fromkeys((row["family"], row["sources"], row["transitions"]) for row in clones)
    found: list[Row] = []
    for family, sources, transitions in kinds:
        of_seed = np.array(
            [
                np.mean(
                    [
                        row["normalised"]
                        for row in clones
                        if (row["family"], row["sources"], row["transitions"]) == (family, sources, transitions)
                        and row["seed"] == seed
                    ]
                )
                for seed in range(seeds)
            ]
        )
        interval = student_interval(of_seed)
        found.append(
            {
                "kind": "summary",
                "family": family,
                "sources": sources,
                "transitions": transitions,
                "mean": round(float(of_seed.mean()), 4),
                "interval_low": round(interval.low, 4),
                "interval_high": round(interval.high, 4),
                "of_seed": np.round(of_seed, 4).tolist(),
            }
        )
    return found


def write_report(*, scale: Scale, rows: Sequence[Row], command: str, output: Path) -> list[Row]:
    """Write the rows of a study, and plot them.

    :param scale: of the study.
    :param rows: of variants and clones.
    :param command: that made them.
    :param output: the file of JSON lines; the plot stands beside it.
    :return: the summaries.
    """
    summary = summaries(rows=rows, seeds=scale.seeds)
    settings: Row = {
        "kind": "settings",
        "command": command,
        "scale": scale.name,
        "seeds": scale.seeds,
        "expert_seeds": scale.expert_seeds,
        "episodes": scale.episodes,
        "pre_training_updates": scale.pre_training_updates,
        "updates": scale.updates,
        "families": {
            family.name: {
                "environment": family.environment,
                "actions": family.action_kind,
                "quantity": family.quantity,
                "sources": list(family.sources),
                "held_out": list(scale.held_out(family)),
                "expert_steps": family.expert_steps,
                "source_transitions": family.source_transitions,
                "least_transitions": family.least_transitions,
            }
            for family in scale.families
        },
        "interval": "95 %, Student's t over seeds, of the mean over held-out variants",
        "date": date.today().isoformat(),
        "machine": environment_description().to_json(),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(json.dumps(row) + "\n" for row in (settings, *summary, *rows)))
    plot(summary=summary, output=output.with_suffix(".png"))
    return summary


def plot(*, summary: Sequence[Row], output: Path) -> None:
    """Plot each family: fine-tuning over the number of source tasks, and cloning from scratch as levels.

    :param summary: the rows of the summaries.
    :param output: the picture.
    """
    families = list(dict.fromkeys(row["family"] for row in summary))
    figure, panels = plt.subplots(
        1, len(families), figsize=(5.6 * len(families), 4.4), layout="constrained", squeeze=False
    )
    for axes, name in zip(panels[0], families, strict=True):
        own = [row for row in summary if row["family"] == name]
        least = min(row["transitions"] for row in own)
        scratch = [row for row in own if row["sources"] == 0]
        for number, row in enumerate(scratch):
            shade = plt.get_cmap("Greys")(0.4 + 0.5 * number / max(1, len(scratch) - 1))
            axes.axhline(row["mean"], color=shade, linestyle="--", label=f"from scratch, {row['transitions']} steps")
            axes.axhspan(row["interval_low"], row["interval_high"], color=shade, alpha=0.12, linewidth=0)
        for transitions in sorted({row["transitions"] for row in own if row["sources"]}):
            curve = [row for row in own if row["sources"] and row["transitions"] == transitions]
            sources = [row["sources"] for row in curve]
            line = axes.plot(
                sources, [row["mean"] for row in curve], marker="o", label=f"fine-tuned, {transitions} steps"
            )
            low, high = ([row[end] for row in curve] for end in ("interval_low", "interval_high"))
            axes.fill_between(sources, low, high, color=line[0].get_color(), alpha=0.2, linewidth=0)
        family = FAMILIES[name]
        axes.set_xscale("log", base=2)
        ticks = sorted({row["sources"] for row in own if row["sources"]})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set(
            title=f"{family.environment}, {family.quantity}\n{family.action_kind} actions, least data {least} steps",
            xlabel="source tasks",
            ylabel="normalised return (random 0, expert 1)",
        )
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=120)
    plt.close(figure)

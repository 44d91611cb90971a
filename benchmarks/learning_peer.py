"""Learning side by side with SBX: the same sizes, warm-up and steps, seed by seed, in one plot.

    benchmarks/set_up_peer.sh                                      # once
    python benchmarks/learning.py half_cheetah_sac --seeds 8 --jobs 2
    python benchmarks/learning_peer.py half_cheetah_sac --seeds 8 --jobs 2

Trains the peer's seeds that are missing (each in a process of its own, begun anew if it was cut off), and writes
``results/NAME_peer.jsonl`` (the peer's rows), ``results/NAME_compared.json`` (areas under the evaluation curves, with
bootstrap intervals, and their ratio) and ``results/NAME_compared.png``.
"""

import argparse
import json
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from seeds import for_each_seed, read_rows, write_rows

from triax.statistics import RESAMPLES, bootstrap_band, bootstrap_interval

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = {"half_cheetah_sac": "HalfCheetah-v5", "hopper_sac": "Hopper-v5"}
STEPS, INTERVAL, EPISODES, WARMUP = 50_000, 2500, 10, 1000

Curves = NDArray[np.float64]


def train_peer(*, environment: str, seed: int, output: Path, pin: list[str]) -> None:
    """Train one seed of the peer, unless it is done.

    :param environment: a Gymnasium id.
    :param seed: the seed.
    :param output: the file of its rows.
    :param pin: the beginning of a command that keeps it to a core; may be empty.
    """
    command = [str(ROOT / ".venv-sbx" / "bin" / "python"), "benchmarks/peer_sbx.py", "learn", "--algorithm", "sac"]
    command += ["--environment", environment, "--seed", str(seed), "--steps", str(STEPS), "--warmup", str(WARMUP)]
    command += ["--evaluation-interval", str(INTERVAL), "--evaluation-episodes", str(EPISODES)]
    subprocess.run([*pin, *command, "--output", str(output)], cwd=ROOT, check=True)


def curves_of(rows: list[dict[str, Any]]) -> tuple[NDArray[np.int64], Curves]:
    """Read evaluation curves.

    :param rows: of a result; evaluations among them.
    :return: the steps, and a curve a seed of mean returns.
    :raises ValueError: if the seeds were evaluated at different steps.
    """
    curves: dict[int, dict[int, float]] = {}
    for row in rows:
        if row["kind"] == "evaluation":
            curves.setdefault(row["seed"], {})[row["environment_steps"]] = row["mean"]
    steps = sorted(next(iter(curves.values())))
    if any(sorted(curve) != steps for curve in curves.values()):
        raise ValueError("the seeds were evaluated at different steps")
    return np.array(steps), np.array([[curve[step] for step in steps] for curve in curves.values()])


def compare(*, name: str, ours: list[dict[str, Any]], peers: list[dict[str, Any]], output: Path) -> dict[str, Any]:
    """Compare areas under curves, and draw both.

    :param name: of the experiment.
    :param ours: the rows of our result.
    :param peers: the rows of the peer's.
    :param output: the plot's file.
    :return: the comparison.
    """
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    areas: dict[str, NDArray[np.float64]] = {}
    document: dict[str, Any] = {"experiment": name, "date": date.today().isoformat()}
    for label, rows in (("triax", ours), ("sbx", peers)):
        steps, curves = curves_of(rows)
        areas[label] = np.trapezoid(curves, steps, axis=1) / (steps[-1] - steps[0])
        interval, band = bootstrap_interval(areas[label]), bootstrap_band(curves, statistic="mean")
        document[label] = {
            "seeds": len(curves),
            "steps": int(steps[-1]),
            "mean_area": round(float(areas[label].mean()), 2),
            "interval": [round(interval.low, 2), round(interval.high, 2)],
            "areas": np.round(areas[label], 2).tolist(),
            "final_mean": round(float(curves[:, -1].mean()), 2),
        }
        axes.plot(steps, curves.mean(axis=0), marker="o", markersize=3, label=f"{label} (n = {len(curves)})")
        axes.fill_between(steps, band.low, band.high, alpha=0.2, linewidth=0)
    generator = np.random.default_rng(0)
    resampled = {
        label: area[generator.integers(len(area), size=(RESAMPLES, len(area)))].mean(axis=1)
        for label, area in areas.items()
    }
    low, high = np.quantile(resampled["triax"] / resampled["sbx"], (0.025, 0.975))
    document["ratio"] = round(float(areas["triax"].mean() / areas["sbx"].mean()), 3)
    document["ratio_interval"] = [round(float(low), 3), round(float(high), 3)]
    axes.set(title=name, xlabel="environment steps", ylabel="mean evaluation return")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(output, dpi=120)
    return document


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(ENVIRONMENTS), help="of the experiment")
    parser.add_argument("--seeds", type=int, default=8, help="seeds 0 to this, less one (default: 8)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each if several (default: 1)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "peer", help="folder of the peer's rows")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder of the results")
    arguments = parser.parse_args()

    def train(seed: int, pin: list[str]) -> Path:
        path: Path = arguments.runs / f"{arguments.name}-{seed}.jsonl"
        train_peer(environment=ENVIRONMENTS[arguments.name], seed=seed, output=path, pin=pin)
        return path

    paths = for_each_seed(seeds=arguments.seeds, jobs=arguments.jobs, work=train)
    peers = [row for path in paths for row in read_rows(path)]
    write_rows(arguments.output / f"{arguments.name}_peer.jsonl", peers)
    ours = read_rows(arguments.output / f"{arguments.name}.jsonl")
    document = compare(
        name=arguments.name, ours=ours, peers=peers, output=arguments.output / f"{arguments.name}_compared.png"
    )
    document["command"] = f"python benchmarks/learning_peer.py {arguments.name} --seeds {arguments.seeds}"
    (arguments.output / f"{arguments.name}_compared.json").write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()

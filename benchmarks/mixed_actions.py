"""MixedAction2D by its own mixed actions beside the two wrappers that make them continuous, all learned by SAC.

    python benchmarks/learning.py mixed_action_sac --seeds 5 --jobs 2               # and of the two others:
    python benchmarks/learning.py mixed_action_terminating_sac --seeds 5 --jobs 2
    python benchmarks/learning.py mixed_action_continuing_sac --seeds 5 --jobs 2
    python benchmarks/mixed_actions.py

The variant without "done" has other returns. So scores are compared: 0 for random actions, 1 for walking straight to
the target, one axis at a time, in the same 1,000 episodes. Writes ``results/mixed_actions_compared.json``, where areas
and scores at the end have 95 % bootstrap intervals over seeds, and a plot of all curves beside it.
"""

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
from curves import curves_of
from seeds import read_rows

from triax.environments.mixed_action import MAXIMUM_MOVE, Choice
from triax.runs import environment_description
from triax.statistics import bootstrap_band, bootstrap_interval

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = {
    "mixed_action_sac": ("its own mixed actions", "triax/MixedAction2D-v0"),
    "mixed_action_terminating_sac": ("continuous, terminating", "triax/MixedAction2D-v0"),
    "mixed_action_continuing_sac": ("continuous, continuing", "triax/MixedAction2DContinuing-v0"),
}
"""Label and environment, by experiment."""

CLOSE = 0.05
"""Distance to the target within which "done" succeeds."""


def straight(observation: Any, *, continuing: bool) -> dict[str, Any]:
    """Walk along the axis on which more is missing; say "done" when there.

    :param observation: dx, dy and the distance.
    :param continuing: whether there is no "done".
    :return: the action.
    """
    way = observation[:2]
    if not continuing and observation[2] <= CLOSE:
        return {"choice": int(Choice.DONE), "move": np.zeros(2, np.float32)}
    move = np.clip(way, -MAXIMUM_MOVE, MAXIMUM_MOVE).astype(np.float32)
    return {"choice": int(np.argmax(np.abs(way))), "move": move}


def baselines(*, environment_id: str, episodes: int) -> tuple[float, float]:
    """Measure what random actions and walking straight score.

    :param environment_id: a Gymnasium id.
    :param episodes: of each; both begin alike.
    :return: both mean returns.
    """
    environment = gymnasium.make(environment_id)
    environment.action_space.seed(0)
    means = []
    for is_random in (True, False):
        returns = np.zeros(episodes)
        for episode in range(episodes):
            observation, _ = environment.reset(seed=episode)
            ended = False
            while not ended:
                if is_random:
                    action = environment.action_space.sample()
                else:
                    action = straight(observation, continuing="Continuing" in environment_id)
                observation, reward, terminated, truncated, _ = environment.step(action)
                returns[episode] += float(reward)
                ended = terminated or truncated
        means.append(float(returns.mean()))
    environment.close()
    return means[0], means[1]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000, help="of each baseline (default: 1000)")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of the results")
    arguments = parser.parse_args()
    document: dict[str, Any] = {
        "command": f"python benchmarks/mixed_actions.py --episodes {arguments.episodes}",
        "date": date.today().isoformat(),
        "machine": environment_description().to_json(),
    }
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    for name, (label, environment_id) in VARIANTS.items():
        lowest, highest = baselines(environment_id=environment_id, episodes=arguments.episodes)
        steps, means = curves_of(read_rows(arguments.results / f"{name}.jsonl"))
        scores = (means - lowest) / (highest - lowest)
        areas = np.trapezoid(scores, steps, axis=1) / (steps[-1] - steps[0])
        found = {"area": areas, "last_score": scores[:, -1], "last_return": means[:, -1]}
        intervals = {quantity: bootstrap_interval(values) for quantity, values in found.items()}
        document[name] = {
            "actions": label,
            "random": round(lowest, 2),
            "straight": round(highest, 2),
            "seeds": len(means),
            "steps": int(steps[-1]),
        }
        for quantity, values in found.items():
            document[name][quantity] = {
                "mean": round(float(values.mean()), 4),
                "interval": [round(intervals[quantity].low, 4), round(intervals[quantity].high, 4)],
                "seeds": np.round(values, 4).tolist(),
            }
        band = bootstrap_band(scores, statistic="mean")
        axes.plot(steps, scores.mean(axis=0), marker="o", markersize=3, label=f"{label} (n = {len(means)})")
        axes.fill_between(steps, band.low, band.high, alpha=0.2, linewidth=0)
    axes.set(title="MixedAction2D", xlabel="environment steps", ylabel="score: 0 random, 1 straight to the target")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(arguments.results / "mixed_actions_compared.png", dpi=120)
    (arguments.results / "mixed_actions_compared.json").write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()

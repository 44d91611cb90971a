"""What random actions score in the environments of the experiments: what each learning result is to be compared with.

    python benchmarks/random_policy.py

Writes ``results/random_policy.jsonl``: a row of settings, then a row an experiment, with the mean return, its 95 %
bootstrap interval, and the share of successes where the environment says so.
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from seeds import write_rows
from settings import experiment_of

import triax
from triax.random import derive_seed
from triax.runs import environment_description
from triax.statistics import bootstrap_interval

ROOT = Path(__file__).resolve().parents[1]


def play(*, environment: triax.EnvironmentConfig, episodes: int, seed: int) -> dict[str, Any]:
    """Play episodes with actions drawn from the action space.

    :param environment: where.
    :param episodes: how many.
    :param seed: of actions and starts.
    :return: a row of the result.
    """
    made = environment.make()
    made.action_space.seed(derive_seed(seed=seed, name=("actions",)) % 2**32)
    returns, lengths, successes = [], [], []
    for episode in range(episodes):
        made.reset(seed=derive_seed(seed=seed, name=("episode", episode)) % 2**32)
        rewards: list[float] = []
        ended = False
        while not ended:
            _, reward, terminated, truncated, info = made.step(made.action_space.sample())
            rewards.append(float(reward))
            ended = terminated or truncated
        returns.append(sum(rewards))
        lengths.append(len(rewards))
        successes += [bool(info["success"])] if "success" in info else []
    made.close()
    interval = bootstrap_interval(returns)
    row = {
        "mean": round(float(np.mean(returns)), 2),
        "interval_low": round(interval.low, 2),
        "interval_high": round(interval.high, 2),
        "mean_length": round(float(np.mean(lengths)), 1),
    }
    return row | ({"success_share": float(np.mean(successes))} if successes else {})


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000, help="of each (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of actions and starts (default: 0)")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "random_policy.jsonl")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = [
        {
            "kind": "settings",
            "command": f"python benchmarks/random_policy.py --episodes {arguments.episodes} --seed {arguments.seed}",
            "episodes": arguments.episodes,
            "date": date.today().isoformat(),
            "machine": environment_description().to_json(),
        }
    ]
    for path in sorted((ROOT / "experiments").glob("*.py")):
        environment = experiment_of(path).environment
        if environment is not None:
            row = play(environment=environment, episodes=arguments.episodes, seed=arguments.seed)
            rows.append({"kind": "random", "experiment": path.stem, **row})
            print(rows[-1], flush=True)
    write_rows(arguments.output, rows)


if __name__ == "__main__":
    main()

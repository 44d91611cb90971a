"""Sets larger than those of training: PPO with a transformer among targets and obstacles of varying number.

    python benchmarks/sets.py --seeds 3 --jobs 2

Trains ``experiments/mixed_action_sets_ppo.py`` as it is, with 1 to 6 objects, and once more with 1 to 12; goes on with
what was stopped, and skips what is done. Then both play the same episodes with 1 to 6 objects and with 7 to 12. Writes
``results/mixed_action_sets.jsonl``: a row of settings for each agent, and one for each seed and number of objects, with
the share of episodes that succeeded, its 95 % bootstrap interval, and every return.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from learning import ROOT, settings_row, train_seed
from seeds import for_each_seed, write_rows

import triax
from triax.evaluation import Evaluation, Evaluator
from triax.statistics import bootstrap_interval

EXPERIMENT = "mixed_action_sets_ppo"
TRAINED_ON = {"1-6": [], "1-12": ["--environment.arguments", "objects", "(1, 12)"]}
"""The options of each agent's training, by the numbers of objects that it sees."""

PLAYED_ON = {"1-6": (1, 6), "7-12": (7, 12)}
LARGEST = 12
FIRST_START = 5_000_000
"""Seed of the episodes; far from those of training."""


def play(*, run: Path, objects: tuple[int, int], episodes: int) -> Evaluation:
    """Play episodes with the mode of a run's last policy.

    :param run: the run directory.
    :param objects: the smallest and the largest number of them.
    :param episodes: how many.
    :return: what was found.
    """
    agent = triax.load_agent(run_directory=run)
    arguments = {"objects": objects, "maximum": LARGEST}
    evaluator = Evaluator(
        make=triax.EnvironmentConfig(id="triax/MixedActionSets2D-v0", arguments=arguments).make,
        policy=agent.learner.policy,
        observation_spec=agent.spec.observation,
        action_spec=agent.spec.action,
        config=triax.EvaluationConfig(episodes=episodes, environments=min(episodes, 50)),
    )
    try:
        result = evaluator.evaluate(parameters=agent.parameters, evaluation_seed=FIRST_START)
    finally:
        evaluator.close()
    assert result is not None
    return result


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to this, less one (default: 3)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each if several (default: 1)")
    parser.add_argument("--episodes", type=int, default=500, help="of each evaluation (default: 500)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "learning", help="folder of the run directories")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "mixed_action_sets.jsonl")
    known = parser.parse_args()
    command = f"python benchmarks/sets.py --seeds {known.seeds} --episodes {known.episodes}"
    rows: list[dict[str, Any]] = []
    for trained_on, options in TRAINED_ON.items():

        def train(seed: int, pin: list[str], trained_on: str = trained_on, options: list[str] = options) -> Path:
            folder = known.runs / f"objects-{trained_on}"
            return train_seed(name=EXPERIMENT, seed=seed, runs=folder, pin=pin, options=options)

        directories = for_each_seed(seeds=known.seeds, jobs=known.jobs, work=train)
        settings = settings_row(name=EXPERIMENT, directories=directories, command=command)
        rows.append({**settings, "trained_on": trained_on})
        for seed, run in enumerate(directories):
            for played_on, objects in PLAYED_ON.items():
                evaluation = play(run=run, objects=objects, episodes=known.episodes)
                assert evaluation.successes is not None
                interval = bootstrap_interval(np.array(evaluation.successes, float))
                row = {"kind": "played", "trained_on": trained_on, "played_on": played_on, "seed": seed}
                row |= {"success": round(float(np.mean(evaluation.successes)), 4)}
                row |= {"interval_low": round(interval.low, 4), "interval_high": round(interval.high, 4)}
                print(row, flush=True)
                rows.append(
                    {**row, "mean": round(evaluation.mean, 3), "returns": np.round(evaluation.returns, 2).tolist()}
                )
    write_rows(known.output, rows)


if __name__ == "__main__":
    main()

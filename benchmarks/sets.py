"""Sets larger than those of training: PPO with a transformer among targets and obstacles of varying number.

    python benchmarks/sets.py --seeds 3 --jobs 2

Trains ``experiments/mixed_action_sets_ppo.py`` as it is, with 1 to 6 objects, and once more with 1 to 12; goes on with
what was stopped, and skips what is done. Then both play the same episodes with 1 to 6 objects and with 7 to 12, and a
policy that goes straight to the nearest target plays as many. Writes ``results/mixed_action_sets.jsonl``: a row of
settings for each agent; one for each seed and number of objects, with the share of episodes that succeeded, its 95 %
bootstrap interval, and every return; and one for each number of objects of going straight.
"""

import argparse
from collections.abc import Sequence
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


def straight(observation: dict[str, Any]) -> dict[str, Any]:
    """Go straight to the nearest target, whatever is in between.

    :param observation: of the environment.
    :return: an action, along the axis on which there is further to go; "done" within the target.
    """
    objects = observation["objects"]
    targets = objects[objects[:, 4] == 1.0]
    dx, dy, gap = targets[np.argmin(targets[:, 2])][:3].tolist()
    choice = 2 if gap <= 0.0 else int(abs(dy) > abs(dx))
    return {"choice": np.int64(choice), "move": np.clip(np.array([dx, dy]), -0.1, 0.1).astype(np.float32)}


def play_straight(*, objects: tuple[int, int], episodes: int) -> list[bool]:
    """Play episodes by going straight to the nearest target.

    :param objects: the smallest and the largest number of them.
    :param episodes: how many.
    :return: whether each succeeded.
    """
    environment = triax.EnvironmentConfig(id="triax/MixedActionSets2D-v0", arguments={"objects": objects}).make()
    successes = []
    for episode in range(episodes):
        observation, info = environment.reset(seed=FIRST_START + episode)
        ended = False
        while not ended:
            observation, _, terminated, truncated, info = environment.step(straight(observation))
            ended = terminated or truncated
        successes.append(bool(info["success"]))
    environment.close()
    return successes


def share_of(successes: Sequence[bool]) -> dict[str, float]:
    """Say what share of episodes succeeded.

    :param successes: of each episode.
    :return: the share, with its 95 % bootstrap interval.
    """
    interval = bootstrap_interval(np.array(successes, float))
    return {
        "success": round(float(np.mean(successes)), 4),
        "interval_low": round(interval.low, 4),
        "interval_high": round(interval.high, 4),
    }


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

        directories = for_each_seed(seeds=range(known.seeds), jobs=known.jobs, work=train)
        settings = settings_row(name=EXPERIMENT, directories=directories, command=command)
        rows.append({**settings, "trained_on": trained_on})
        for seed, run in enumerate(directories):
            for played_on, objects in PLAYED_ON.items():
                evaluation = play(run=run, objects=objects, episodes=known.episodes)
                assert evaluation.successes is not None
                row = {"kind": "played", "trained_on": trained_on, "played_on": played_on, "seed": seed}
                row |= share_of(evaluation.successes)
                print(row, flush=True)
                rows.append(
                    {**row, "mean": round(evaluation.mean, 3), "returns": np.round(evaluation.returns, 2).tolist()}
                )
    for played_on, objects in PLAYED_ON.items():
        successes = play_straight(objects=objects, episodes=known.episodes)
        rows.append({"kind": "straight", "played_on": played_on, **share_of(successes)})
        print(rows[-1], flush=True)
    write_rows(known.output, rows)


if __name__ == "__main__":
    main()

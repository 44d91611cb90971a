"""Clones against their experts: on the same starts, how far behaviour learnt from 20 recorded episodes falls short.

    python benchmarks/learning.py pendulum_sac --seeds 5     # the experts
    python benchmarks/clone.py --seeds 5

For each seed: records 20 episodes of the expert's best checkpoint, trains ``experiments/pendulum_bc.py`` on them, and
plays the same 100 starts with expert, clone and random actions. Writes ``results/pendulum_clone.jsonl``: a row of
settings, then a row a seed with every return and the paired mean difference, as a share of the expert's distance to
random. What is done is not done again, and refused if it was done with other settings.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray
from seeds import write_rows
from settings import commits_of, experiment_of, is_done, mark_done

import triax
from triax.runs import environment_description
from triax.statistics import bootstrap_interval

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = "Pendulum-v1"
RECORDED_EPISODES = 20
FIRST_START = 5_000_000
"""Seed of the first start; far from those of training, recording and evaluation."""

Returns = NDArray[np.float64]


def play(*, act: Callable[[NDArray[Any]], NDArray[Any]], starts: int) -> Returns:
    """Play an episode from each start, all side by side. Pendulum's episodes are all equally long.

    :param act: from observations, a row an environment, to actions.
    :param starts: how many.
    :return: the episodes' returns.
    """
    environments = [gymnasium.make(ENVIRONMENT) for _ in range(starts)]
    observations = np.stack([each.reset(seed=FIRST_START + n)[0] for n, each in enumerate(environments)])
    returns = np.zeros(starts)
    ended = False
    while not ended:
        steps = [each.step(action) for each, action in zip(environments, act(observations), strict=True)]
        observations = np.stack([step[0] for step in steps])
        returns += [float(step[1]) for step in steps]
        ends = {step[2] or step[3] for step in steps}
        assert len(ends) == 1, "episodes of different lengths"
        ended = ends.pop()
    return returns


def play_agent(*, run_directory: Path, starts: int, checkpoint: Literal["best", "last"] = "best") -> Returns:
    """Play with the mode of a run's policy.

    :param run_directory: of the run.
    :param starts: how many episodes.
    :param checkpoint: which of its policies.
    :return: their returns.
    """
    agent = triax.load_agent(run_directory=run_directory, checkpoint=checkpoint)
    return play(act=lambda observations: np.asarray(agent.act(observation=observations)), starts=starts)


def play_randomly(*, seed: int, starts: int) -> Returns:
    """Play with actions drawn uniformly.

    :param seed: of the actions.
    :param starts: how many episodes.
    :return: their returns.
    """
    space = gymnasium.make(ENVIRONMENT).action_space
    assert isinstance(space, gymnasium.spaces.Box)
    low, high = space.low, space.high
    generator = np.random.default_rng(seed)

    def act(observations: NDArray[Any]) -> NDArray[Any]:
        actions: NDArray[Any] = generator.uniform(low, high, (len(observations), *low.shape)).astype(low.dtype)
        return actions

    return play(act=act, starts=starts)


def record(*, expert: Path, datasets: Path, seed: int) -> str:
    """Record an expert, unless that is done.

    :param expert: the expert's run directory.
    :param datasets: folder of datasets.
    :param seed: of the recording.
    :return: the dataset's id.
    """
    identifier = f"pendulum/expert-{seed}-v0"
    if not (datasets / identifier).exists():
        command = [str(Path(sys.executable).with_name("triax")), "record", str(expert), "--dataset", identifier]
        command += ["--episodes", str(RECORDED_EPISODES), "--seed", str(seed), "--root", str(datasets)]
        subprocess.run(command, cwd=ROOT, check=True)
    return identifier


def clone(*, expert: Path, run: Path, datasets: Path, seed: int) -> None:
    """Record an expert and train its clone, unless that is done.

    :param expert: the expert's run directory.
    :param run: the clone's run directory.
    :param datasets: folder of datasets.
    :param seed: of recording and cloning.
    """
    identifier = record(expert=expert, datasets=datasets, seed=seed)
    options = ["--seed", str(seed), "--loop.no-video", "--dataset.id", identifier, "--dataset.root", str(datasets)]
    if is_done(run=run, experiment=experiment_of(ROOT / "experiments" / "pendulum_bc.py", options=options)):
        return
    train = [sys.executable, "experiments/pendulum_bc.py"]
    if (run / "experiment.json").exists():
        train += ["resume", "--run-directory", str(run)]
    else:
        train += ["train", "--run-directory", str(run), *options]
    subprocess.run(train, cwd=ROOT, check=True)
    mark_done(run)


def compare(*, expert: Path, run: Path, seed: int, starts: int) -> dict[str, Any]:
    """Play the same starts with expert, clone and random actions.

    :param expert: the expert's run directory.
    :param run: the clone's.
    :param seed: of the pair.
    :param starts: how many.
    :return: a row of the result.
    """
    by_expert = play_agent(run_directory=expert, starts=starts)
    by_clone = play_agent(run_directory=run, starts=starts)
    at_random = play_randomly(seed=seed, starts=starts)
    differences = by_clone - by_expert
    interval = bootstrap_interval(differences)
    distance = float(np.mean(by_expert - at_random))
    return {
        "kind": "comparison",
        "seed": seed,
        "expert_mean": round(float(by_expert.mean()), 2),
        "clone_mean": round(float(by_clone.mean()), 2),
        "random_mean": round(float(at_random.mean()), 2),
        "mean_difference": round(float(differences.mean()), 2),
        "difference_low": round(interval.low, 2),
        "difference_high": round(interval.high, 2),
        "share_of_distance_to_random": round(float(differences.mean()) / distance, 4),
        "expert_returns": np.round(by_expert, 2).tolist(),
        "clone_returns": np.round(by_clone, 2).tolist(),
        "random_returns": np.round(at_random, 2).tolist(),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to this, less one (default: 5)")
    parser.add_argument("--starts", type=int, default=100, help="episodes of each (default: 100)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "learning", help="folder of the run directories")
    parser.add_argument("--datasets", type=Path, default=ROOT / "datasets", help="folder of the recordings")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "pendulum_clone.jsonl")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    experts, runs = ([arguments.runs / f"{name}-{seed}" for seed in seeds] for name in ("pendulum_sac", "pendulum_bc"))
    for seed in seeds:
        clone(expert=experts[seed], run=runs[seed], datasets=arguments.datasets, seed=seed)
    rows: list[dict[str, Any]] = [
        {
            "kind": "settings",
            "description": json.loads((runs[0] / "experiment.json").read_text())["experiment"],
            "commits": commits_of(runs),
            "command": f"python benchmarks/clone.py --seeds {arguments.seeds} --starts {arguments.starts}",
            "environment": ENVIRONMENT,
            "recorded_episodes": RECORDED_EPISODES,
            "starts": arguments.starts,
            "date": date.today().isoformat(),
            "machine": environment_description().to_json(),
        }
    ]
    for seed in seeds:
        row = compare(expert=experts[seed], run=runs[seed], seed=seed, starts=arguments.starts)
        print({name: value for name, value in row.items() if not name.endswith("_returns")}, flush=True)
        rows.append(row)
    write_rows(arguments.output, rows)


if __name__ == "__main__":
    main()

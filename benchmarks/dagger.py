"""DAgger beside plain cloning and online supervised learning, from the same expert with the same number of labels.

    python benchmarks/learning.py pendulum_sac --seeds 5           # the experts of one task
    python benchmarks/learning.py double_pendulum_sac --seeds 5    # and of another
    python benchmarks/dagger.py pendulum double_pendulum --seeds 5

Pendulum-v1 and Hopper-v5 were named before any run was made, and HalfCheetah-v5 after Hopper's had shown no difference,
before any run of its own; it showed none either: there, a clone is as good as its expert. InvertedDoublePendulum-v5 was
tried with the seeds 100 and 101, and named with 1,000 labels before any run with those that are reported.

For each task and seed: the expert's episodes are recorded until there are as many steps as labels; a clone learns from
these, DAgger from as many labels in states of its own (the expert acts for the first tenth of them), and online
supervised learning from as many steps of the expert's, each seen once. All make the same number of updates with the
same network, but for online supervised learning, which has one pass. Then each policy plays the same starts. Writes
``results/dagger.jsonl``, where the rows of tasks that are not asked for stay: for each task a row of settings, a row
for each run, and a summary with 95 % bootstrap intervals over the seeds. Policies that are learned already are not
learned again, and refused if they were learned with other settings.
"""

import argparse
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from seeds import read_rows, write_rows
from settings import commits_of, is_done, mark_done

import triax
from triax.evaluation import Evaluator
from triax.runs import environment_description
from triax.statistics import bootstrap_interval

ROOT = Path(__file__).resolve().parents[1]
BATCH = 64
UPDATES_PER_LABEL = 5
FIRST_START = 5_000_000
"""Seed of the evaluation; far from those of training and recording."""

TASKS = {
    "pendulum": ("Pendulum-v1", "pendulum_sac", 400),
    "hopper": ("Hopper-v5", "hopper_sac", 2000),
    "half_cheetah": ("HalfCheetah-v5", "half_cheetah_sac", 2000),
    "double_pendulum": ("InvertedDoublePendulum-v5", "double_pendulum_sac", 1000),
}
"""Environment, experiment of the expert, labels."""


def learners(*, expert: Path, labels: int) -> dict[str, tuple[Any, int]]:
    """Describe who learns, and for how long.

    :param expert: the expert's run directory.
    :param labels: how many labels each gets.
    :return: learners with their total steps (updates, for the clone), by name.
    """
    asked = triax.ExpertRun(run=expert)
    warmup = labels // 10
    return {
        "clone": (
            triax.BCConfig(batch_size=BATCH, held_out_fraction=0.0, normalise_observations=True),
            UPDATES_PER_LABEL * (labels - warmup),
        ),
        "dagger": (
            triax.DAggerConfig(
                expert=asked,
                batch_size=BATCH,
                normalise_observations=True,
                warmup_steps=warmup,
                updates_per_step=UPDATES_PER_LABEL,
            ),
            labels,
        ),
        "online_supervised": (
            triax.OnlineSupervisedConfig(expert=asked, batch_size=1, steps=1, normalise_observations=True),
            labels,
        ),
    }


def learn(*, task: str, name: str, seed: int, runs: Path, datasets: Path) -> Path:
    """Train one learner, unless that is done.

    :param task: one of :data:`TASKS`.
    :param name: of the learner.
    :param seed: of the expert, the recording and the learner.
    :param runs: folder of the run directories.
    :param datasets: folder of the recordings.
    :return: its run directory.
    """
    environment, expert_name, labels = TASKS[task]
    expert = runs / f"{expert_name}-{seed}"
    run = runs / f"{task}-{name}-{seed}"
    identifier = f"{task}/labels-{seed}-v0"
    learner, steps = learners(expert=expert, labels=labels)[name]
    experiment = triax.Experiment(
        name=f"{task}-{name}",
        learner=learner,
        environment=triax.EnvironmentConfig(id=environment),
        dataset=triax.DatasetConfig(id=identifier, root=datasets) if name == "clone" else None,
        total_steps=steps,
        seed=seed,
        evaluation=triax.EvaluationConfig(interval=10 * steps, episodes=1, at_start=False),
        loop=triax.LoopConfig(video=False),
    )
    if is_done(run=run, experiment=experiment):
        return run
    if name == "clone" and not (datasets / identifier).exists():
        record = [str(Path(sys.executable).with_name("triax")), "record", str(expert), "--dataset", identifier]
        record += ["--steps", str(labels), "--episodes", str(labels), "--seed", str(seed), "--root", str(datasets)]
        subprocess.run(record, cwd=ROOT, check=True)
    if (run / "experiment.json").exists():
        triax.resume(run_directory=run)
    else:
        triax.train(experiment=experiment, run_directory=run)
    mark_done(run)
    return run


def play(*, task: str, run: Path, starts: int, best: bool) -> list[float]:
    """Play the same starts with the mode of a run's policy.

    :param task: one of :data:`TASKS`.
    :param run: its run directory.
    :param starts: how many episodes.
    :param best: whether the best checkpoint plays, as the expert's does; else the last.
    :return: their returns.
    """
    agent = triax.load_agent(run_directory=run, checkpoint="best" if best else "last")
    evaluator = Evaluator(
        make=triax.EnvironmentConfig(id=TASKS[task][0]).make,
        policy=agent.learner.policy,
        observation_spec=agent.spec.observation,
        action_spec=agent.spec.action,
        config=triax.EvaluationConfig(episodes=starts, environments=min(starts, 20)),
    )
    try:
        result = evaluator.evaluate(parameters=agent.parameters, evaluation_seed=FIRST_START)
    finally:
        evaluator.close()
    assert result is not None
    return list(result.returns)


def summarise(*, task: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the seeds of a task together.

    :param task: one of :data:`TASKS`.
    :param rows: of the runs.
    :return: a row: the mean return of each learner, and of DAgger less the clone's of the same seed, with intervals.
    """
    means: dict[str, list[float]] = {}
    for row in rows:
        if row["kind"] == "policy" and row["task"] == task:
            means.setdefault(row["learner"], []).append(row["mean_return"])
    means["dagger less clone"] = [dagger - clone for dagger, clone in zip(means["dagger"], means["clone"], strict=True)]
    summary: dict[str, Any] = {"kind": "summary", "task": task}
    for name, of_seeds in means.items():
        interval = bootstrap_interval(np.array(of_seeds))
        numbers = {"mean": float(np.mean(of_seeds)), "low": interval.low, "high": interval.high}
        summary[name] = {key: round(number, 1) for key, number in numbers.items()}
    return summary


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to this, less one (default: 5)")
    parser.add_argument("--starts", type=int, default=100, help="episodes of each (default: 100)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "learning", help="folder of the run directories")
    parser.add_argument("--datasets", type=Path, default=ROOT / "datasets", help="folder of the recordings")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "dagger.jsonl")
    arguments = parser.parse_args()
    tasks = arguments.tasks or list(TASKS)
    if unknown := sorted(set(tasks) - set(TASKS)):
        parser.error(f"there is no task {unknown[0]!r}; there are {', '.join(TASKS)}.")
    known = read_rows(arguments.output) if arguments.output.exists() else []
    rows = [row for row in known if row["task"] not in tasks]
    for task in tasks:
        environment, expert_name, labels = TASKS[task]
        learned = {
            name: [
                learn(task=task, name=name, seed=seed, runs=arguments.runs, datasets=arguments.datasets)
                for seed in range(arguments.seeds)
            ]
            for name in ("clone", "dagger", "online_supervised")
        }
        rows.append(
            {
                "kind": "settings",
                "task": task,
                "descriptions": {
                    name: json.loads((runs[0] / "experiment.json").read_text())["experiment"]
                    for name, runs in learned.items()
                },
                "commits": commits_of([run for runs in learned.values() for run in runs]),
                "environment": environment,
                "labels": labels,
                "command": f"python benchmarks/dagger.py {task} --seeds {arguments.seeds} --starts {arguments.starts}",
                "starts": arguments.starts,
                "date": date.today().isoformat(),
                "machine": environment_description().to_json(),
            }
        )
        for seed in range(arguments.seeds):
            played = {"expert": (arguments.runs / f"{expert_name}-{seed}", True)}
            played |= {name: (runs[seed], False) for name, runs in learned.items()}
            for name, (run, best) in played.items():
                returns = play(task=task, run=run, starts=arguments.starts, best=best)
                row = {"kind": "policy", "task": task, "learner": name, "seed": seed}
                row |= {"mean_return": round(float(np.mean(returns)), 2)}
                print(row, flush=True)
                rows.append({**row, "returns": np.round(returns, 2).tolist()})
        rows.append(summarise(task=task, rows=rows))
        print(rows[-1], flush=True)
    write_rows(arguments.output, rows)


if __name__ == "__main__":
    main()

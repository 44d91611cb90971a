"""Learning results over seeds: trains an experiment several times and keeps what the evaluations say.

    python benchmarks/learning.py mixed_action_ppo --seeds 5 --jobs 2

Trains each seed in a process of its own (``experiments/NAME.py``), goes on with those that were stopped, skips those
that are done, refuses those that were made with other settings than the file and the options have now, and writes
``results/NAME.jsonl`` (one row of settings, one row an evaluation and seed) and ``results/NAME.png``. Environments are
stepped in line unless an option says otherwise, which makes the same again to the bit.
"""

import argparse
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from seeds import add_seeds, for_each_seed, seed_options, seeds_of, write_rows
from settings import commits_of, experiment_of, is_done, mark_done

from triax.runs import RunDirectory, compare_runs, environment_description, read_evaluations

ROOT = Path(__file__).resolve().parents[1]


def train_seed(*, name: str, seed: int, runs: Path, pin: list[str], options: list[str]) -> Path:
    """Train one seed to its end.

    :param name: of the experiment's file.
    :param seed: the run's seed.
    :param runs: the folder of the run directories.
    :param pin: the beginning of a command that keeps it to a core; may be empty.
    :param options: further options of the command ``train``.
    :return: the run directory.
    :raises SystemExit: if it was begun with other settings.
    """
    run = runs / f"{name}-{seed}"
    options = ["--seed", str(seed), "--loop.no-video", "--rollout.backend", "inline", *options]
    if is_done(run=run, experiment=experiment_of(ROOT / "experiments" / f"{name}.py", options=options)):
        return run
    command = [sys.executable, f"experiments/{name}.py"]
    if (run / "experiment.json").exists():
        command += ["resume", "--run-directory", str(run)]
    else:
        command += ["train", "--run-directory", str(run), *options]
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / f"{name}-{seed}.log").open("ab") as log:
        subprocess.run([*pin, *command], cwd=ROOT, stdout=log, stderr=log, check=True)
    mark_done(run)
    return run


def settings_row(*, name: str, directories: list[Path], command: str) -> dict[str, Any]:
    """Say what runs were made with; the first row of a result.

    :param name: of their experiment.
    :param directories: of the runs, which differ in their seeds alone.
    :param command: what made the result.
    :return: the row.
    """
    document = RunDirectory.open(directories[0]).document()
    return {
        "kind": "settings",
        "experiment": name,
        "description": document["experiment"],
        "commits": commits_of(directories),
        "command": command,
        "date": date.today().isoformat(),
        "machine": document["machine"],
        "summarised_on": environment_description().to_json(),
    }


def summarise(*, name: str, directories: list[Path], command: str, output: Path) -> None:
    """Write what the evaluations say, and a plot.

    :param name: of the experiment.
    :param directories: of the runs, one a seed.
    :param command: with which they were made.
    :param output: the folder of results.
    """
    rows = [settings_row(name=name, directories=directories, command=command)]
    for directory in directories:
        run = RunDirectory.open(directory)
        seed = json.loads(run.experiment_path.read_text())["seed"]
        for evaluation in read_evaluations(run):
            row = evaluation.to_json()
            row["returns"] = [round(float(value), 3) for value in evaluation.returns]
            rows.append({"kind": "evaluation", "seed": seed, **row})
    write_rows(output / f"{name}.jsonl", rows)
    runs = [RunDirectory.open(directory) for directory in directories]
    for summary in compare_runs(runs, statistic="mean", output=output / f"{name}.png"):
        print(summary)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a file in experiments/, without .py")
    add_seeds(parser, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each if several (default: 1)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "learning", help="folder of the run directories")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder of the results")
    known, options = parser.parse_known_args()

    def train(seed: int, pin: list[str]) -> Path:
        return train_seed(name=known.name, seed=seed, runs=known.runs, pin=pin, options=options)

    seeds = seeds_of(known)
    directories = for_each_seed(seeds=seeds, jobs=known.jobs, work=train)
    command = " ".join(["python benchmarks/learning.py", known.name, *seed_options(seeds), *options])
    summarise(name=known.name, directories=directories, command=command, output=known.output)


if __name__ == "__main__":
    main()

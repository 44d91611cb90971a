"""Training with workers and an evaluator beside it, against training in line: returns at equal steps, and wall time.

    python benchmarks/learning.py pendulum_sac --seeds 5 --jobs 2     # in line
    python benchmarks/random_policy.py
    python benchmarks/asynchronous.py pendulum_sac --seeds 5 --jobs 2
    python benchmarks/asynchronous.py pendulum_sac --timed 2
    python benchmarks/asynchronous.py pendulum_sac --environments 8 --timed 2

Trains the seeds that are missing, with the same steps and the same ratio of updates to steps, and writes
``results/asynchronous/NAME.jsonl`` (the rows), ``NAME_compared.json`` (areas under the evaluation curves, above what
random actions score, and their ratio) and ``NAME_compared.png``. With ``--timed`` it trains all kinds in turns, on all
cores, and writes ``NAME_timed.json``: seconds from the first row of metrics to the last, so that the start does not
count, and evaluations do. With ``--environments N`` the worker has N environments, in line there is one as ever, and
what is timed is also training in line with N; the folder is ``results/asynchronous_N_environments``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from curves import compare
from learning import summarise, train_seed
from seeds import add_seeds, for_each_seed, read_rows, seed_options, seeds_of
from settings import commit, description_of, experiment_of

from triax.runs import RunDirectory, environment_description, read_metrics

ROOT = Path(__file__).resolve().parents[1]


def rollout_options(*, backend: str, environments: int) -> list[str]:
    """Give the options of a kind of training.

    :param backend: of the rollout.
    :param environments: of a worker, or in line.
    :return: options of the command ``train``.
    """
    return ["--rollout.backend", backend, "--rollout.environments-per-worker", str(environments)]


def seconds_of_training(*, name: str, seed: int, options: list[str]) -> float:
    """Train once, on all cores.

    :param name: of the experiment.
    :param seed: the run's seed.
    :param options: further options of the command ``train``.
    :return: seconds from the first row of metrics to the last.
    """
    with tempfile.TemporaryDirectory(prefix="timed-") as folder:
        run = Path(folder) / "run"
        command = [sys.executable, f"experiments/{name}.py", "train", "--run-directory", str(run)]
        command += ["--seed", str(seed), "--loop.no-video", *options]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = read_metrics(RunDirectory.open(run))
    return rows[-1].wall_seconds - rows[0].wall_seconds


def time_in_turns(*, name: str, rounds: int, environments: int, options: list[str]) -> dict[str, Any]:
    """Train every kind in turns.

    :param name: of the experiment.
    :param rounds: of turns; each has a seed of its own.
    :param environments: of the worker.
    :param options: further options of the command ``train``.
    :return: the report.
    """
    kinds = {
        "asynchronous": rollout_options(backend="processes", environments=environments),
        "in line": rollout_options(backend="inline", environments=1),
    }
    if environments > 1:
        kinds[f"in line, {environments} environments"] = rollout_options(backend="inline", environments=environments)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind in list(kinds)[:: 1 if number % 2 == 0 else -1]:
            found = seconds_of_training(name=name, seed=number, options=[*kinds[kind], *options])
            seconds[kind].append(round(found, 2))
            print(kind, seconds[kind][-1], flush=True)
    return {
        "experiment": name,
        "description": description_of(experiment_of(ROOT / "experiments" / f"{name}.py", options=options)),
        "commit": commit(),
        "command": command_of(name, environments, ["--timed", str(rounds), *options]),
        "date": date.today().isoformat(),
        "seconds": seconds,
        "asynchronous_to_median": {
            kind: round(statistics.median(a / b for a, b in zip(seconds["asynchronous"], found, strict=True)), 3)
            for kind, found in seconds.items()
            if kind != "asynchronous"
        },
        "machine": environment_description().to_json(),
    }


def command_of(name: str, environments: int, options: list[str]) -> str:
    """Write down how a result is made again.

    :param name: of the experiment.
    :param environments: of the worker.
    :param options: all others.
    :return: the command.
    """
    many = ["--environments", str(environments)] if environments > 1 else []
    return " ".join(["python benchmarks/asynchronous.py", name, *many, *options])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a file in experiments/, without .py")
    add_seeds(parser, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each if several (default: 1)")
    parser.add_argument("--environments", type=int, default=1, help="of the worker (default: 1)")
    parser.add_argument("--timed", type=int, default=0, help="rounds of timing, instead of curves (default: none)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the folders of run directories")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where the results in line are")
    known, options = parser.parse_known_args()
    environments = known.environments
    folder = "asynchronous" if environments == 1 else f"asynchronous_{environments}_environments"
    output, runs = known.results / folder, known.runs / folder
    output.mkdir(parents=True, exist_ok=True)
    if known.timed > 0:
        report = time_in_turns(name=known.name, rounds=known.timed, environments=environments, options=options)
        (output / f"{known.name}_timed.json").write_text(json.dumps(report, indent=1) + "\n")
        print(json.dumps(report["asynchronous_to_median"]))
        return
    given = options
    options = [*rollout_options(backend="processes", environments=environments), *given]

    def train(seed: int, pin: list[str]) -> Path:
        return train_seed(name=known.name, seed=seed, runs=runs, pin=pin, options=options)

    seeds = seeds_of(known)
    directories = for_each_seed(seeds=seeds, jobs=known.jobs, work=train)
    summarise(name=known.name, directories=directories, options=[*seed_options(seeds), *options], output=output)
    random = {row["experiment"]: row["mean"] for row in read_rows(known.results / "random_policy.jsonl")[1:]}
    document = compare(
        name=known.name,
        curves={
            "asynchronous": read_rows(output / f"{known.name}.jsonl"),
            "in line": read_rows(known.results / f"{known.name}.jsonl"),
        },
        output=output / f"{known.name}_compared.png",
        baseline=random[known.name],
    )
    document["command"] = command_of(known.name, environments, [*seed_options(seeds), *given])
    (output / f"{known.name}_compared.json").write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()

"""Training with workers and an evaluator beside it, against training in line: returns at equal steps, and wall time.

    python benchmarks/learning.py pendulum_sac --seeds 5 --jobs 2     # in line
    python benchmarks/random_policy.py
    python benchmarks/asynchronous.py pendulum_sac --seeds 5 --jobs 2
    python benchmarks/asynchronous.py pendulum_sac --seeds 5 --environments 8
    python benchmarks/asynchronous.py pendulum_sac --timed 3 --environments 8

Trains the seeds that are missing, with the same steps and the same ratio of updates to steps, and writes
``results/asynchronous/NAME.jsonl`` (the rows), ``NAME_compared.json`` (areas under the evaluation curves, above what
random actions score, and their ratio) and ``NAME_compared.png``. With ``--environments N`` a worker has N environments,
not as many as the experiment's file says, and the folder is ``results/asynchronous_N_environments``.

With ``--timed`` it trains both kinds in turns, on all cores, and with ``--environments`` both with N environments as
well, and writes ``results/asynchronous/NAME_timed.json``: seconds from the first row of metrics after updates began to
the last, so that start and compilation do not count, and evaluations do.
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
BACKENDS = {"asynchronous": "processes", "in line": "inline"}


def rollout_options(*, backend: str, environments: int | None) -> list[str]:
    """Give the options of a kind of training.

    :param backend: of the rollout.
    :param environments: of a worker, or in line; None: as many as the experiment's file says.
    :return: options of the command ``train``.
    """
    many = [] if environments is None else ["--rollout.environments-per-worker", str(environments)]
    return ["--rollout.backend", backend, *many]


def seconds_of_training(*, name: str, seed: int, options: list[str]) -> float:
    """Train once, on all cores.

    :param name: of the experiment.
    :param seed: the run's seed.
    :param options: further options of the command ``train``.
    :return: seconds from the first row of metrics after updates began to the last.
    """
    with tempfile.TemporaryDirectory(prefix="timed-") as folder:
        run = Path(folder) / "run"
        command = [sys.executable, f"experiments/{name}.py", "train", "--run-directory", str(run)]
        command += ["--seed", str(seed), "--loop.no-video", *options]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        rows = [row for row in read_metrics(RunDirectory.open(run)) if row.updates > 0]
    return rows[-1].wall_seconds - rows[0].wall_seconds


def time_in_turns(*, name: str, rounds: int, environments: int | None, options: list[str]) -> dict[str, Any]:
    """Train every kind in turns.

    :param name: of the experiment.
    :param rounds: of turns; each has a seed of its own.
    :param environments: of a worker or in line, beside as many as the experiment's file says; None: only these.
    :param options: further options of the command ``train``.
    :return: the report.
    """
    kinds: dict[str, list[str]] = {}
    for number in [None] if environments is None else [None, environments]:
        for kind, backend in BACKENDS.items():
            label = kind if number is None else f"{kind}, {number} environments"
            kinds[label] = [*rollout_options(backend=backend, environments=number), *options]
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for seed in range(rounds):
        for kind in list(kinds)[:: 1 if seed % 2 == 0 else -1]:
            seconds[kind].append(round(seconds_of_training(name=name, seed=seed, options=kinds[kind]), 2))
            print(kind, seconds[kind][-1], flush=True)
    file = ROOT / "experiments" / f"{name}.py"
    return {
        "experiment": name,
        "descriptions": {kind: description_of(experiment_of(file, options=given)) for kind, given in kinds.items()},
        "commit": commit(),
        "command": command_of(name=name, environments=environments, options=["--timed", str(rounds), *options]),
        "date": date.today().isoformat(),
        "seconds": seconds,
        "median_of_ratios_to_in_line": {
            kind: round(statistics.median(a / b for a, b in zip(found, seconds["in line"], strict=True)), 3)
            for kind, found in seconds.items()
            if kind != "in line"
        },
        "machine": environment_description().to_json(),
    }


def command_of(*, name: str, environments: int | None, options: list[str]) -> str:
    """Write down how a result is made again.

    :param name: of the experiment.
    :param environments: as given.
    :param options: all others.
    :return: the command.
    """
    many = [] if environments is None else ["--environments", str(environments)]
    return " ".join(["python benchmarks/asynchronous.py", name, *many, *options])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a file in experiments/, without .py")
    add_seeds(parser, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each if several (default: 1)")
    parser.add_argument("--environments", type=int, help="of a worker (default: as the experiment's file)")
    parser.add_argument("--timed", type=int, default=0, help="rounds of timing, instead of curves (default: none)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the folders of run directories")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where the results in line are")
    known, options = parser.parse_known_args()
    output = known.results / "asynchronous"
    output.mkdir(parents=True, exist_ok=True)
    environments = known.environments
    if known.timed > 0:
        report = time_in_turns(name=known.name, rounds=known.timed, environments=environments, options=options)
        (output / f"{known.name}_timed.json").write_text(json.dumps(report, indent=1) + "\n")
        print(json.dumps(report["median_of_ratios_to_in_line"]))
        return
    if environments is not None:
        output = known.results / f"asynchronous_{environments}_environments"
    runs = known.runs / output.name
    given = options
    options = [*rollout_options(backend="processes", environments=environments), *given]

    def train(seed: int, pin: list[str]) -> Path:
        return train_seed(name=known.name, seed=seed, runs=runs, pin=pin, options=options)

    seeds = seeds_of(known)
    directories = for_each_seed(seeds=seeds, jobs=known.jobs, work=train)
    command = command_of(name=known.name, environments=environments, options=[*seed_options(seeds), *given])
    summarise(name=known.name, directories=directories, command=command, output=output)
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
    document["command"] = command
    (output / f"{known.name}_compared.json").write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()

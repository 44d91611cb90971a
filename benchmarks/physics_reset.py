"""What randomised physics costs at every reset: sampling a table, editing and compiling the model, taking it over.

    python benchmarks/physics_reset.py

For each table of the library, in this process alone. The environment's own reset is timed beside it. On a machine that
does other things as well, the processor's time says what the wall clock does not. Writes a JSON report.
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from triax.environments import EnvironmentConfig, MissingDependency, dm_control_environment
from triax.environments.physics import PHYSICS_TABLES, PhysicsTable, episode_physics
from triax.environments.physics.appliers import make_appliers
from triax.runs import environment_description

ROOT = Path(__file__).resolve().parents[1]

TASKS = {
    "hopper": "hop",
    "cheetah": "run",
    "cheetah, hard": "run",
    "walker": "walk",
    "cartpole": "balance",
    "acrobot": "swingup",
    "manipulator": "bring_ball",
    "finger": "turn_easy",
}
"""For each domain of dm_control a task; its tasks share the model."""


def make(name: str) -> gymnasium.Env[Any, Any]:
    """Make the environment of a table.

    :param name: of the table.
    :return: the environment, without the table.
    """
    if not name.startswith("dm_control/"):
        return EnvironmentConfig(id=name).make()
    domain = name.removeprefix("dm_control/")
    return dm_control_environment(domain=domain.split(",")[0], task=TASKS[domain])


def measure(*, environment: gymnasium.Env[Any, Any], table: PhysicsTable, repetitions: int) -> dict[str, float]:
    """Time what comes before an environment's reset, and the reset.

    :param environment: the environment.
    :param table: what is randomised.
    :param repetitions: how often.
    :return: milliseconds by name.
    """
    begin = time.perf_counter()
    appliers = make_appliers(environment=environment, table=table)
    construction = time.perf_counter() - begin
    applying, computing, resetting = [], [], []
    for seed in range(repetitions):
        begin, begin_processor = time.perf_counter(), time.process_time()
        values = episode_physics(table=table, seed=seed).values
        for applier in appliers:
            applier.apply(values)
        applied, applied_processor = time.perf_counter(), time.process_time()
        environment.reset(seed=seed)
        for applier in appliers:
            applier.check()
        resetting.append(time.perf_counter() - applied)
        applying.append(applied - begin)
        computing.append(applied_processor - begin_processor)
    named = {
        "median": np.median(applying),
        "percentile_95": np.percentile(applying, 95),
        "processor_median": np.median(computing),
        "processor_percentile_95": np.percentile(computing, 95),
        "own_reset_median": np.median(resetting),
        "construction": construction,
    }
    return {name: round(1e3 * float(seconds), 3) for name, seconds in named.items()}


def main() -> None:
    """Measure all tables and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200, help="resets of each environment")
    parser.add_argument("--output", type=Path, default=ROOT / "results/physics_reset.json", help="where to write")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "command": f"python benchmarks/physics_reset.py --repetitions {arguments.repetitions}",
        "date": date.today().isoformat(),
        "milliseconds": {},
        "left_out": [],
        "machine": environment_description().to_json(),
    }
    for name, table in PHYSICS_TABLES.items():
        try:
            environment = make(name)
        except MissingDependency:
            report["left_out"].append(name)
            continue
        found = measure(environment=environment, table=table, repetitions=arguments.repetitions)
        environment.close()
        report["milliseconds"][name] = found
        print(
            f"{name:30s} {found['median']:7.2f} ms, of which the processor worked {found['processor_median']:.2f} ms",
            flush=True,
        )
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What an agent paints in Triangles: its remaining error on targets it never saw, and a picture of it at work.

    python benchmarks/triangles_gallery.py runs/triangles_ppo

The targets are those of ``triangles_random_search.py``, which come from no seed that training uses, so that both files
of results speak of the same images. Writes ``results/triangles_agent.json`` and ``docs/_static/triangles.png``, where
each row is an episode: the target, the canvas after some of the operations, and the end. Below each canvas stands what
was done last, and which share of the squared error is left.
"""

import argparse
import json
import shlex
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import numpy.typing as npt

import triax
from triax.environments.triangles import Operation, Triangles
from triax.random import episode_seed
from triax.runs import environment_description
from triax.statistics import bootstrap_interval
from triax.training.agent import Agent, resolved_checkpoint
from triax.training.session import stored_environment

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 8
"""Canvases in a row of the picture at the most, the last one included."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation of an episode.

    :ivar label: what was done, as the picture names it.
    :ivar operation: what was done.
    :ivar error: what it left of the blank canvas's squared error.
    :ivar canvas: uint8 [height, width, 3].
    """

    label: str
    operation: Operation
    error: float
    canvas: npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Painting:
    """One episode.

    :ivar target: uint8 [height, width, 3].
    :ivar steps: from the first operation to the last.
    """

    target: npt.NDArray[np.uint8]
    steps: tuple[Step, ...]

    @property
    def error(self) -> float:
        """What remains in the end."""
        return self.steps[-1].error

    @property
    def gains(self) -> tuple[tuple[Operation, float], ...]:
        """By how much each operation lowered the error, as a share of the blank canvas's."""
        errors = (1.0, *(step.error for step in self.steps))
        return tuple((step.operation, errors[place] - errors[place + 1]) for place, step in enumerate(self.steps))


def paint(*, agent: Agent, environment: Triangles, seed: int) -> Painting:
    """Play an episode, with the likeliest choice and the mean parameters.

    :param agent: the painter.
    :param environment: the environment, with stacked images.
    :param seed: of the target.
    :return: what it did.
    """
    observation, _ = environment.reset(seed=seed)
    steps: list[Step] = []
    running = True
    while running:
        action = agent.act(observation=observation, deterministic=True)
        observation, _, terminated, truncated, info = environment.step(action)
        operation = Operation(int(action["operation"]))
        label = operation.name.lower() + (f" {int(action['which'])}" if operation is Operation.EDIT else "")
        canvas = observation["image"][:, :, 3:].copy()
        steps.append(Step(label=label, operation=operation, error=info["error"], canvas=canvas))
        running = not (terminated or truncated)
    return Painting(target=environment.target.copy(), steps=tuple(steps))


def draw(*, paintings: list[Painting], path: Path) -> None:
    """Draw episodes, one a row.

    :param paintings: the episodes.
    :param path: of the PNG.
    """
    columns = 1 + min(COLUMNS, max(len(painting.steps) for painting in paintings))
    figure = matplotlib.figure.Figure(figsize=(1.15 * columns, 1.45 * len(paintings)), layout="constrained")
    axes: Any = figure.subplots(len(paintings), columns, squeeze=False)
    for row, painting in zip(axes, paintings, strict=True):
        last = len(painting.steps) - 1
        shown = sorted({round(place) for place in np.linspace(0, last, min(COLUMNS, last + 1))})
        images = [(painting.target, "target")]
        for place in shown:
            step = painting.steps[place]
            images.append((step.canvas, f"{place + 1}: {step.label}\n{step.error:.0%} left"))
        for place, axis in enumerate(row):
            axis.set_axis_off()
            if place < len(images):
                image, title = images[place]
                axis.imshow(image, interpolation="nearest")
                axis.set_title(title, fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory of an agent that paints")
    parser.add_argument("--targets", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the targets (default: 0)")
    parser.add_argument("--rows", type=int, default=6, help="episodes in the picture (default: 6)")
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last", help="which one (default: last)")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "triangles_agent.json")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "_static" / "triangles.png")
    arguments = parser.parse_args()
    agent = triax.load_agent(run_directory=arguments.run, checkpoint=arguments.checkpoint)
    environment = stored_environment(run=triax.runs.RunDirectory.open(arguments.run)).make().unwrapped
    assert isinstance(environment, Triangles)
    paintings = [
        paint(
            agent=agent, environment=environment, seed=episode_seed(seed=arguments.seed, environment=0, episode=index)
        )
        for index in range(arguments.targets)
    ]
    errors = [painting.error for painting in paintings]
    interval = bootstrap_interval(errors)
    operations = Counter(step.operation.name.lower() for painting in paintings for step in painting.steps)
    gains: dict[str, list[float]] = defaultdict(list)
    for operation, gain in (each for painting in paintings for each in painting.gains):
        gains[operation.name.lower()].append(gain)
    stopped = sum(painting.steps[-1].operation is Operation.STOP for painting in paintings)
    run = triax.runs.RunDirectory.open(arguments.run)
    evaluations = triax.runs.read_evaluations(run)
    stored = json.loads(run.experiment_path.read_text())
    document = {
        "command": f"python benchmarks/triangles_gallery.py {shlex.join(sys.argv[1:])}",
        "date": date.today().isoformat(),
        "trained": {
            "environment_steps": resolved_checkpoint(run=arguments.run, checkpoint=arguments.checkpoint),
            "wall_seconds_until_last_evaluation": round(evaluations[-1].wall_seconds),
            "experiment": stored["experiment"],
            "machine": stored["machine"],
        },
        "targets": arguments.targets,
        "environment": {"maximum": environment.maximum, "energy": environment.energy},
        "remaining_error": {
            "mean": round(float(np.mean(errors)), 3),
            "interval_low": round(interval.low, 3),
            "interval_high": round(interval.high, 3),
            "each": [round(error, 3) for error in errors],
        },
        "operations": dict(operations),
        "mean_gain_of_an_operation": {name: round(float(np.mean(each)), 4) for name, each in gains.items()},
        "episodes_ended_by_stop": stopped,
        "machine": environment_description().to_json(),
    }
    shown = ("operations", "mean_gain_of_an_operation", "episodes_ended_by_stop")
    print(
        f"{np.mean(errors):.3f} [{interval.low:.3f}, {interval.high:.3f}] remains;",
        json.dumps({name: document[name] for name in shown}),
    )
    arguments.output.write_text(json.dumps(document, indent=1) + "\n")
    draw(paintings=paintings[: arguments.rows], path=arguments.picture)


if __name__ == "__main__":
    main()

"""What random search paints in Triangles: what an agent's remaining error is to be compared with.

    python benchmarks/triangles_random_search.py --targets 300

At every step so many random triangles are tried over the canvas, the best one is taken if it makes the squared error
smaller, and nothing is added otherwise. An agent cannot do that: it has one try a step, and sees what comes of it.
Targets are drawn as the environment draws them. Writes ``results/triangles_random_search.json``.
"""

import argparse
import json
import shlex
import sys
from datetime import date
from pathlib import Path

import numpy as np

from triax.environments.triangles import Triangles
from triax.environments.triangles_renderer import NUMBERS, from_bytes
from triax.random import derive_generator, episode_seed
from triax.runs import environment_description
from triax.statistics import bootstrap_interval

ROOT = Path(__file__).resolve().parents[1]


def search(*, environment: Triangles, candidates: int, steps: int, generator: np.random.Generator) -> float:
    """Paint the target of a running episode.

    :param environment: after a reset.
    :param candidates: random triangles at each step.
    :param steps: how many triangles there are at most.
    :param generator: of the triangles.
    :return: what remains of the blank canvas's squared error.
    """
    renderer = environment.renderer
    target, canvas = from_bytes(environment.target), environment.blank
    blank_error = error = float(np.square(canvas - target).sum())
    for _ in range(steps):
        triangles = generator.uniform(-1.0, 1.0, (candidates, NUMBERS)).astype(np.float32)
        painted = [renderer.layer(triangle).over(canvas) for triangle in triangles]
        errors = [float(np.square(each - target).sum()) for each in painted]
        best = int(np.argmin(errors))
        if errors[best] < error:
            error, canvas = errors[best], painted[best]
    return error / blank_error if blank_error > 0.0 else 0.0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--size", type=int, default=16, help="height and width in pixels (default: 16)")
    parser.add_argument("--steps", type=int, default=16, help="triangles at most (default: 16)")
    parser.add_argument("--candidates", type=int, nargs="+", default=[1, 8, 32], help="tries a step (default: 1 8 32)")
    parser.add_argument("--seed", type=int, default=0, help="of targets and triangles (default: 0)")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "triangles_random_search.json")
    arguments = parser.parse_args()
    environment = Triangles(height=arguments.size, width=arguments.size)
    remaining: dict[str, dict[str, float]] = {}
    for candidates in arguments.candidates:
        generator = derive_generator(seed=arguments.seed, name=("random search", candidates))
        shares = []
        for episode in range(arguments.targets):
            environment.reset(seed=episode_seed(seed=arguments.seed, environment=0, episode=episode))
            shares.append(
                search(environment=environment, candidates=candidates, steps=arguments.steps, generator=generator)
            )
        interval = bootstrap_interval(shares)
        remaining[str(candidates)] = {
            "mean": round(float(np.mean(shares)), 3),
            "interval_low": round(interval.low, 3),
            "interval_high": round(interval.high, 3),
        }
        print(candidates, remaining[str(candidates)], flush=True)
    document = {
        "command": f"python benchmarks/triangles_random_search.py {shlex.join(sys.argv[1:])}".strip(),
        "date": date.today().isoformat(),
        "settings": {
            "targets": arguments.targets,
            "size": arguments.size,
            "steps": arguments.steps,
            "seed": arguments.seed,
            "opacity": environment.renderer.opacity,
            "generator": repr(environment.targets),
        },
        "remaining_error_by_candidates": remaining,
        "machine": environment_description().to_json(),
    }
    arguments.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""How fast Triangles is: painting a triangle and a whole canvas, beside Pillow in turns, and steps of the environment.

    python benchmarks/triangles_renderer.py

Everything runs on one core, in turns within a round; rates are in processor time, so that what else the machine does
counts less. Pillow draws each triangle into an empty RGBA image and composites it, which is how it paints with
opacity. Writes ``results/triangles_renderer.json``.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from triax.environments.triangles import Operation, Triangles
from triax.environments.triangles_renderer import NUMBERS, TriangleRenderer
from triax.random import derive_generator
from triax.runs import environment_description

ROOT = Path(__file__).resolve().parents[1]
MAXIMUM = 16
OPACITY = (0.1, 0.9)

Triangle = npt.NDArray[np.float32]


def paint_with_pillow(*, canvas: Image.Image, triangle: Triangle) -> Image.Image:
    """Paint a triangle over a canvas.

    :param canvas: an RGBA image.
    :param triangle: ten numbers in [-1, 1].
    :return: another one.
    """
    shares = ((triangle + 1.0) / 2.0).tolist()
    opacity = OPACITY[0] + shares[3] * (OPACITY[1] - OPACITY[0])
    colour = tuple(round(255 * share) for share in (*shares[:3], opacity))
    width, height = canvas.size
    # Pillow's coordinates are of the pixels' middles.
    corners = [(x * width - 0.5, y * height - 0.5) for x, y in zip(shares[4::2], shares[5::2], strict=True)]
    layer = Image.new("RGBA", canvas.size)
    ImageDraw.Draw(layer).polygon(corners, fill=colour)
    return Image.alpha_composite(canvas, layer)


def play(*, environment: Triangles, operations: list[Operation], generator: np.random.Generator) -> int:
    """Take steps with random parameters, each episode to its end.

    :param environment: where.
    :param operations: which operations, in turn.
    :param generator: of the parameters.
    :return: how many steps.
    """
    environment.reset(seed=0)
    for operation in operations:
        action: dict[str, Any] = {
            "operation": np.int64(operation),
            "which": np.int64(generator.integers(environment.maximum)),
            "parameters": generator.uniform(-1.0, 1.0, NUMBERS).astype(np.float32),
        }
        if environment.step(action)[2]:
            environment.reset()
    return len(operations)


def meters(*, size: int, steps: int) -> dict[str, Callable[[], int]]:
    """List what is measured; each returns how often it did it.

    :param size: height and width in pixels.
    :param steps: of the environment, and triangles painted.
    :return: by name.
    """
    generator = derive_generator(seed=0, name=("triangles",))
    triangles = generator.uniform(-1.0, 1.0, (steps, NUMBERS)).astype(np.float32)
    renderer = TriangleRenderer(height=size, width=size, opacity=OPACITY)
    white = np.ones(3, np.float32)
    blank = renderer.render(background=white, triangles=triangles[:0])

    def paint() -> int:
        canvas = blank
        for triangle in triangles:
            canvas = renderer.layer(triangle).over(canvas)
        return steps

    def paint_pillow() -> int:
        canvas = Image.new("RGBA", (size, size), "white")
        for triangle in triangles:
            canvas = paint_with_pillow(canvas=canvas, triangle=triangle)
            np.asarray(canvas)  # an environment needs the pixels after each step
        return steps

    def repaint() -> int:
        # What an edit of the lowest triangle costs: one is prepared, and all are laid upon it again.
        layers = [renderer.layer(triangle) for triangle in triangles[:MAXIMUM]]
        for triangle in triangles:
            canvas = renderer.layer(triangle).over(blank)
            for layer in layers[1:]:
                canvas = layer.over(canvas)
        return steps

    def repaint_pillow() -> int:
        for triangle in triangles:
            canvas = paint_with_pillow(canvas=Image.new("RGBA", (size, size), "white"), triangle=triangle)
            for other in triangles[1:MAXIMUM]:
                canvas = paint_with_pillow(canvas=canvas, triangle=other)
            np.asarray(canvas)
        return steps

    short = Triangles(height=size, width=size)
    full = Triangles(height=size, width=size, energy=steps + MAXIMUM)
    # Episodes of sixteen operations as they are, additions and edits in turns; and edits of a full canvas alone.
    mixed = [Operation.ADD, Operation.EDIT] * (steps // 2)
    edits = [Operation.ADD] * MAXIMUM + [Operation.EDIT] * (steps - MAXIMUM)
    return {
        "triangle": paint,
        "triangle_pillow": paint_pillow,
        "edit_of_the_lowest_of_16": repaint,
        "edit_of_the_lowest_of_16_pillow": repaint_pillow,
        "step": lambda: play(environment=short, operations=mixed, generator=generator),
        "step_editing_16": lambda: play(environment=full, operations=edits, generator=generator),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels (default: 32)")
    parser.add_argument("--steps", type=int, default=2000, help="in each measurement (default: 2000)")
    parser.add_argument("--rounds", type=int, default=5, help="of measurements in turns (default: 5)")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "triangles_renderer.json")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    load = [os.getloadavg()]
    measured = meters(size=arguments.size, steps=arguments.steps)
    rounds: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(arguments.rounds):
        for name, meter in measured.items():
            start = time.process_time()
            done = meter()
            rounds[name].append(round(done / (time.process_time() - start), 1))
    load.append(os.getloadavg())
    document = {
        "command": f"python benchmarks/triangles_renderer.py --size {arguments.size} --steps {arguments.steps}",
        "date": date.today().isoformat(),
        "unit": "per second of processor time, on one core",
        "median": {name: statistics.median(rates) for name, rates in rounds.items()},
        "rounds": rounds,
        "settings": {"size": arguments.size, "steps": arguments.steps, "opacity": OPACITY},
        "load_average": load,
        "machine": environment_description().to_json(),
    }
    print(document["median"])
    arguments.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

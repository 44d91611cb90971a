"""MixedAction2D's pictures: what stands where, and that neither a display nor Pygame is needed for any of ours."""

import subprocess
import sys
from typing import Any

import numpy as np

from triax.environments import MixedAction2D
from triax.environments.mixed_action_drawing import AGENT_COLOUR, SIZE, TARGET_COLOUR, TRAIL_COLOUR, pixel_of


def move(choice: int, amount: float) -> dict[str, Any]:
    return {"choice": np.int64(choice), "move": np.full(2, amount, dtype=np.float32)}


def placed(*, render_mode: str | None) -> MixedAction2D:
    environment = MixedAction2D(render_mode=render_mode)
    environment.reset(seed=0, options={"position": (0.2, 0.1), "target": (0.8, 0.9)})
    return environment


def test_drawing_shows_target_agent_and_trail_with_y_upwards() -> None:
    environment = placed(render_mode="rgb_array")
    environment.step(move(0, 0.1))
    image = environment.render()
    assert image is not None
    assert image.shape == (SIZE, SIZE, 3) == (256, 256, 3)
    assert image.dtype == np.uint8

    def colour(x: float, y: float) -> tuple[int, ...]:
        return tuple(image[pixel_of(np.array([x, y]))].tolist())

    assert colour(0.8, 0.9) == TARGET_COLOUR
    assert colour(0.84, 0.9) == TARGET_COLOUR  # within 0.05 …
    assert colour(0.86, 0.9) != TARGET_COLOUR  # … and not beyond
    assert colour(0.3, 0.1) == AGENT_COLOUR
    assert colour(0.22, 0.1) == TRAIL_COLOUR
    # y = 0.9 is near the top of the picture, which is its first row.
    assert pixel_of(np.array([0.5, 0.9]))[0] < pixel_of(np.array([0.5, 0.1]))[0]


def test_pictures_follow_the_play_and_are_not_shared() -> None:
    environment = placed(render_mode="rgb_array")
    first = environment.render()
    environment.step(move(1, 0.1))
    second = environment.render()
    assert first is not None
    assert second is not None
    assert not np.array_equal(first, second)
    assert placed(render_mode=None).render() is None


def test_drawing_needs_neither_a_display_nor_a_window_library() -> None:
    # Pygame is made impossible to import, and there is no display in the environment's variables.
    program = (
        "import sys; sys.modules['pygame'] = None\n"
        "import gymnasium, triax.environments\n"
        "for name in ('MixedAction2D', 'MixedActionSets2D', 'Triangles'):\n"
        "    environment = gymnasium.make(f'triax/{name}-v0', render_mode='rgb_array')\n"
        "    environment.reset(seed=0)\n"
        "    print(environment.render().shape)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["(256, 256, 3)", "(256, 256, 3)", "(256, 520, 3)"]

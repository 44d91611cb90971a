"""Draws MixedAction2D and MixedActionSets2D with NumPy alone: no display, no window library."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIZE = 256  # pixels, both ways
MARGIN = 8  # pixels around the arena
AGENT_RADIUS = 0.02  # sides of the arena
TRAIL_WIDTH = 0.008  # sides of the arena

Colour = tuple[int, int, int]
FRAME_COLOUR: Colour = (90, 90, 90)
ARENA_COLOUR: Colour = (255, 255, 255)
TARGET_COLOUR: Colour = (120, 200, 130)
OBSTACLE_COLOUR: Colour = (215, 120, 110)
TRAIL_COLOUR: Colour = (170, 185, 215)
AGENT_COLOUR: Colour = (30, 80, 180)

Point = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Disc:
    """A round zone.

    :ivar centre: x and y in [0, 1].
    :ivar radius: in sides of the arena.
    :ivar colour: red, green, blue in 0 … 255.
    """

    centre: Point
    radius: float
    colour: Colour


def pixel_of(point: Point) -> tuple[int, int]:
    """Find the pixel that shows a point of the arena.

    :param point: x and y in [0, 1].
    :return: row and column; y points up, rows count downwards.
    """
    side = SIZE - 2 * MARGIN
    column, from_below = (min(int(coordinate * side), side - 1) for coordinate in point)
    return SIZE - 1 - MARGIN - from_below, MARGIN + column


def draw_arena(*, discs: Sequence[Disc], trail: Sequence[Point]) -> npt.NDArray[np.uint8]:
    """Draw one frame.

    :param discs: targets and obstacles, the lowest first.
    :param trail: where the agent was, oldest first; the last is where it is. Consecutive points differ in one axis.
    :return: uint8 (SIZE, SIZE, 3).
    """
    # The arena's coordinates of each pixel's middle: x along columns, y along rows, from the bottom up.
    middles = (np.arange(SIZE) + 0.5 - MARGIN) / (SIZE - 2 * MARGIN)
    x, y = middles[None, :], middles[::-1, None]
    inside = (x >= 0.0) & (x <= 1.0) & (y >= 0.0) & (y <= 1.0)

    image = np.empty((SIZE, SIZE, 3), dtype=np.uint8)
    image[:] = FRAME_COLOUR
    image[inside] = ARENA_COLOUR
    for disc in discs:
        image[inside & _disc(x=x, y=y, centre=disc.centre, radius=disc.radius)] = disc.colour
    for start, end in itertools.pairwise(trail):
        # Moves follow one axis, so that a segment with its width is a rectangle.
        low, high = np.minimum(start, end) - TRAIL_WIDTH / 2, np.maximum(start, end) + TRAIL_WIDTH / 2
        image[inside & (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])] = TRAIL_COLOUR
    image[_disc(x=x, y=y, centre=trail[-1], radius=AGENT_RADIUS)] = AGENT_COLOUR
    return image


def _disc(
    *, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], centre: Point, radius: float
) -> npt.NDArray[np.bool_]:
    """Find the pixels of a disc.

    :param x: coordinates along columns, (1, SIZE).
    :param y: coordinates along rows, (SIZE, 1).
    :param centre: the disc's x and y.
    :param radius: in the same unit.
    :return: (SIZE, SIZE), True within the disc.
    """
    return np.asarray((x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2, dtype=np.bool_)

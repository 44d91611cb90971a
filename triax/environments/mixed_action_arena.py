"""Where targets and obstacles of MixedActionSets2D lie, and what is near what."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

TARGET_RADII = (0.05, 0.08)  # sides of the arena
OBSTACLE_RADII = (0.05, 0.09)  # sides of the arena
CORRIDOR = 0.04  # least width of the way between two objects, or between one and the wall, in sides of the arena
MOST_OBJECTS = 12

ATTEMPTS = 10_000
CANDIDATES = 32  # places that are tried for an object before all begin anew


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Targets and obstacles, round zones in the unit square.

    :ivar centres: x and y of each.
    :ivar radii: in sides of the arena.
    :ivar is_target: whether it is a target; otherwise it is an obstacle.
    """

    centres: Float64[np.ndarray, "objects 2"]
    radii: Float64[np.ndarray, " objects"]
    is_target: Bool[np.ndarray, " objects"]

    def gaps(self, position: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, " objects"]:
        """Measure the way from a position to the edge of each zone.

        :param position: x and y.
        :return: in sides of the arena; negative within the zone.
        """
        gaps: Float64[np.ndarray, " objects"] = np.linalg.norm(self.centres - position, axis=1) - self.radii
        return gaps

    def is_entered(self, *, start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"]) -> bool:
        """Say whether a move leads through an obstacle; its edge is not yet in it.

        :param start: of the move.
        :param end: of the move, which follows one axis.
        :return: whether any point between them lies within an obstacle.
        """
        # Along one axis the segment is a box without width, of which this is the point nearest to each centre.
        nearest = np.clip(self.centres, np.minimum(start, end), np.maximum(start, end))
        inside = np.linalg.norm(self.centres - nearest, axis=1) < self.radii
        return bool(np.any(inside & ~self.is_target))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """How an episode begins.

    :ivar arrangement: what is in the arena.
    :ivar position: the agent's x and y.
    """

    arrangement: Arrangement
    position: Float64[np.ndarray, "2"]


def draw_scene(*, generator: np.random.Generator, number: int) -> Scene:
    """Draw an arrangement, with corridors around everything, and a place for the agent outside of all zones.

    One to a third of the objects (rounded up) are targets, each number equally likely. Radii are uniform; places are
    uniform among those with corridors.

    :param generator: all that is random follows from it.
    :param number: of objects, 1 to MOST_OBJECTS.
    :return: the scene; the order of the objects says nothing.
    """
    is_target = np.arange(number) < generator.integers(1, (number + 2) // 3 + 1)
    generator.shuffle(is_target)
    low, high = (np.where(is_target, *pair) for pair in zip(TARGET_RADII, OBSTACLE_RADII, strict=True))
    radii = generator.uniform(low, high)
    # The agent takes part as a last object without a radius. The largest are placed first, while there is room.
    with_agent = np.append(radii, 0.0)
    order = np.argsort(-with_agent)
    places = np.empty((number + 1, 2))
    places[order] = _places(generator=generator, radii=with_agent[order])
    return Scene(
        arrangement=Arrangement(centres=places[:-1], radii=radii, is_target=is_target), position=places[-1].copy()
    )


def _places(
    *, generator: np.random.Generator, radii: Float64[np.ndarray, " objects"]
) -> Float64[np.ndarray, "objects 2"]:
    """Draw places with corridors between them.

    :param generator: of the places.
    :param radii: of what is to be placed.
    :return: x and y of each.
    :raises RuntimeError: if there is no room.
    """
    places = np.empty((len(radii), 2))
    for _ in range(ATTEMPTS):
        for index, radius in enumerate(radii):
            margin = radius + CORRIDOR
            candidates = generator.uniform(margin, 1.0 - margin, (CANDIDATES, 2))
            ways = np.linalg.norm(candidates[:, None] - places[None, :index], axis=2)
            clear = np.all(ways >= radii[:index] + margin, axis=1)
            if not clear.any():
                break
            places[index] = candidates[np.argmax(clear)]
        else:
            return places
    raise RuntimeError(f"{len(radii) - 1} objects found no room in {ATTEMPTS} attempts. Ask for fewer objects.")

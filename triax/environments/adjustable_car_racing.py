"""CarRacing with the friction of the road as an attribute. Needs Box2D."""

from typing import Any

from gymnasium.envs.box2d.car_racing import CarRacing


class AdjustableCarRacing(CarRacing):
    """CarRacing, where the road may be slippery. The friction counts from the next reset on.

    :ivar road_friction: of the road's tiles; Gymnasium's is 1. (Grass has 0.6.)
    """

    road_friction = 1.0

    def _create_track(self) -> bool:
        """Lay the road."""
        done: bool = super()._create_track()  # type: ignore[no-untyped-call]
        if done:
            road: Any = self.road
            for tile in road:
                tile.road_friction = self.road_friction
        return done

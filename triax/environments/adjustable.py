"""Environments of Gymnasium with a few more attributes, which can be randomised like any other.

They behave like Gymnasium's own until an attribute is changed (but for the pendulum's actions).
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

_GYMNASIUMS_GRAVITY = 9.8
"""What stands in the middle of Acrobot's equations, m/s²."""


class AdjustablePendulum(PendulumEnv):
    """Pendulum, where the action is the share of the greatest torque: all torques up to ``max_torque`` can be used."""

    def __init__(self, render_mode: str | None = None, g: float = 10.0) -> None:
        """Make one; see Gymnasium's."""
        super().__init__(render_mode=render_mode, g=g)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step(self, u: Any) -> Any:
        """Take a step.

        :param u: the share, float32 (1,), in [-1, 1].
        :return: what Gymnasium's does.
        """
        return super().step(np.asarray(u) * self.max_torque)  # type: ignore[no-untyped-call]


class AdjustableAcrobot(AcrobotEnv):
    """Acrobot, with gravity as an attribute.

    :ivar gravity: m/s².
    """

    gravity = _GYMNASIUMS_GRAVITY

    def _dsdt(self, s_augmented: Any) -> tuple[float, ...]:
        """Compute the derivatives of the state.

        Accelerations are linear in gravity, and at rest without a torque nothing else causes one.
        """
        derivatives = super()._dsdt(s_augmented)  # type: ignore[no-untyped-call]
        at_rest = np.array([s_augmented[0], s_augmented[1], 0.0, 0.0, 0.0])
        pull = super()._dsdt(at_rest)  # type: ignore[no-untyped-call]
        more = self.gravity / _GYMNASIUMS_GRAVITY - 1.0
        return tuple(own + more * part for own, part in zip(derivatives, pull, strict=True))


class AdjustableFrozenLake(FrozenLakeEnv):
    """Frozen lake, with start, goal and slipperiness as attributes. They count from the next reset on.

    :ivar success_rate: how probable it is to move where the action says; otherwise it is to one of both sides.
    :ivar start: the cell in which an episode begins, counted row by row.
    :ivar goal: the cell with the reward.
    """

    def __init__(self, render_mode: str | None = None, map_name: str = "8x8") -> None:
        """Make one; see Gymnasium's."""
        super().__init__(render_mode=render_mode, map_name=map_name)
        self.success_rate = 1.0 / 3.0
        cells = np.asarray(self.desc).ravel()
        self.start = int(np.argmax(cells == b"S"))
        self.goal = int(np.argmax(cells == b"G"))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode on the lake of the attributes.

        :param seed: of the episode.
        :param options: none.
        :return: the cell, and ``info``.
        :raises ValueError: if start or goal is a hole or no cell, or both are the same.
        """
        cells = np.asarray(self.desc).ravel().copy()
        cells[np.isin(cells, (b"S", b"G"))] = b"F"
        for name, cell, letter in (("start", self.start, b"S"), ("goal", self.goal, b"G")):
            if not 0 <= cell < cells.size or cells[cell] != b"F":
                raise ValueError(
                    f"FrozenLake: `{name}` is cell {cell}, which is no free one: it is a hole, the start, or not on "
                    f"the lake of {cells.size} cells. Choose another."
                )
            cells[cell] = letter
        rows = ["".join(cell.decode() for cell in row) for row in cells.reshape(self.nrow, self.ncol)]
        lake = FrozenLakeEnv(desc=rows, success_rate=self.success_rate)
        self.desc, self.P, self.initial_state_distrib = lake.desc, lake.P, lake.initial_state_distrib
        state, info = super().reset(seed=seed, options=options)
        return state, info


class AdjustableRoad(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """CarRacing, where the road may be slippery. The friction counts from the next reset on.

    :ivar road_friction: of the road's tiles; Gymnasium's is 1. (Grass has 0.6.)
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Wrap Gymnasium's CarRacing."""
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self.road_friction = 1.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode on a new road; see Gymnasium's."""
        observation, info = self.env.reset(seed=seed, options=options)
        road: Any = self.get_wrapper_attr("road")
        for tile in road:
            tile.road_friction = self.road_friction
        return observation, info


def make_car_racing(**arguments: Any) -> AdjustableRoad:
    """Make CarRacing with a road whose friction can be changed. Needs Box2D.

    :param arguments: those of Gymnasium's.
    :return: the environment.
    """
    from gymnasium.envs.box2d.car_racing import CarRacing

    return AdjustableRoad(CarRacing(**arguments))


def register_adjustable() -> None:
    """Register them with Gymnasium, with the time limits of Gymnasium's own."""
    here = "triax.environments.adjustable"
    for name, entry_point, steps in (
        ("Pendulum", f"{here}:AdjustablePendulum", 200),
        ("Acrobot", f"{here}:AdjustableAcrobot", 500),
        ("FrozenLake", f"{here}:AdjustableFrozenLake", 200),
        ("CarRacing", f"{here}:make_car_racing", 1000),
    ):
        gymnasium.register(id=f"triax/{name}-v0", entry_point=entry_point, max_episode_steps=steps)

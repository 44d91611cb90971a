"""MixedAction2D: a small task whose action is a discrete choice together with continuous amounts.

An agent stands somewhere in the unit square and a target somewhere else. In each step the agent either moves along
x, or moves along y, or declares that it is done; it is right to do so within a small zone around the target. How far
to move matters only for the axis that was chosen, which is what makes the action a mixed one. A continuing variant
has no declaration and never terminates.

Registered as ``triax/MixedAction2D-v0`` and ``triax/MixedAction2DContinuing-v0``, both cut off after 100 steps by
Gymnasium's ``TimeLimit``; the class by itself knows no time limit.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from triax.environments.checks import check_action, check_running
from triax.environments.mixed_action_drawing import TARGET_COLOUR, Disc, draw_arena

MAXIMUM_MOVE = 0.1  # sides of the arena per step
ZONE_RADIUS = 0.05  # sides of the arena
SUCCESS_REWARD = 100.0
FAILURE_REWARD = -100.0
EPISODE_STEPS = 100

TERMINATING_ID = "triax/MixedAction2D-v0"
CONTINUING_ID = "triax/MixedAction2DContinuing-v0"

Position = npt.NDArray[np.float64]
Observation = npt.NDArray[np.float32]
Action = dict[str, Any]  # {"choice": a Choice as an integer, "move": float32 (2,)}; Gymnasium's Dict is a dictionary


class Choice(IntEnum):
    """What an action's "choice" means."""

    MOVE_X = 0
    MOVE_Y = 1
    DONE = 2


class MixedAction2D(gymnasium.Env[Observation, Action]):
    """Move to the target along one axis at a time, and say so when there.

    - Action: ``Dict(choice=Discrete(3), move=Box(-0.1, 0.1, (2,)))``. Choice 0 moves along x by ``move[0]``, choice 1
      along y by ``move[1]``, choice 2 declares "done". The continuing variant has ``Discrete(2)``.
    - Observation: float32 ``(dx, dy, distance)`` from the agent to the target.
    - Reward: minus the distance after the step's move. On "done" it is +100 within the zone, its edge included, and
      −100 minus the distance outside it.
    - Start: agent and target uniform in the unit square, or as ``reset(options={"position": …, "target": …})`` says.
    - ``info``: ``distance`` to the target, and ``success``: in the terminating variant whether "done" was just declared
      within the zone; in the continuing one whether the agent is within the zone.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own type)

    def __init__(self, *, continuing: bool = False, render_mode: str | None = None) -> None:
        """Make the spaces.

        :param continuing: leave out the choice "done", so that no episode terminates.
        :param render_mode: "rgb_array", or None for an environment that is not drawn.
        :raises ValueError: if the render mode is another one.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode={render_mode!r} is not one of {self.metadata['render_modes']} or None.")
        self.continuing = continuing
        self.render_mode = render_mode
        # A float64 within [-1, 1], or up to hypot(1, 1), is rounded to a float32 within the rounded bounds: rounding
        # keeps the order of numbers. The bounds below are rounded in the same way.
        high = np.array([1.0, 1.0, np.hypot(1.0, 1.0)], dtype=np.float32)
        low = np.array([-1.0, -1.0, 0.0], dtype=np.float32)
        self.observation_space = gymnasium.spaces.Box(low=low, high=high, dtype=np.float32)
        self.action_space = gymnasium.spaces.Dict(
            {
                "choice": gymnasium.spaces.Discrete(2 if continuing else 3),
                "move": gymnasium.spaces.Box(-MAXIMUM_MOVE, MAXIMUM_MOVE, (2,), np.float32),
            }
        )
        self._running = False
        self._position: Position = np.zeros(2)
        self._target: Position = np.zeros(2)
        self._trail: list[Position] = []

    @property
    def distance(self) -> float:
        """The distance from the agent to the target."""
        dx, dy = self._target - self._position
        return float(np.hypot(dx, dy))

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Place the agent and the target.

        :param seed: seed of this and the following episodes.
        :param options: ``position`` and ``target``, each two numbers in [0, 1], in the place of random ones.
        :return: the first observation, and info.
        :raises ValueError: if an option is unknown or lies outside the square.
        """
        super().reset(seed=seed)
        places = {"position": self.np_random.uniform(size=2), "target": self.np_random.uniform(size=2)}
        for name, value in (options or {}).items():
            if name not in places:
                raise ValueError(f"Unknown option {name!r}: {value!r}. The options are {sorted(places)}.")
            place = np.array(value, dtype=np.float64)
            if place.shape != (2,) or not np.all((place >= 0.0) & (place <= 1.0)):
                raise ValueError(f"Option {name!r} has to be two numbers in [0, 1], and is {value!r}.")
            places[name] = place
        self._position, self._target = places["position"], places["target"]
        self._trail = [self._position]
        self._running = True
        return self._observation(), self._info(declared=False)

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move along one axis, or declare "done".

        :param action: ``choice`` and ``move`` within the action space.
        :return: observation, reward, terminated, truncated (always False here), info.
        :raises gymnasium.error.InvalidAction: if the action lies outside the space.
        :raises gymnasium.error.ResetNeeded: if no episode is running.
        """
        check_running(running=self._running)
        check_action(action=action, space=self.action_space)
        choice = Choice(int(action["choice"]))
        declared = choice is Choice.DONE
        if not declared:
            # A new array each time: the trail keeps the earlier ones.
            position = self._position.copy()
            position[choice] = np.clip(position[choice] + float(action["move"][choice]), 0.0, 1.0)
            self._position = position
            self._trail.append(position)
        self._running = not declared
        return self._observation(), self._reward(declared=declared), declared, False, self._info(declared=declared)

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Draw the arena, the target's zone, the agent and its trail.

        :return: uint8 (256, 256, 3), or None without a render mode.
        """
        if self.render_mode is None:
            return None
        zone = Disc(centre=self._target, radius=ZONE_RADIUS, colour=TARGET_COLOUR)
        return draw_arena(discs=[zone], trail=self._trail)

    def _observation(self) -> Observation:
        """The way to the target.

        :return: float32 (dx, dy, distance).
        """
        dx, dy = self._target - self._position
        return np.array([dx, dy, self.distance], dtype=np.float32)

    def _reward(self, *, declared: bool) -> float:
        """The reward of the step just made.

        :param declared: whether the step was the declaration.
        :return: the reward.
        """
        if not declared:
            return -self.distance
        return SUCCESS_REWARD if self.distance <= ZONE_RADIUS else FAILURE_REWARD - self.distance

    def _info(self, *, declared: bool) -> dict[str, Any]:
        """What evaluation reports beside the return.

        :param declared: whether "done" was just declared.
        :return: ``success`` and ``distance``.
        """
        inside = self.distance <= ZONE_RADIUS
        return {"success": inside and (declared or self.continuing), "distance": self.distance}


def register_mixed_action() -> None:
    """Register both variants with Gymnasium; a second call changes nothing."""
    for environment_id, continuing in ((TERMINATING_ID, False), (CONTINUING_ID, True)):
        if environment_id not in gymnasium.registry:
            gymnasium.register(
                id=environment_id,
                entry_point="triax.environments.mixed_action:MixedAction2D",
                max_episode_steps=EPISODE_STEPS,
                kwargs={"continuing": continuing},
            )

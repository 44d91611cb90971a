"""MixedActionSets2D: several targets and obstacles of varying number, observed as a set.

As in MixedAction2D, an agent in the unit square moves along x or along y by an amount, or declares that it is done.
Here it has to be within any of the targets then, and must not have entered an obstacle. How many there are differs
from episode to episode, and where they are is told by the set alone.

Registered as ``triax/MixedActionSets2D-v0``, cut off after 50 steps by Gymnasium's ``TimeLimit``; the class by itself
knows no time limit.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from triax.environments.checks import check_action, check_running
from triax.environments.mixed_action import MAXIMUM_MOVE, Choice
from triax.environments.mixed_action_arena import (
    MOST_OBJECTS,
    OBSTACLE_RADII,
    TARGET_RADII,
    Arrangement,
    Scene,
    draw_scene,
)
from triax.environments.mixed_action_drawing import OBSTACLE_COLOUR, TARGET_COLOUR, Disc, draw_arena
from triax.spaces import SetOf

SETS_ID = "triax/MixedActionSets2D-v0"
EPISODE_STEPS = 50

SUCCESS_REWARD = 10.0
FAILURE_REWARD = -10.0
PROGRESS_REWARD = 10.0  # per side of the arena that the nearest target comes nearer
MOVE_COST = 0.1

LARGEST_RADIUS = max(*TARGET_RADII, *OBSTACLE_RADII)

Observation = dict[str, Any]
Action = dict[str, Any]


class MixedActionSets2D(gymnasium.Env[Observation, Action]):
    """Move to any target along one axis at a time, around the obstacles, and say so when there.

    - Action: ``Dict(choice=Discrete(3), move=Box(-0.1, 0.1, (2,)))``. Choice 0 moves along x by ``move[0]``, choice 1
      along y by ``move[1]``, choice 2 declares "done".
    - Observation: ``Dict(objects=SetOf(Box(6), maximum), position=Box(0, 1, (2,)))``. An object is ``(dx, dy, gap,
      radius, is_target, is_obstacle)``: the way from the agent to its centre, the distance to its edge (negative
      within), its radius, and what it is (1 and 0, or 0 and 1).
    - Reward of a move: 10 times the decrease of the distance to the nearest target's edge (0 within), less 0.1.
      Entering an obstacle, on the way too, adds −10 and terminates. "Done" is +10 within a target, its edge included,
      and −10 elsewhere.
    - Start: a number of objects uniform in the range ``objects``; a third of them (rounded up) at most are targets,
      and one at least. Between any two, and between them and the walls, there is a corridor of 0.04. Or as
      ``reset(options={"position": …, "targets": …, "obstacles": …})`` says.
    - ``info``: ``distance`` to the nearest target's edge, 0 within; and ``success``: whether "done" was just declared
      within a target.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own type)

    def __init__(
        self, *, objects: tuple[int, int] = (1, 6), maximum: int | None = None, render_mode: str | None = None
    ) -> None:
        """Make the spaces.

        :param objects: the smallest and the largest number of targets and obstacles together.
        :param maximum: the largest number that the space of observations declares; None for that of ``objects``. An
            agent can be evaluated on as many as the space of its training declared.
        :param render_mode: "rgb_array", or None for an environment that is not drawn.
        :raises ValueError: if one of them is out of its range.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode={render_mode!r} is not one of {self.metadata['render_modes']} or None.")
        if not 1 <= objects[0] <= objects[1] <= MOST_OBJECTS:
            raise ValueError(f"`objects` has to be (least, most), 1 <= least <= most <= {MOST_OBJECTS}: {objects}.")
        if maximum is not None and maximum < objects[1]:
            raise ValueError(f"`maximum` has to be at least {objects[1]}, the most of `objects`, and is {maximum}.")
        self.objects = objects
        self.maximum = objects[1] if maximum is None else maximum
        self.render_mode = render_mode
        # A float64 within the bounds is rounded to a float32 within the bounds, which are rounded in the same way.
        low = np.array([-1.0, -1.0, -LARGEST_RADIUS, 0.0, 0.0, 0.0], np.float32)
        high = np.array([1.0, 1.0, np.hypot(1.0, 1.0), LARGEST_RADIUS, 1.0, 1.0], np.float32)
        self.observation_space: gymnasium.spaces.Dict = gymnasium.spaces.Dict(
            {
                "objects": SetOf(gymnasium.spaces.Box(low, high, dtype=np.float32), maximum=self.maximum),
                "position": gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32),
            }
        )
        self.action_space: gymnasium.spaces.Dict = gymnasium.spaces.Dict(
            {
                "choice": gymnasium.spaces.Discrete(len(Choice)),
                "move": gymnasium.spaces.Box(-MAXIMUM_MOVE, MAXIMUM_MOVE, (2,), np.float32),
            }
        )
        self._running = False
        self._trail: list[Any] = []

    @property
    def distance(self) -> float:
        """The distance from the agent to the nearest target's edge; 0 within a target."""
        self._check_begun()
        return max(0.0, float(np.min(self._arrangement.gaps(self._position)[self._arrangement.is_target])))

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Place targets, obstacles and the agent.

        :param seed: seed of this and the following episodes.
        :param options: ``position``, two numbers in [0, 1], and ``targets``, a list of (x, y, radius), in the place of
            random ones; and ``obstacles`` likewise, none if it is left out.
        :return: the first observation, and info.
        :raises ValueError: if an option is unknown, is missing or cannot be.
        """
        super().reset(seed=seed)
        number = int(self.np_random.integers(self.objects[0], self.objects[1] + 1))
        scene = draw_scene(generator=self.np_random, number=number)
        if options:
            scene = _scene_of(options=options, maximum=self.maximum)
        self._arrangement, self._position = scene.arrangement, scene.position
        self._trail = [self._position]
        self._running = True
        return self._observation(), self._info(success=False)

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
        success = choice is Choice.DONE and self.distance == 0.0
        if choice is Choice.DONE:
            terminated, reward = True, SUCCESS_REWARD if success else FAILURE_REWARD
        else:
            before, start = self.distance, self._position
            # A new array each time: the trail keeps the earlier ones.
            self._position = start.copy()
            self._position[choice] = np.clip(start[choice] + float(action["move"][choice]), 0.0, 1.0)
            self._trail.append(self._position)
            terminated = self._arrangement.is_entered(start=start, end=self._position)
            reward = PROGRESS_REWARD * (before - self.distance) - MOVE_COST + FAILURE_REWARD * terminated
        self._running = not terminated
        return self._observation(), reward, terminated, False, self._info(success=success)

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Draw the arena, targets and obstacles, the agent and its trail.

        :return: uint8 (256, 256, 3), or None without a render mode.
        :raises gymnasium.error.ResetNeeded: if there was no reset yet.
        """
        if self.render_mode is None:
            return None
        self._check_begun()
        arrangement = self._arrangement
        colours = [TARGET_COLOUR if is_target else OBSTACLE_COLOUR for is_target in arrangement.is_target]
        parts = zip(arrangement.centres, arrangement.radii.tolist(), colours, strict=True)
        discs = [Disc(centre=centre, radius=radius, colour=colour) for centre, radius, colour in parts]
        return draw_arena(discs=discs, trail=self._trail)

    def _check_begun(self) -> None:
        if not self._trail:
            raise gymnasium.error.ResetNeeded("There is no scene yet: call reset() first.")

    def _observation(self) -> Observation:
        """Tell where everything is."""
        arrangement = self._arrangement
        ways = arrangement.centres - self._position
        kinds = [arrangement.is_target, ~arrangement.is_target]
        objects = np.column_stack([ways, arrangement.gaps(self._position), arrangement.radii, *kinds])
        return {"objects": objects.astype(np.float32), "position": self._position.astype(np.float32)}

    def _info(self, *, success: bool) -> dict[str, Any]:
        """What evaluation reports beside the return.

        :param success: whether "done" was just declared within a target.
        :return: ``success`` and ``distance``.
        """
        return {"success": success, "distance": self.distance}


def _scene_of(*, options: Mapping[str, Any], maximum: int) -> Scene:
    """Read a scene from the options of a reset.

    :param options: as in :meth:`MixedActionSets2D.reset`.
    :param maximum: the largest number of objects.
    :return: the scene.
    """
    known, needed = {"position", "targets", "obstacles"}, {"position", "targets"}
    if not needed <= options.keys() <= known:
        raise ValueError(f"The options have to be {sorted(needed)}, or {sorted(known)}, and are {sorted(options)}.")
    position = np.array(options["position"], np.float64)
    if position.shape != (2,) or not np.all((position >= 0.0) & (position <= 1.0)):
        raise ValueError(f"Option 'position' has to be two numbers in [0, 1], and is {options['position']!r}.")
    targets, obstacles = (_discs(options=options, name=name) for name in ("targets", "obstacles"))
    discs: Float64[np.ndarray, "objects 3"] = np.concatenate([targets, obstacles])
    if len(targets) < 1 or len(discs) > maximum:
        raise ValueError(
            f"The options have {len(targets)} targets and {len(obstacles)} obstacles: at least one target has to be "
            f"there, and at most {maximum} objects together. Set `maximum` for more of them."
        )
    arrangement = Arrangement(
        centres=discs[:, :2].copy(), radii=discs[:, 2].copy(), is_target=np.arange(len(discs)) < len(targets)
    )
    return Scene(arrangement=arrangement, position=position)


def _discs(*, options: Mapping[str, Any], name: str) -> Float64[np.ndarray, "objects 3"]:
    """Read x, y and radius of some zones.

    :param options: of the reset.
    :param name: which zones; there are none if the options do not have it.
    :return: one row each.
    """
    value = options.get(name, ())
    discs = np.array(value, np.float64).reshape(len(value), -1) if len(value) else np.zeros((0, 3))
    if discs.shape[1] != 3 or not np.all((discs >= 0.0) & (discs <= (1.0, 1.0, LARGEST_RADIUS))):
        raise ValueError(
            f"Option {name!r} has to be a list of (x, y, radius), x and y in [0, 1] and the radius in "
            f"[0, {LARGEST_RADIUS}], and is {value!r}."
        )
    return discs


def register_mixed_action_sets() -> None:
    """Register the environment with Gymnasium; a second call changes nothing."""
    if SETS_ID not in gymnasium.registry:
        gymnasium.register(
            id=SETS_ID,
            entry_point="triax.environments.mixed_action_sets:MixedActionSets2D",
            max_episode_steps=EPISODE_STEPS,
        )

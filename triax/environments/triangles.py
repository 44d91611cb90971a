"""Triangles: an image is to be painted with few semi-transparent triangles.

The action is mixed, an operation with what it takes: stop, edit one of the triangles, or add another one. The
observation is of variable size: the target and the canvas, and the set of triangles painted so far.

The triangles lie upon each other in the order in which they were added, and an edited one keeps its place. "Over" does
not commute, so this order matters; it is the order of the rows of the observed set, and no number of a triangle tells
it. An agent that takes the rows for a set, in no order, sees on the canvas which triangle lies upon which.

Registered as ``triax/Triangles-v0``. Episodes end by themselves: with "stop", or when the energy is used up.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, UInt8

from triax.environments.checks import check_action, check_running
from triax.environments.triangles_renderer import NUMBERS, Layer, TriangleRenderer, from_bytes, to_bytes
from triax.environments.triangles_targets import RandomShapes, TargetGenerator
from triax.spaces import ElementOf, SetOf

TRIANGLES_ID = "triax/Triangles-v0"

SMALLEST_ERROR = 1e-4
"""A blank canvas's least mean squared error: below it, errors are shares of this instead. Some targets are blank."""

DEFAULT_TARGETS = RandomShapes()

DRAWN_SIDE = 256
"""Least height of each half of a picture, in pixels, unless the images are larger."""

DRAWN_GAP = 8
"""Between target and canvas, in pixels."""

Images = Literal["stacked", "difference"]
Observation = dict[str, Any]
Action = dict[str, Any]


class Operation(IntEnum):
    """What an action's "operation" means."""

    STOP = 0
    EDIT = 1
    ADD = 2


class Triangles(gymnasium.Env[Observation, Action]):
    """Paint a target with triangles.

    - Action: ``Dict(operation=Discrete(3), which=ElementOf("triangles", maximum), parameters=Box(-1, 1, (10,)))``.
      Operation 0 stops; 1 replaces triangle ``which`` by ``parameters``; 2 adds a triangle with ``parameters``. An edit
      of a triangle that is not there and an addition beyond the maximum change nothing, and cost as much as others.
    - Observation: ``Dict(image=…, triangles=SetOf(Box(-1, 1, (10,)), maximum, minimum=0), energy=Box(0, 1, (1,)))``.
      The image is uint8 [height, width, 6], target and canvas, or their difference. See
      :mod:`~triax.environments.triangles_renderer` for a triangle's ten numbers.
    - Reward: by how much the squared error falls, as a share of the blank canvas's, less the cost of the operation.
      Stopping costs nothing. The undiscounted return is 1 − the remaining share − the costs.
    - End: terminated by "stop", or when the energy is used up; each edit and each addition takes one unit.
    - Start: a blank canvas, and a target of the generator's, or ``reset(options={"target": …})``.
    - ``info``: ``error``, the squared error as a share of the blank canvas's, and ``triangles``, their number.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 (Gymnasium's own type)

    def __init__(
        self,
        *,
        height: int = 32,
        width: int = 32,
        maximum: int = 16,
        energy: int = 16,
        add_cost: float = 0.001,
        edit_cost: float = 0.001,
        opacity: tuple[float, float] = (0.1, 0.9),
        background: tuple[int, int, int] = (255, 255, 255),
        targets: TargetGenerator = DEFAULT_TARGETS,
        images: Images = "stacked",
        render_mode: str | None = None,
    ) -> None:
        """Make the spaces.

        :param height: of target and canvas, in pixels.
        :param width: likewise.
        :param maximum: the largest number of triangles.
        :param energy: how many operations an episode has at most.
        :param add_cost: of each addition, in shares of the blank canvas's squared error.
        :param edit_cost: of each edit, likewise.
        :param opacity: the least and the greatest of a triangle, in [0, 1].
        :param background: the blank canvas's colour, in 0 … 255.
        :param targets: what draws an episode's target.
        :param images: "stacked" for target and canvas, six channels; "difference" for the bytes
            (255 + target − canvas) // 2, three channels.
        :param render_mode: "rgb_array", or None for an environment that is not drawn.
        :raises ValueError: if one of them is out of its range.
        """
        _check_choices(render_mode=render_mode, images=images, targets=targets)
        _check_numbers(
            counts={"maximum": maximum, "energy": energy}, costs={"add_cost": add_cost, "edit_cost": edit_cost}
        )
        if len(background) != 3 or not all(0 <= part <= 255 for part in background):
            raise ValueError(f"`background` has to be red, green and blue in 0 … 255, and is {background}.")
        self.renderer = TriangleRenderer(height=height, width=width, opacity=opacity)
        self.maximum, self.energy = maximum, energy
        self.costs = {Operation.STOP: 0.0, Operation.EDIT: edit_cost, Operation.ADD: add_cost}
        self.targets, self.images = targets, images
        self.render_mode = render_mode
        channels = 6 if images == "stacked" else 3
        self.observation_space: gymnasium.spaces.Dict = gymnasium.spaces.Dict(
            {
                "image": gymnasium.spaces.Box(0, 255, (height, width, channels), np.uint8),
                "triangles": SetOf(_triangle_space(), maximum=maximum, minimum=0),
                "energy": gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32),
            }
        )
        self.action_space: gymnasium.spaces.Dict = gymnasium.spaces.Dict(
            {
                "operation": gymnasium.spaces.Discrete(len(Operation)),
                "which": ElementOf("triangles", maximum),
                "parameters": _triangle_space(),
            }
        )
        self._running = False
        self.blank = self.renderer.render(
            background=np.array(background, np.float32) / np.float32(255.0),
            triangles=np.zeros((0, NUMBERS), np.float32),
        )
        self._begin(to_bytes(self.blank))

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Take a blank canvas and a new target.

        :param seed: seed of this and the following episodes.
        :param options: ``target``, a uint8 image [height, width, 3] in the place of a drawn one.
        :return: the first observation, and info.
        :raises ValueError: if an option is unknown, or the target is no such image.
        """
        super().reset(seed=seed)
        height, width = self.renderer.height, self.renderer.width
        choices: dict[str, Any] = {
            "target": self.targets.draw(generator=self.np_random, height=height, width=width),
            **(options or {}),
        }
        target = choices.pop("target")
        if choices:
            raise ValueError(f"Unknown options {sorted(choices)}. The only option is 'target'.")
        if not isinstance(target, np.ndarray) or target.shape != (height, width, 3) or target.dtype != np.uint8:
            raise ValueError(
                f"The target has to be a uint8 array of shape {(height, width, 3)}, and is {type(target).__name__} of "
                f"shape {np.shape(target)} and dtype {getattr(target, 'dtype', None)}."
            )
        self._begin(target.copy())
        self._running = True
        return self._observation(), self._info()

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Stop, edit a triangle, or add one.

        :param action: ``operation``, ``which`` and ``parameters`` within the action space.
        :return: observation, reward, terminated, truncated (always False here), info.
        :raises gymnasium.error.InvalidAction: if the action lies outside the space.
        :raises gymnasium.error.ResetNeeded: if no episode is running.
        """
        check_running(running=self._running)
        check_action(action=action, space=self.action_space)
        operation, which = Operation(int(action["operation"])), int(action["which"])
        error = self.error
        if operation is Operation.EDIT and which < len(self._layers):
            self._paint(which=which, triangle=action["parameters"])
        elif operation is Operation.ADD and len(self._layers) < self.maximum:
            self._paint(which=len(self._layers), triangle=action["parameters"])
        self._energy_left -= operation is not Operation.STOP
        self._running = operation is not Operation.STOP and self._energy_left > 0
        reward = error - self.error - self.costs[operation]
        return self._observation(), reward, not self._running, False, self._info()

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Show the target, and the canvas to the right of it.

        :return: uint8 [height, width, 3], or None without a render mode.
        """
        if self.render_mode is None:
            return None
        scale = -(-DRAWN_SIDE // self.renderer.height)
        target, canvas = (
            image.repeat(scale, axis=0).repeat(scale, axis=1) for image in (self.target, to_bytes(self._canvases[-1]))
        )
        gap = np.full((len(target), DRAWN_GAP, 3), 128, np.uint8)
        return np.concatenate([target, gap, canvas], axis=1)

    def _begin(self, target: UInt8[np.ndarray, "height width 3"]) -> None:
        """Begin with nothing painted.

        :param target: what is to be painted.
        """
        self.target, self._target_colours = target, from_bytes(target)
        self._triangles = np.zeros((self.maximum, NUMBERS), np.float32)
        self._layers: list[Layer] = []
        # Entry k is the canvas with the first k layers, so that an edit paints from there on alone.
        self._canvases = [self.blank]
        self._energy_left = self.energy
        smallest = SMALLEST_ERROR * target.size
        self._blank_error = max(self._squared_error(), smallest)
        self.error = self._squared_error() / self._blank_error

    def _paint(self, *, which: int, triangle: Float32[np.ndarray, "10"]) -> None:
        """Paint a triangle in a place, and all that lie upon it again.

        :param which: the place, at most the number of triangles.
        :param triangle: its ten numbers.
        """
        self._triangles[which] = triangle
        self._layers[which : which + 1] = [self.renderer.layer(triangle)]
        del self._canvases[which + 1 :]
        for layer in self._layers[which:]:
            self._canvases.append(layer.over(self._canvases[-1]))
        self.error = self._squared_error() / self._blank_error

    def _squared_error(self) -> float:
        """Sum the squared differences of target and canvas over pixels and colours, colours in [0, 1]."""
        # NumPy's sum rather than a product of BLAS, whose bits depend on the number of threads.
        return float(np.square(self._target_colours - self._canvases[-1]).sum())

    def _observation(self) -> Observation:
        """Show the images, the triangles and the share of energy that is left."""
        canvas = to_bytes(self._canvases[-1])
        if self.images == "stacked":
            image = np.empty((*self.target.shape[:2], 6), np.uint8)
            image[:, :, :3], image[:, :, 3:] = self.target, canvas
        else:
            image = ((self.target.astype(np.int16) - canvas + 255) // 2).astype(np.uint8)
        return {
            "image": image,
            "triangles": self._triangles[: len(self._layers)].copy(),
            "energy": np.array([self._energy_left / self.energy], np.float32),
        }

    def _info(self) -> dict[str, Any]:
        """What evaluation reports beside the return."""
        return {"error": self.error, "triangles": len(self._layers)}


def _check_choices(*, render_mode: str | None, images: str, targets: object) -> None:
    """Refuse a setting that is none of those there are."""
    if render_mode is not None and render_mode not in Triangles.metadata["render_modes"]:
        raise ValueError(f"render_mode={render_mode!r} is not one of {Triangles.metadata['render_modes']} or None.")
    if images not in get_args(Images):
        raise ValueError(f"images={images!r} is not one of {get_args(Images)}.")
    if not isinstance(targets, TargetGenerator):
        raise ValueError(f"`targets` has to have a method `draw`, such as RandomShapes() does, and is {targets!r}.")


def _check_numbers(*, counts: Mapping[str, int], costs: Mapping[str, float]) -> None:
    """Refuse numbers out of their range.

    :param counts: at least 1.
    :param costs: at least 0, and finite.
    """
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"`{name}` has to be at least 1, and is {value}.")
    for name, cost in costs.items():
        if not 0.0 <= cost < np.inf:
            raise ValueError(f"`{name}` has to be a number from 0 upwards, and is {cost}.")


def _triangle_space() -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(-1.0, 1.0, (NUMBERS,), np.float32)


def register_triangles() -> None:
    """Register the environment with Gymnasium; a second call changes nothing."""
    if TRIANGLES_ID not in gymnasium.registry:
        gymnasium.register(id=TRIANGLES_ID, entry_point="triax.environments.triangles:Triangles")

"""What a policy looks like: the frames of one episode."""

import dataclasses
import os
import warnings

import numpy as np
from jaxtyping import UInt8

from triax.random import derive_key, episode_seed
from triax.rollout import CompiledPolicy, MakeEnvironment
from triax.rollout.seeded import SeededEnvironment, close_environment, stack_observations
from triax.spaces import SpaceSpec
from triax.trees import Tree
from triax.types import ActionMode, Policy

DEFAULT_FPS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderedEpisode:
    """An episode in pictures.

    :ivar frames: one after the reset and one after each step, [T, H, W, 3].
    :ivar fps: frames a second, as the environment says (``metadata["render_fps"]``), or 30.
    :ivar undiscounted_return: the sum of the rewards.
    :ivar length: its steps.
    :ivar complete: whether it was played to its end, and not cut off at the limit of frames.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    fps: int
    undiscounted_return: float
    length: int
    complete: bool


def render_episode(
    *,
    make_rendering: MakeEnvironment,
    policy: Policy,
    parameters: Tree,
    observation_spec: SpaceSpec,
    action_spec: SpaceSpec,
    seed: int,
    deterministic: bool = True,
    maximum_frames: int = 1000,
) -> RenderedEpisode | None:
    """Play one episode and keep its pictures.

    :param make_rendering: makes the environment with ``render_mode="rgb_array"``; raises ValueError if it cannot.
    :param policy: how to act.
    :param parameters: the learner's ``policy_parameters``.
    :param observation_spec: the spec of the observations.
    :param action_spec: the spec of the actions.
    :param seed: the seed of the episode and of the actions' randomness.
    :param deterministic: whether the policy's mode acts.
    :param maximum_frames: the episode is cut off after so many frames.
    :return: the episode; None if the environment cannot be rendered.
    :raises EnvironmentFailed: if the environment raises.
    """
    environment = _make(make_rendering)
    if environment is None:
        return None
    try:
        compiled = CompiledPolicy(policy=policy, count=1, action_spec=action_spec)
        key = derive_key(seed=seed, name=("video", "actions"))
        carry = compiled.initial_carry()
        environment.begin(episode=0, seed=episode_seed(seed=seed, environment=0, episode=0))
        frames = [_frame(environment)]
        while not environment.ended and len(frames) < maximum_frames:
            output = compiled.act(
                parameters=parameters,
                carry=carry,
                observation=stack_observations(environments=[environment], spec=observation_spec),
                is_first=np.array([environment.length == 0]),
                key=key,
                counter=environment.length,
                mode=ActionMode.MODE if deterministic else ActionMode.SAMPLE,
            )
            carry = output.carry
            environment.advance(action_spec.unstack_to_outside(output.action)[0])
            frames.append(_frame(environment))
        return RenderedEpisode(
            frames=np.stack(frames),
            fps=int(environment.environment.metadata.get("render_fps") or DEFAULT_FPS),
            undiscounted_return=environment.undiscounted_return,
            length=environment.length,
            complete=environment.ended,
        )
    finally:
        environment.close()


def _draw_without_display() -> None:
    """Choose renderers that need no display where there is none; what the user has chosen stands."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def _make(make_rendering: MakeEnvironment) -> SeededEnvironment | None:
    _draw_without_display()
    with warnings.catch_warnings():
        # Gymnasium warns of a render mode that the environment does not list, and goes on.
        warnings.filterwarnings("ignore", message=".*not in the possible render_modes.*")
        try:
            environment = make_rendering()
        except ValueError:
            return None
    if environment.render_mode == "rgb_array" and "rgb_array" in environment.metadata.get("render_modes", ()):
        return SeededEnvironment(environment=environment, number=0)
    close_environment(environment)
    return None


def _frame(environment: SeededEnvironment) -> UInt8[np.ndarray, "H W 3"]:
    # A copy: some environments draw into the same picture again.
    frame = np.array(environment.environment.render(), copy=True)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(
            f"render() must give an array of uint8 of shape [height, width, 3], and gives {frame.dtype} of shape "
            f"{frame.shape}."
        )
    return frame

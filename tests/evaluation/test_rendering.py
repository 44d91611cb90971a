"""Filming an episode."""

from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from evaluation_helpers import FivePolicy, TwoLengths, two_lengths_specs

from triax.evaluation import RenderedEpisode, render_episode


class Filmed(TwoLengths):
    """Shows the number of steps made as a grey picture, always the same array."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012
    render_mode = "rgb_array"

    def __init__(self) -> None:
        super().__init__()
        self.picture = np.zeros((4, 6, 3), np.uint8)

    def render(self) -> Any:
        self.picture[:] = self.steps
        return self.picture


def film(*, make: Any, seed: int, maximum_frames: int = 1000) -> RenderedEpisode | None:
    observation_spec, action_spec = two_lengths_specs()
    TwoLengths.made.clear()
    return render_episode(
        make_rendering=make,
        policy=FivePolicy(),
        parameters=jnp.int32(0),
        observation_spec=observation_spec,
        action_spec=action_spec,
        seed=seed,
        maximum_frames=maximum_frames,
    )


def test_there_is_a_frame_for_each_observation() -> None:
    lengths = set()
    for seed in range(6):
        episode = film(make=Filmed, seed=seed)
        assert episode is not None
        assert episode.complete
        assert episode.frames.shape == (episode.length + 1, 4, 6, 3)
        assert episode.frames[:, 0, 0, 0].tolist() == list(range(episode.length + 1))
        assert episode.undiscounted_return == pytest.approx(1.1 * episode.length)
        assert episode.fps == 12
        assert [environment.closed for environment in TwoLengths.made] == [1]
        lengths.add(episode.length)
    assert lengths == {1, 100}


def test_the_number_of_frames_is_limited() -> None:
    episodes = [film(make=Filmed, seed=seed, maximum_frames=10) for seed in range(6)]
    cut = [episode for episode in episodes if episode is not None and not episode.complete]
    assert 0 < len(cut) < 6
    for episode in cut:
        assert episode.frames.shape[0] == 10
        assert episode.length == 9


def test_what_cannot_be_rendered_is_not_filmed() -> None:
    def refuse() -> "gymnasium.Env[Any, Any]":
        raise ValueError("this factory takes no render mode")

    assert film(make=TwoLengths, seed=0) is None
    assert [environment.closed for environment in TwoLengths.made] == [1]
    assert film(make=refuse, seed=0) is None


def test_a_gymnasium_environment_is_filmed() -> None:
    from triax.spaces import space_spec

    environment = gymnasium.make("MountainCar-v0", render_mode="rgb_array")
    episode = render_episode(
        make_rendering=lambda: environment,
        policy=ConstantPolicy(),
        parameters=(),
        observation_spec=space_spec(space=environment.observation_space, role="observation"),
        action_spec=space_spec(space=environment.action_space, role="action"),
        seed=0,
        maximum_frames=5,
    )
    assert episode is not None
    assert episode.frames.shape == (5, 400, 600, 3)
    assert episode.fps == 30


class ConstantPolicy(FivePolicy):
    """Always the middle one of three."""

    def act(self, **arguments: Any) -> Any:
        output = super().act(**{**arguments, "parameters": jnp.int32(0)})
        return type(output)(action=jnp.ones_like(output.action), carry=output.carry, extras={})

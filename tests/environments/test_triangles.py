"""Triangles: rewards and energy worked out by hand, edits against painting anew, determinism, Gymnasium's checks."""

from typing import Any

import gymnasium
import jaxtyping
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.utils.env_checker import check_env

import triax.environments
from triax.environments import RandomShapes, Triangles
from triax.spaces import ElementOf, SetOf

ID = "triax/Triangles-v0"
STOP, EDIT, ADD = 0, 1, 2

BLACK_TARGET = np.zeros((4, 4, 3), np.uint8)
# The corners (0, 0), (4, 0), (0, 4) of 4 × 4 pixels: 10 of 16 pixels, as the renderer's test counts them.
CORNER = np.array([-1, -1, -1, 1, -1, -1, 1, -1, -1, 1], np.float32)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code's own checks speak: a user's program runs without the tests' checker of annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def act(operation: int, *, which: int = 0, parameters: npt.NDArray[np.float32] = CORNER) -> dict[str, Any]:
    return {"operation": np.int64(operation), "which": np.int64(which), "parameters": parameters}


def started(**arguments: Any) -> Triangles:
    environment = Triangles(**{"height": 4, "width": 4, "opacity": (0.0, 1.0), **arguments})
    target = np.zeros((environment.renderer.height, environment.renderer.width, 3), np.uint8)
    environment.reset(seed=0, options={"target": target})
    return environment


def test_the_reward_is_the_share_of_the_error_that_falls_less_the_cost() -> None:
    # White canvas, black target. A black triangle over 10 of 16 pixels takes 10/16 of the squared error away.
    environment = started(add_cost=0.01, edit_cost=0.02)
    observation, reward, terminated, truncated, info = environment.step(act(ADD))
    assert reward == pytest.approx(10 / 16 - 0.01)
    assert info == {"error": pytest.approx(6 / 16), "triangles": 1}
    assert (terminated, truncated) == (False, False)
    assert np.array_equal(observation["triangles"], CORNER[None])
    # Half as opaque, 0.5 of white is left there, whose square is 0.25: 6/16 + 10/16 · 0.25 = 0.53125.
    half = CORNER.copy()
    half[3] = 0.0
    observation, reward, _, _, info = environment.step(act(EDIT, parameters=half))
    assert reward == pytest.approx(6 / 16 - 0.53125 - 0.02)
    assert info == {"error": pytest.approx(0.53125), "triangles": 1}
    # Stopping is free.
    _, reward, terminated, truncated, _ = environment.step(act(STOP))
    assert (reward, terminated, truncated) == (0.0, True, False)


def test_energy_is_a_number_of_operations_and_its_end_terminates() -> None:
    environment = started(energy=4)
    steps = [environment.step(act(operation)) for operation in (ADD, EDIT, ADD, EDIT)]
    assert [step[0]["energy"].tolist() for step in steps] == [[0.75], [0.5], [0.25], [0.0]]
    assert [step[2:4] for step in steps] == [(False, False)] * 3 + [(True, False)]


def test_operations_without_effect_cost_as_much_as_others() -> None:
    environment = started(maximum=1, energy=4, add_cost=0.01, edit_cost=0.02)
    observation, reward, _, _, info = environment.step(act(EDIT))  # nothing is there to be edited
    assert (reward, info) == (-0.02, {"error": 1.0, "triangles": 0})
    assert observation["energy"].tolist() == [0.75]
    assert observation["triangles"].shape == (0, 10)
    environment.step(act(ADD))
    before, after = environment.error, environment.step(act(ADD))  # beyond the maximum
    assert after[1] == -0.01
    assert after[4] == {"error": before, "triangles": 1}


def test_edits_give_what_painting_anew_gives() -> None:
    environment = Triangles(height=16, width=12, maximum=6, energy=1000)
    environment.reset(seed=1)
    environment.action_space.seed(1)
    white = np.ones(3, np.float32)
    expected: list[npt.NDArray[np.float32]] = []
    for _ in range(60):
        action = environment.action_space.sample()
        action["operation"] = np.int64(max(int(action["operation"]), EDIT))
        which = int(action["which"])
        if action["operation"] == ADD and len(expected) < 6:
            expected.append(action["parameters"])
        elif action["operation"] == EDIT and which < len(expected):
            expected[which] = action["parameters"]
        observation, *_, info = environment.step(action)
        canvas = environment.renderer.render(background=white, triangles=np.array(expected, np.float32).reshape(-1, 10))
        image = np.round(canvas * 255.0).astype(np.uint8).transpose(1, 2, 0)
        assert np.array_equal(observation["image"][:, :, 3:], image)
        target = observation["image"][:, :, :3].transpose(2, 0, 1) / 255.0
        assert info["error"] == pytest.approx(np.sum((canvas - target) ** 2) / np.sum((1.0 - target) ** 2), rel=1e-4)
    assert len(expected) == 6


def test_returns_add_up_to_what_was_gained() -> None:
    environment = Triangles(height=16, width=16)
    environment.reset(seed=2)
    environment.action_space.seed(2)
    rewards = []
    for _ in range(16):
        action = environment.action_space.sample() | {"operation": np.int64(ADD)}
        rewards.append(environment.step(action)[1])
    assert sum(rewards) == pytest.approx(1.0 - environment.error - 16 * 0.001)


def test_the_difference_of_target_and_canvas_instead_of_both() -> None:
    environment = started(images="difference")
    observation = environment.step(act(ADD))[0]
    # Black target: (255 + 0 − 255) // 2 = 0 on the white canvas, and 127 on what is painted black.
    assert observation["image"].shape == (4, 4, 3)
    assert observation["image"][0, 0].tolist() == [127, 127, 127]
    assert observation["image"][3, 3].tolist() == [0, 0, 0]
    assert environment.observation_space.contains(observation)


def test_a_blank_target_has_an_error_of_nothing() -> None:
    environment = Triangles(height=4, width=4)
    _, info = environment.reset(seed=0, options={"target": np.full((4, 4, 3), 255, np.uint8)})
    assert info["error"] == 0.0
    assert np.isfinite(environment.step(act(ADD))[1])


def test_spaces_say_what_is_a_set_and_what_chooses_from_it() -> None:
    environment = Triangles(maximum=5)
    observations, actions = environment.observation_space, environment.action_space
    assert isinstance(observations["triangles"], SetOf)
    assert (observations["triangles"].minimum, observations["triangles"].maximum) == (0, 5)
    assert actions["which"] == ElementOf("triangles", 5)
    assert observations["image"].shape == (32, 32, 6)


@pytest.mark.parametrize("arguments", [{}, {"images": "difference"}, {"height": 8, "width": 12, "maximum": 3}])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasiums_checker_has_nothing_to_say(arguments: dict[str, Any], render_mode: str | None) -> None:
    check_env(gymnasium.make(ID, render_mode=render_mode, **arguments).unwrapped)


def test_observations_stay_within_the_space_under_the_passive_checker() -> None:
    environment = gymnasium.make(ID, height=8, width=8, maximum=3, energy=30)
    environment.action_space.seed(0)
    for episode in range(20):
        observation, _ = environment.reset(seed=episode)
        ended = False
        while not ended:
            assert environment.observation_space.contains(observation)
            observation, _, ended, *_ = environment.step(environment.action_space.sample())


def play(*, seed: int, environment: gymnasium.Env[Any, Any]) -> list[Any]:
    environment.action_space.seed(5)
    seen = [environment.reset(seed=seed)]
    for _ in range(10):
        action = environment.action_space.sample()
        action["operation"] = np.int64(max(int(action["operation"]), EDIT))
        observation, reward, *_, info = environment.step(action)
        seen.append((observation | {"reward": np.float64(reward)}, info))
    return seen


def equal(one: list[Any], other: list[Any]) -> bool:
    return all(
        left[0].keys() == right[0].keys()
        and all(np.array_equal(left[0][key], right[0][key]) for key in left[0])
        and left[1] == right[1]
        for left, right in zip(one, other, strict=True)
    )


def test_the_seed_and_the_actions_decide_everything_whatever_went_before() -> None:
    used = Triangles(height=16, width=16)
    play(seed=9, environment=used)
    expected = play(seed=3, environment=Triangles(height=16, width=16))
    assert equal(play(seed=3, environment=used), expected)
    assert not equal(play(seed=4, environment=used), expected)


def test_options_do_not_shift_the_following_episodes() -> None:
    plain, chosen = Triangles(height=4, width=4), Triangles(height=4, width=4)
    plain.reset(seed=8)
    chosen.reset(seed=8, options={"target": BLACK_TARGET})
    assert np.array_equal(plain.reset()[0]["image"], chosen.reset()[0]["image"])


def test_observations_are_not_shared_between_steps() -> None:
    environment = started()
    first = environment.step(act(ADD))[0]
    kept = {key: value.copy() for key, value in first.items()}
    environment.step(act(EDIT, parameters=-CORNER))
    assert all(np.array_equal(first[key], kept[key]) for key in kept)


def test_the_targets_array_remains_the_callers() -> None:
    environment, target = Triangles(height=4, width=4), BLACK_TARGET.copy()
    environment.reset(options={"target": target})
    target[:] = 200
    assert environment.step(act(ADD))[0]["image"][0, 0, :3].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "options",
    [{"image": BLACK_TARGET}, {"target": BLACK_TARGET / 255.0}, {"target": np.zeros((4, 5, 3), np.uint8)}],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"option|target"):
        Triangles(height=4, width=4).reset(options=options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maximum": 0}, "`maximum`"),
        ({"energy": 0}, "`energy`"),
        ({"add_cost": -0.1}, "`add_cost`"),
        ({"edit_cost": float("nan")}, "`edit_cost`"),
        ({"opacity": (0.5, 0.1)}, "`opacity`"),
        ({"background": (0, 0, 256)}, "`background`"),
        ({"images": "both"}, "images='both'"),
        ({"height": 0}, "size"),
        ({"targets": "folder"}, "`targets`"),
        ({"render_mode": "human"}, "render_mode='human'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Triangles(**arguments)


@pytest.mark.usefixtures("unchecked")
def test_wrong_actions_and_steps_outside_an_episode_are_refused() -> None:
    environment = Triangles(height=4, width=4, maximum=2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        environment.step(act(ADD))
    environment.reset(seed=0)
    for action in (act(3), act(EDIT, which=2), act(ADD, parameters=np.full(10, 1.5, np.float32)), {"operation": 0}):
        with pytest.raises(gymnasium.error.InvalidAction):
            environment.step(action)
    environment.step(act(STOP))
    with pytest.raises(gymnasium.error.ResetNeeded):
        environment.step(act(ADD))


def test_a_picture_shows_the_target_left_and_the_canvas_right() -> None:
    environment = started(render_mode="rgb_array")
    before = environment.render()
    environment.step(act(ADD))
    image = environment.render()
    assert image is not None
    assert before is not None
    assert image.shape == (256, 256 + 8 + 256, 3)
    assert image[10, 10].tolist() == [0, 0, 0]  # the target is black all over …
    assert image[250, 250].tolist() == [0, 0, 0]
    assert image[10, 274].tolist() == [0, 0, 0]  # … and the canvas where the triangle is
    assert image[250, 510].tolist() == [255, 255, 255]
    assert not np.array_equal(before, image)
    assert started().render() is None


def test_registering_twice_changes_nothing() -> None:
    before = gymnasium.spec(ID)
    triax.environments.register_triangles()
    assert gymnasium.spec(ID) == before


def test_targets_of_another_kind_can_be_asked_for() -> None:
    environment = gymnasium.make(ID, targets=RandomShapes(triangles=(1, 1), background=(0, 0, 0)), height=8, width=8)
    target = environment.reset(seed=3)[0]["image"][:, :, :3]
    assert len(np.unique(target.reshape(-1, 3), axis=0)) <= 2

"""MixedActionSets2D: rewards worked out by hand, arrangements that can be solved, what simple policies score."""

from collections.abc import Callable
from typing import Any

import gymnasium
import jaxtyping
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.utils.env_checker import check_env
from scipy import ndimage

import triax.environments
from triax.environments import MixedActionSets2D
from triax.environments.mixed_action_arena import CORRIDOR, draw_scene
from triax.environments.mixed_action_drawing import OBSTACLE_COLOUR, TARGET_COLOUR, pixel_of
from triax.spaces import SetOf

ID = "triax/MixedActionSets2D-v0"

Policy = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code's own checks speak: a user's program runs without the tests' checker of annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def act(choice: int, x: float = 0.0, y: float = 0.0) -> dict[str, Any]:
    return {"choice": np.int64(choice), "move": np.clip(np.array([x, y]), -0.1, 0.1).astype(np.float32)}


def placed(**options: Any) -> MixedActionSets2D:
    environment = MixedActionSets2D(render_mode="rgb_array")
    environment.reset(seed=0, options=options)
    return environment


def test_moves_pay_for_coming_nearer_to_the_nearest_targets_edge() -> None:
    # The nearer target's centre is 0.3 away and its edge 0.25; after x by 0.1 it is 0.15: 10 · 0.1 − 0.1.
    environment = placed(position=(0.2, 0.5), targets=[(0.5, 0.5, 0.05), (0.9, 0.9, 0.08)])
    observation, reward, terminated, truncated, info = environment.step(act(0, x=0.1, y=0.1))
    assert reward == pytest.approx(0.9)
    assert (terminated, truncated) == (False, False)
    assert info == {"success": False, "distance": pytest.approx(0.15)}
    # Away from it costs as much: −10 · 0.1 − 0.1.
    assert environment.step(act(0, x=-0.1))[1] == pytest.approx(-1.1)
    np.testing.assert_allclose(observation["position"], [0.3, 0.5], rtol=1e-6)
    # The way (0.2, 0), to the edge 0.15; and (0.6, 0.4), √0.52 − 0.08 = 0.6411103.
    expected = [[0.2, 0.0, 0.15, 0.05, 1, 0], [0.6, 0.4, 0.6411103, 0.08, 1, 0]]
    np.testing.assert_allclose(observation["objects"], expected, rtol=1e-6, atol=1e-7)


def test_within_a_target_there_is_nothing_to_gain_but_done() -> None:
    environment = placed(position=(0.5, 0.46), targets=[(0.5, 0.5, 0.08)])
    _, reward, terminated, _, info = environment.step(act(1, y=0.05))
    assert reward == pytest.approx(-0.1)
    assert (terminated, info) == (False, {"success": False, "distance": 0.0})
    _, reward, terminated, _, info = environment.step(act(2))
    assert (reward, terminated, info) == (10.0, True, {"success": True, "distance": 0.0})


def test_done_elsewhere_fails_in_an_obstacles_neighbourhood_too() -> None:
    environment = placed(position=(0.5, 0.5), targets=[(0.9, 0.9, 0.05)], obstacles=[(0.5, 0.6, 0.09)])
    _, reward, terminated, _, info = environment.step(act(2))
    assert (reward, terminated, info["success"]) == (-10.0, True, False)


@pytest.mark.parametrize(
    ("obstacle", "entered"),
    [
        ((0.3, 0.5, 0.05), True),  # the move ends in it
        ((0.25, 0.5, 0.04), True),  # it lies on the way, and both ends are outside
        ((0.25, 0.53, 0.04), True),  # its rim reaches over the way
        ((0.25, 0.55, 0.04), False),  # its rim does not
        ((0.4, 0.5, 0.05), False),  # it is ahead
        ((0.1, 0.5, 0.05), False),  # it is behind
    ],
)
def test_obstacles_end_the_episode_on_the_way_as_well_as_at_its_end(
    obstacle: tuple[float, float, float], entered: bool
) -> None:
    environment = placed(position=(0.2, 0.5), targets=[(0.9, 0.5, 0.05)], obstacles=[obstacle])
    _, reward, terminated, truncated, info = environment.step(act(0, x=0.1))
    assert reward == pytest.approx(0.9 - 10.0 * entered)
    assert (terminated, truncated, info["success"]) == (entered, False, False)


def test_targets_are_no_obstacles() -> None:
    environment = placed(position=(0.2, 0.5), targets=[(0.25, 0.5, 0.04), (0.9, 0.5, 0.05)])
    assert environment.step(act(0, x=0.1))[2] is False


def test_numbers_of_objects_are_spread_over_their_range_and_kinds_over_the_rows() -> None:
    environment = MixedActionSets2D(objects=(2, 6))
    environment.reset(seed=0)
    sets = [environment.reset()[0]["objects"] for _ in range(400)]
    counts = np.bincount([len(each) for each in sets], minlength=7)
    # Each of five numbers has probability 1/5: a mean of 80, standard deviation 8.
    assert counts[:2].tolist() == [0, 0]
    assert np.all(np.abs(counts[2:] - 80) < 40)
    for each in sets:
        assert np.array_equal(each[:, 4], 1.0 - each[:, 5])
        assert 1 <= each[:, 4].sum() <= (len(each) + 2) // 3
    # The first row is a target as often as the last one: the order says nothing.
    pairs = [each for each in sets if len(each) == 2]
    assert 0.25 < np.mean([each[0, 4] for each in pairs]) < 0.75


def test_twelve_objects_find_room_with_corridors_and_a_target_can_be_reached() -> None:
    generator = np.random.Generator(np.random.Philox(key=1))
    grid = (np.arange(200) + 0.5) / 200
    places = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    for _ in range(40):
        scene = draw_scene(generator=generator, number=12)
        things = scene.arrangement
        ways = np.hypot(*(things.centres[:, None] - things.centres[None]).transpose(2, 0, 1))
        room = ways - things.radii[:, None] - things.radii[None]
        assert room[~np.eye(12, dtype=bool)].min() >= CORRIDOR - 1e-12
        assert things.gaps(scene.position).min() >= CORRIDOR - 1e-12
        # Places outside of all obstacles, as regions whose neighbours are one step along an axis away.
        gaps = np.hypot(*(places[:, :, None] - things.centres).transpose(3, 0, 1, 2)) - things.radii
        regions, _ = ndimage.label(np.all(gaps[:, :, ~things.is_target] > 0.0, axis=2))
        reached = regions == regions[tuple((scene.position * 200).astype(int))]
        assert np.any(reached & np.any(gaps[:, :, things.is_target] < 0.0, axis=2))


def greedy(observation: dict[str, Any]) -> dict[str, Any]:
    """Go straight to the nearest target, whatever is in between."""
    objects = observation["objects"]
    targets = objects[objects[:, 4] == 1.0]
    nearest = targets[np.argmin(targets[:, 2])]
    dx, dy = nearest[:2].tolist()
    return act(2) if nearest[2] <= 0.0 else act(int(abs(dy) > abs(dx)), x=dx, y=dy)


def blind(observation: dict[str, Any]) -> dict[str, Any]:
    """Go to the middle, where most is near, and hope."""
    dx, dy = (0.5 - observation["position"]).tolist()
    return act(2) if max(abs(dx), abs(dy)) < 0.02 else act(int(abs(dy) > abs(dx)), x=dx, y=dy)


def careful(observation: dict[str, Any]) -> dict[str, Any]:
    """Follow the shortest way to a target around the obstacles, on a grid laid through the agent's place."""
    objects, cell = observation["objects"].astype(np.float64), 0.02
    axes = [np.arange(-int(here / cell), int((1.0 - here) / cell) + 1) for here in observation["position"].tolist()]
    ways = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[:, :, None] * cell
    gaps = np.hypot(*(objects[:, :2] - ways).transpose(3, 0, 1, 2)) - objects[:, 3]
    free = np.all(gaps[:, :, objects[:, 5] == 1.0] > 0.004, axis=2)
    front = np.any(gaps[:, :, objects[:, 4] == 1.0] < 0.0, axis=2)
    here = (-int(axes[0][0]), -int(axes[1][0]))
    if front[here]:
        return act(2)
    free[here] = True
    steps = np.where(front, 0, 10_000)
    for step in range(1, 200):  # in widening fronts from all targets
        front = ndimage.binary_dilation(front) & free & (steps == 10_000)
        steps[front] = step
    # The longest move along an axis on which each cell is one nearer.
    best = (0, 0, 0)
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        place, length = np.array(here), 0
        while length < 5:
            ahead = place + sign * np.eye(2, dtype=int)[axis]
            inside = np.all((ahead >= 0) & (ahead < steps.shape))
            if not inside or steps[tuple(ahead)] >= steps[tuple(place)]:
                break
            place, length = ahead, length + 1
        best = max(best, (length, axis, sign))
    length, axis, sign = best
    return act(axis, x=sign * length * cell, y=sign * length * cell)


def success_share(*, policy: Policy | None, objects: tuple[int, int], episodes: int) -> float:
    environment = gymnasium.make(ID, objects=objects, disable_env_checker=True)
    environment.action_space.seed(0)
    successes = []
    for episode in range(episodes):
        observation, _ = environment.reset(seed=episode)
        ended = False
        while not ended:
            action = environment.action_space.sample() if policy is None else policy(observation)
            observation, _, terminated, truncated, info = environment.step(action)
            ended = terminated or truncated
        successes.append(info["success"])
    return float(np.mean(successes))


@pytest.mark.usefixtures("unchecked")
def test_it_takes_the_set_to_succeed_and_the_obstacles_in_it_to_succeed_often() -> None:
    # Of 400 episodes with 1 to 6 objects: random 0.5 %, blind 2 %, greedy 88 %; with 7 to 12 greedy 74 %.
    assert success_share(policy=None, objects=(1, 6), episodes=100) < 0.05
    assert success_share(policy=blind, objects=(1, 6), episodes=100) < 0.1
    assert 0.75 < success_share(policy=greedy, objects=(1, 6), episodes=100) < 0.95
    assert 0.6 < success_share(policy=greedy, objects=(7, 12), episodes=100) < 0.85
    assert success_share(policy=careful, objects=(1, 12), episodes=12) == 1.0


def test_the_declared_maximum_can_be_larger_than_what_is_drawn() -> None:
    few = MixedActionSets2D(objects=(1, 6), maximum=12).observation_space
    many = MixedActionSets2D(objects=(7, 12)).observation_space
    assert isinstance(few["objects"], SetOf)
    assert few["objects"].maximum == 12
    assert few == many


@pytest.mark.parametrize("arguments", [{}, {"objects": (7, 12)}, {"objects": (1, 3), "maximum": 12}])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasiums_checker_has_nothing_to_say(arguments: dict[str, Any], render_mode: str | None) -> None:
    check_env(gymnasium.make(ID, render_mode=render_mode, **arguments).unwrapped)


def test_observations_stay_within_the_space_under_the_passive_checker() -> None:
    environment = gymnasium.make(ID, objects=(1, 12))
    environment.action_space.seed(0)
    for episode in range(40):
        observation, _ = environment.reset(seed=episode)
        ended = False
        while not ended:
            assert environment.observation_space.contains(observation)
            action = environment.action_space.sample()
            observation, _, terminated, truncated, _ = environment.step(action)
            ended = terminated or truncated


def test_corners_are_within_the_bounds_of_observations() -> None:
    environment = placed(position=(0.0, 1.0), targets=[(1.0, 0.0, 0.0)], obstacles=[(0.0, 1.0, 0.09)])
    observation = environment.step(act(2))[0]
    assert environment.observation_space.contains(observation)
    np.testing.assert_allclose(observation["objects"][:, 2], [np.sqrt(2.0), -0.09], rtol=1e-6)


def play(*, seed: int, environment: MixedActionSets2D) -> list[npt.NDArray[np.float32]]:
    observation, _ = environment.reset(seed=seed)
    seen = [observation["objects"]]
    for number in range(6):
        observation, reward, terminated, *_ = environment.step(act(number % 2, x=0.05, y=-0.03))
        seen += [observation["objects"], observation["position"], np.array([reward], np.float32)]
        if terminated:
            break
    return seen


def equal(one: list[npt.NDArray[np.float32]], other: list[npt.NDArray[np.float32]]) -> bool:
    return len(one) == len(other) and all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_the_seed_and_the_actions_decide_everything_whatever_went_before() -> None:
    used = MixedActionSets2D()
    play(seed=9, environment=used)
    expected = play(seed=3, environment=MixedActionSets2D())
    assert equal(play(seed=3, environment=used), expected)
    assert not equal(play(seed=4, environment=used), expected)


def test_options_do_not_shift_the_following_episodes() -> None:
    plain, chosen = MixedActionSets2D(), MixedActionSets2D()
    plain.reset(seed=8)
    chosen.reset(seed=8, options={"position": (0.0, 0.0), "targets": [(0.5, 0.5, 0.05)]})
    assert np.array_equal(plain.reset()[0]["objects"], chosen.reset()[0]["objects"])


def test_registered_time_limit_truncates_after_fifty_steps() -> None:
    environment = gymnasium.make(ID)
    environment.reset(seed=1)
    ends = [environment.step(act(0))[2:4] for _ in range(50)]
    assert ends == [(False, False)] * 49 + [(False, True)]


@pytest.mark.parametrize(
    "options",
    [
        {"start": (0, 0)},
        {"targets": [(0.5, 0.5, 0.05)]},
        {"position": (0.5, 1.1), "targets": [(0.5, 0.5, 0.05)]},
        {"position": (0.5, 0.5), "targets": [(0.5, 0.5)]},
        {"position": (0.5, 0.5), "targets": [(0.5, 0.5, 0.3)]},
        {"position": (0.5, 0.5), "targets": []},
        {"position": (0.5, 0.5), "targets": [(0.5, 0.5, 0.05)] * 7},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"[oO]ption"):
        MixedActionSets2D().reset(options=options)


@pytest.mark.parametrize(
    "arguments", [{"objects": (0, 3)}, {"objects": (4, 3)}, {"objects": (1, 13)}, {"objects": (1, 6), "maximum": 5}]
)
def test_wrong_arguments_are_refused_by_name(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"`objects`|`maximum`"):
        MixedActionSets2D(**arguments)
    with pytest.raises(ValueError, match="render_mode='ansi'"):
        MixedActionSets2D(render_mode="ansi")


@pytest.mark.usefixtures("unchecked")
def test_wrong_actions_and_steps_outside_an_episode_are_refused() -> None:
    environment = MixedActionSets2D()
    with pytest.raises(gymnasium.error.ResetNeeded):
        environment.step(act(0))
    environment.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction):
        environment.step(act(3))
    environment.step(act(2))
    with pytest.raises(gymnasium.error.ResetNeeded):
        environment.step(act(0))


def test_drawing_shows_targets_and_obstacles() -> None:
    environment = placed(position=(0.1, 0.1), targets=[(0.8, 0.9, 0.05)], obstacles=[(0.8, 0.2, 0.08)])
    image = environment.render()
    assert image is not None
    assert tuple(image[pixel_of(np.array([0.8, 0.9]))].tolist()) == TARGET_COLOUR
    assert tuple(image[pixel_of(np.array([0.8, 0.2]))].tolist()) == OBSTACLE_COLOUR
    assert MixedActionSets2D().render() is None
    begun = MixedActionSets2D(render_mode="rgb_array")
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        begun.render()
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        _ = begun.distance


def test_registering_twice_changes_nothing() -> None:
    before = gymnasium.spec(ID)
    triax.environments.register_mixed_action_sets()
    assert gymnasium.spec(ID) == before

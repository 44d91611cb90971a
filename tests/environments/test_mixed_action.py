"""MixedAction2D: rewards worked out by hand, bounds, determinism, Gymnasium's checks."""

from typing import Any

import gymnasium
import jaxtyping
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import triax.environments
from triax.environments import MixedAction2D

IDS = ["triax/MixedAction2D-v0", "triax/MixedAction2DContinuing-v0"]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code's own checks speak: a user's program runs without the tests' checker of annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def act(choice: int, x: float = 0.0, y: float = 0.0) -> dict[str, Any]:
    return {"choice": np.int64(choice), "move": np.array([x, y], dtype=np.float32)}


def placed(position: tuple[float, float], target: tuple[float, float], *, continuing: bool = False) -> MixedAction2D:
    environment = MixedAction2D(continuing=continuing)
    environment.reset(seed=0, options={"position": position, "target": target})
    return environment


def test_moves_follow_the_chosen_axis_alone_and_pay_the_distance_after_the_move() -> None:
    # Target (0.5, 0.9), agent (0.2, 0.5): the way is (0.3, 0.4) and its length 0.5.
    environment = MixedAction2D()
    observation, info = environment.reset(options={"position": (0.2, 0.5), "target": (0.5, 0.9)})
    np.testing.assert_allclose(observation, [0.3, 0.4, 0.5], rtol=1e-6)
    assert info == {"success": False, "distance": pytest.approx(0.5)}
    # x by 0.1, and the amount for y has no effect: the way is (0.2, 0.4), its length √0.2 = 0.4472136.
    observation, reward, terminated, truncated, info = environment.step(act(0, x=0.1, y=-0.05))
    np.testing.assert_allclose(observation, [0.2, 0.4, 0.4472136], rtol=1e-6)
    assert reward == pytest.approx(-0.4472136)
    assert (terminated, truncated) == (False, False)
    assert info == {"success": False, "distance": pytest.approx(0.4472136)}
    # y by −0.1: the way is (0.2, 0.5), its length √0.29 = 0.5385165.
    observation, reward, *_ = environment.step(act(1, x=0.1, y=-0.1))
    np.testing.assert_allclose(observation, [0.2, 0.5, 0.5385165], rtol=1e-6)
    assert reward == pytest.approx(-0.5385165)


def test_done_within_the_zone_pays_a_hundred() -> None:
    # The way is (0.03, 0.0), within 0.05; "done" does not move, whatever the amounts say.
    environment = placed((0.5, 0.5), (0.53, 0.5))
    observation, reward, terminated, truncated, info = environment.step(act(2, x=0.1, y=0.1))
    np.testing.assert_allclose(observation, [0.03, 0.0, 0.03], rtol=1e-5)
    assert reward == 100.0
    assert (terminated, truncated) == (True, False)
    assert info == {"success": True, "distance": pytest.approx(0.03)}


def test_done_outside_the_zone_costs_a_hundred_and_the_distance() -> None:
    # The way is (0.06, 0.08), its length 0.1: −100 − 0.1.
    environment = placed((0.5, 0.5), (0.56, 0.58))
    _, reward, terminated, _, info = environment.step(act(2))
    assert reward == pytest.approx(-100.1)
    assert terminated is True
    assert info["success"] is False


@pytest.mark.parametrize(("gap", "reward"), [(0.0, 100.0), (0.05, 100.0), (0.050001, -100.050001)])
def test_the_edge_belongs_to_the_zone(gap: float, reward: float) -> None:
    # From 0.0, so that the gap is exact.
    environment = placed((0.0, 0.0), (0.0, gap))
    assert environment.step(act(2))[1] == pytest.approx(reward)


def test_being_in_the_zone_without_saying_so_is_no_success() -> None:
    _, reward, terminated, _, info = placed((0.5, 0.5), (0.53, 0.5)).step(act(0, x=0.03))
    assert reward == pytest.approx(0.0, abs=1e-7)
    assert terminated is False
    assert info["success"] is False


def test_the_square_stops_the_agent() -> None:
    environment = placed((0.95, 0.03), (0.95, 0.03))
    # x ends at 1 and not at 1.05; y at 0 and not at −0.07.
    assert environment.step(act(0, x=0.1))[0][0] == pytest.approx(-0.05)
    observation, reward, *_ = environment.step(act(1, y=-0.1))
    np.testing.assert_allclose(observation[:2], [-0.05, 0.03], rtol=1e-5)
    assert reward == pytest.approx(-np.hypot(0.05, 0.03))


def test_continuing_variant_never_terminates_and_pays_minus_the_distance() -> None:
    environment = placed((0.5, 0.5), (0.53, 0.5), continuing=True)
    # In the zone at 0.03, out of it at 0.07 after x by −0.04.
    _, reward, terminated, truncated, info = environment.step(act(1))
    assert reward == pytest.approx(-0.03)
    assert (terminated, truncated) == (False, False)
    assert info["success"] is True
    _, reward, _, _, info = environment.step(act(0, x=-0.04))
    assert reward == pytest.approx(-0.07)
    assert info["success"] is False
    with pytest.raises(gymnasium.error.InvalidAction, match="Discrete"):
        environment.step(act(2))


@pytest.mark.parametrize("environment_id", IDS)
def test_registered_time_limit_truncates_after_a_hundred_steps(environment_id: str) -> None:
    environment = gymnasium.make(environment_id)
    environment.reset(seed=1)
    ends = [environment.step(act(0, x=0.01))[2:4] for _ in range(100)]
    assert ends == [(False, False)] * 99 + [(False, True)]
    # Negative control: the class by itself has no limit.
    bare = environment.unwrapped
    bare.reset(seed=1)
    assert not any(bare.step(act(0))[3] for _ in range(150))


@pytest.mark.parametrize("environment_id", IDS)
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasiums_checker_has_nothing_to_say(environment_id: str, render_mode: str | None) -> None:
    check_env(gymnasium.make(environment_id, render_mode=render_mode).unwrapped)


def test_registering_twice_changes_nothing() -> None:
    before = [gymnasium.spec(environment_id) for environment_id in IDS]
    triax.environments.register_mixed_action()
    assert [gymnasium.spec(environment_id) for environment_id in IDS] == before


@pytest.mark.parametrize(
    "action",
    [
        act(3),
        act(-1),
        act(0, x=0.11),
        act(0, y=float("nan")),
        {"choice": 0, "move": np.zeros(2)},  # float64
        {"choice": 0, "move": np.zeros(3, dtype=np.float32)},
        {"choice": 0},
        np.zeros(3, dtype=np.float32),
    ],
    ids=["choice 3", "choice -1", "too far", "nan", "float64", "shape", "no move", "no dictionary"],
)
@pytest.mark.usefixtures("unchecked")
def test_actions_outside_the_space_are_refused(action: Any) -> None:
    environment = placed((0.5, 0.5), (0.9, 0.9))
    with pytest.raises(gymnasium.error.InvalidAction, match="lies outside the action space"):
        environment.step(action)
    assert environment.distance == pytest.approx(np.hypot(0.4, 0.4))  # nothing moved


def test_steps_outside_an_episode_are_refused() -> None:
    environment = MixedAction2D()
    with pytest.raises(gymnasium.error.ResetNeeded):
        environment.step(act(0))
    environment.reset(seed=0)
    environment.step(act(2))
    with pytest.raises(gymnasium.error.ResetNeeded):
        environment.step(act(0))


@pytest.mark.parametrize("options", [{"start": (0, 0)}, {"target": (0.5, 1.1)}, {"target": 0.5}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"[oO]ption"):
        MixedAction2D().reset(options=options)


def test_wrong_render_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="render_mode='ansi'"):
        MixedAction2D(render_mode="ansi")


def play(*, seed: int, steps: int) -> list[npt.NDArray[np.float32]]:
    environment = gymnasium.make("triax/MixedAction2DContinuing-v0")
    environment.action_space.seed(5)
    observations = [environment.reset(seed=seed)[0]]
    observations += [environment.step(environment.action_space.sample())[0] for _ in range(steps)]
    return observations


def test_the_seed_decides_everything() -> None:
    assert np.array_equal(play(seed=3, steps=20), play(seed=3, steps=20))
    assert not np.array_equal(play(seed=3, steps=20), play(seed=4, steps=20))


def test_options_do_not_shift_the_following_episodes() -> None:
    plain, chosen = MixedAction2D(), MixedAction2D()
    plain.reset(seed=8)
    chosen.reset(seed=8, options={"position": (0.0, 0.0)})
    assert np.array_equal(plain.reset()[0], chosen.reset()[0])


def test_starts_are_uniform_over_the_square() -> None:
    # Differences of two uniform numbers have mean 0 and variance 2/12; the mean distance in a unit square is 0.5214.
    environment = MixedAction2D()
    environment.reset(seed=0)
    starts = np.array([environment.reset()[0] for _ in range(4000)])
    np.testing.assert_allclose(starts[:, :2].mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(starts[:, :2].var(axis=0), 1 / 6, atol=0.02)
    assert starts[:, 2].mean() == pytest.approx(0.5214, abs=0.015)


unit = st.floats(min_value=0.0, max_value=1.0)
corner = st.sampled_from([0.0, 1.0, 1e-30, float(np.nextafter(1.0, 0.0))])


@settings(deadline=None, max_examples=200)
@given(
    position=st.tuples(unit | corner, unit | corner),
    target=st.tuples(unit | corner, unit | corner),
    choices=st.lists(st.tuples(st.integers(0, 1), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)), max_size=5),
)
def test_bounds_hold_everywhere(
    position: tuple[float, float], target: tuple[float, float], choices: list[tuple[int, float, float]]
) -> None:
    environment = MixedAction2D()
    observation, _ = environment.reset(options={"position": position, "target": target})
    assert environment.observation_space.contains(observation)
    for choice, x, y in choices:
        move = np.float32(0.1) * np.array([x, y], dtype=np.float32)
        observation, reward, *_ = environment.step({"choice": choice, "move": move})
        assert environment.observation_space.contains(observation)
        assert -np.sqrt(2.0) <= reward <= 0.0


def test_bounds_are_reached_at_opposite_corners() -> None:
    environment = MixedAction2D()
    observation, _ = environment.reset(options={"position": (0.0, 1.0), "target": (1.0, 0.0)})
    space = environment.observation_space
    assert isinstance(space, gymnasium.spaces.Box)
    assert space.contains(observation)
    assert observation[2] == space.high[2]
    assert observation[0] == space.high[0]
    assert observation[1] == space.low[1]


def test_observations_are_not_shared_between_steps() -> None:
    environment = placed((0.2, 0.2), (0.8, 0.8))
    first = environment.step(act(0, x=0.1))[0]
    kept = first.copy()
    environment.step(act(0, x=0.1))
    assert np.array_equal(first, kept)

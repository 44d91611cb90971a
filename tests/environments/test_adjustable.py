"""Gymnasium's environments with more attributes: the same as Gymnasium's until one is changed."""

import functools
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from triax.environments import EnvironmentConfig
from triax.environments.adjustable import AdjustableAcrobot, AdjustableFrozenLake
from triax.environments.physics import PHYSICS_TABLES, RandomisedPhysics


def make(name: str, **arguments: Any) -> gymnasium.Env[Any, Any]:
    wrapper = functools.partial(RandomisedPhysics, table=PHYSICS_TABLES[name], **arguments)
    return EnvironmentConfig(id=name, wrappers=(wrapper,)).make()


def play(environment: gymnasium.Env[Any, Any], actions: list[Any]) -> list[Any]:
    seen = [environment.reset(seed=3)[0]]
    return seen + [environment.step(action)[0] for action in actions]


@pytest.mark.parametrize(
    ("ours", "theirs", "action"),
    [("triax/Acrobot-v0", "Acrobot-v1", 2), ("triax/FrozenLake-v0", "FrozenLake8x8-v1", 1)],
)
def test_untouched_it_is_gymnasiums(ours: str, theirs: str, action: int) -> None:
    same, original = EnvironmentConfig(id=ours).make(), gymnasium.make(theirs)
    for one, other in zip(play(same, [action] * 20), play(original, [action] * 20), strict=True):
        np.testing.assert_array_equal(one, other)
    assert same.spec is not None
    assert original.spec is not None
    assert same.spec.max_episode_steps == original.spec.max_episode_steps


@pytest.mark.parametrize("name", ["triax/Pendulum-v0", "triax/Acrobot-v0", "triax/FrozenLake-v0", "Pendulum-v1"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_the_extremes_arrive_and_play_to_the_end(name: str, end: str) -> None:
    table = PHYSICS_TABLES[name]
    record = {row.name: float(getattr(row.distribution, end)) for row in table}
    environment = make(name, fixed=record)
    environment.action_space.seed(0)
    _, info = environment.reset(seed=0)
    assert info["physics"] == record
    for row in table:
        assert environment.get_wrapper_attr(row.attribute) == pytest.approx(record[row.name])
    for _ in range(1000):
        observation, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
        assert np.isfinite(observation).all()
        assert np.isfinite(float(reward))
        if terminated or truncated:
            environment.reset()


@pytest.mark.parametrize("name", ["triax/Pendulum-v0", "triax/Acrobot-v0", "triax/FrozenLake-v0", "Pendulum-v1"])
def test_a_wrong_name_is_refused_by_name(name: str) -> None:
    row = PHYSICS_TABLES[name][0]
    wrong = type(row)(element="environment", attribute=f"{row.attribute}x", distribution=row.distribution)
    with pytest.raises(ValueError, match=rf"no number '{row.attribute}x'.*Did you mean '{row.attribute}'\?"):
        RandomisedPhysics(EnvironmentConfig(id=name).make(), table=(wrong,))


def test_the_whole_action_is_the_greatest_torque() -> None:
    for torque in (0.01, 4.0):
        environment = EnvironmentConfig(id="triax/Pendulum-v0").make()
        environment.reset(seed=0)
        environment.set_wrapper_attr("max_torque", torque)
        environment.step(np.ones(1, np.float32))
        assert environment.get_wrapper_attr("last_u") == pytest.approx(torque)
    check_env(EnvironmentConfig(id="triax/Pendulum-v0").make().unwrapped, skip_render_check=True)


@pytest.mark.parametrize("book_or_nips", ["book", "nips"])
def test_gravity_enters_the_equations_of_the_acrobot(book_or_nips: str, monkeypatch: pytest.MonkeyPatch) -> None:
    acrobot = AdjustableAcrobot()
    monkeypatch.setattr(acrobot, "book_or_nips", book_or_nips)
    # Upper link horizontal (θ₁ = π/2), lower link straight on (θ₂ = 0), at rest. With l = m = I = 1, c = 0.5:
    # d₁ = .25 + (1 + .25 + 1) + 2 = 4.5, d₂ = .25 + .5 + 1 = 1.75, φ₂ = .5 g, φ₁ = 1.5 g + .5 g = 2 g,
    # θ₂'' = (d₂/d₁ φ₁ − φ₂) / (1.25 − d₂²/d₁), θ₁'' = −(d₂ θ₂'' + φ₁)/d₁.
    for gravity in (0.0, 9.0, 9.8, 11.0):
        acrobot.gravity = gravity
        second = (1.75 / 4.5 * 2 * gravity - 0.5 * gravity) / (1.25 - 1.75**2 / 4.5)
        first = -(1.75 * second + 2 * gravity) / 4.5
        found = acrobot._dsdt(np.array([np.pi / 2, 0.0, 0.0, 0.0, 0.0]))
        np.testing.assert_allclose(found, [0.0, 0.0, first, second, 0.0], rtol=1e-9, atol=1e-12)


def test_gravity_of_the_acrobot_adds_to_what_moves_it() -> None:
    # In motion and with a torque: half of the gravity is half of the way between none and all of it.
    acrobot = AdjustableAcrobot()
    state = np.array([0.4, -0.7, 1.5, -2.0, 1.0])
    accelerations = []
    for gravity in (0.0, 4.9, 9.8):
        acrobot.gravity = gravity
        accelerations.append(acrobot._dsdt(state))
    np.testing.assert_allclose(accelerations[1], (np.array(accelerations[0]) + accelerations[2]) / 2, rtol=1e-9)
    assert accelerations[0][2] != pytest.approx(accelerations[2][2], abs=0.1)


def reachable(lake: AdjustableFrozenLake) -> set[int]:
    """The cells that can be reached from the start."""
    found, frontier = {lake.start}, [lake.start]
    while frontier:
        for outcomes in lake.P[frontier.pop()].values():
            for _, cell, _, _ in outcomes:
                if cell not in found:
                    found.add(cell)
                    frontier.append(cell)
    return found


def test_the_lake_has_the_start_the_goal_and_the_slip_that_were_drawn() -> None:
    environment = make("triax/FrozenLake-v0")
    lake: Any = environment.unwrapped
    seen = set()
    for seed in range(30):
        state, info = environment.reset(seed=seed)
        record = info["physics"]
        assert state == record["environment start"]
        assert lake.desc.ravel()[int(record["environment goal"])] == b"G"
        assert (lake.desc == b"G").sum() == (lake.desc == b"S").sum() == 1
        # The move that was asked for, in the middle of an open field: cell 9, to the right.
        straight = [chance for chance, cell, _, _ in lake.P[9][2] if cell == 10]
        assert straight == [pytest.approx(record["environment success_rate"])]
        assert int(record["environment goal"]) in reachable(lake)
        seen.add((record["environment start"], record["environment goal"]))
    assert len(seen) > 10
    # The reward is at the new goal.
    assert [outcome[2] for outcome in lake.P[lake.goal - 8][1] if outcome[1] == lake.goal] == [1]


@pytest.mark.parametrize(("attribute", "cell"), [("start", 19), ("goal", 64), ("goal", 0)])
def test_cells_that_are_not_free_are_refused(attribute: str, cell: int) -> None:
    lake = AdjustableFrozenLake()
    setattr(lake, attribute, cell)
    with pytest.raises(ValueError, match=rf"`{attribute}` is cell {cell}, which is no free one"):
        lake.reset(seed=0)


def test_the_road_is_as_slippery_as_was_drawn() -> None:
    with warnings.catch_warnings():
        # The bindings warn when they are imported, and do not survive that this is an error.
        warnings.simplefilter("ignore")
        pytest.importorskip("Box2D")
        import pygame  # noqa: F401

    environment = make("triax/CarRacing-v0")
    for seed in range(2):
        _, info = environment.reset(seed=seed)
        friction = info["physics"]["environment road_friction"]
        assert 0.1 <= friction <= 2.1
        road: Any = environment.get_wrapper_attr("road")
        assert {tile.road_friction for tile in road} == {friction}
    observation, *_ = environment.step(np.zeros(3, np.float32))
    assert environment.observation_space.contains(observation)
    environment.close()

"""Sampling, recording, fixing, replaying, showing; and that an episode's physics follows from its seed alone."""

import functools
import json
import pickle
from typing import Any

import gymnasium
import jaxtyping
import numpy as np
import pytest
from physics_helpers import compiled_value, running_model, uniform

from triax.environments import EnvironmentConfig, dm_control_environment
from triax.environments.physics import (
    PHYSICS_TABLES,
    Choice,
    Fixed,
    LogUniform,
    PhysicsOverwritten,
    PhysicsParameter,
    RandomisedPhysics,
    Uniform,
    UnknownPhysicsElement,
    episode_physics,
    sample,
)
from triax.environments.physics.parameters import check_table
from triax.random import derive_generator
from triax.rollout.environments import EnvironmentBatch
from triax.rollout.resuming import observation_digest, take_again
from triax.rollout.seeded import SeededEnvironment
from triax.spaces import space_spec
from triax.training.description import describe, restore
from triax.training.importing import resolve_registered

HOPPER = PHYSICS_TABLES["Hopper-v5"]
PENDULUM = (
    uniform("environment", "max_torque", 0.5, 2.0),
    uniform("environment", "g", 5.0, 15.0),
    PhysicsParameter(element="environment", attribute="m", distribution=LogUniform(low=0.5, high=2.0)),
)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code's own checks speak: a user's program runs without the tests' checker of annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def pendulum(**arguments: Any) -> RandomisedPhysics:
    return RandomisedPhysics(gymnasium.make("Pendulum-v1"), table=PENDULUM, **arguments)


def hopper(**arguments: Any) -> gymnasium.Env[Any, Any]:
    wrapper = functools.partial(RandomisedPhysics, table=HOPPER, **arguments)
    return EnvironmentConfig(id="Hopper-v5", wrappers=(wrapper,)).make()


def generator(number: int = 0) -> np.random.Generator:
    return derive_generator(seed=number, name=("test",))


@pytest.mark.parametrize(
    ("distribution", "middle"),
    [
        (Uniform(low=-1.0, high=3.0), 1.0),
        (LogUniform(low=0.1, high=10.0), 1.0),
        (Choice(values=(2.0, 4.0, 3.0)), 3.0),
    ],
)
def test_distributions_stay_within_their_bounds_and_fill_them(distribution: Any, middle: float) -> None:
    stream = generator()
    drawn = np.array([distribution.draw(stream) for _ in range(2000)])
    units = np.array([distribution.to_unit(value) for value in drawn])
    assert drawn.min() >= distribution.low
    assert drawn.max() <= distribution.high
    # Half of the values, or a third for three choices, lie below the middle: that of the logarithm for LogUniform.
    assert np.mean(drawn < middle) == pytest.approx(1 / 3 if isinstance(distribution, Choice) else 1 / 2, abs=0.05)
    assert distribution.to_unit(middle) == pytest.approx(0.0)
    assert (distribution.to_unit(distribution.low), distribution.to_unit(distribution.high)) == (-1.0, 1.0)
    assert abs(units.mean()) < 0.06


def test_one_value_is_in_the_middle() -> None:
    assert Fixed(value=3.0).draw(generator()) == 3.0
    assert Fixed(value=3.0).to_unit(3.0) == Uniform(low=2.0, high=2.0).to_unit(2.0) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(low=2.0, high=1.0), r"Uniform: `low` and `high` .* are 2\.0 and 1\.0"),
        (lambda: Uniform(low=0.0, high=float("inf")), "finite"),
        (lambda: LogUniform(low=0.0, high=1.0), r"LogUniform: `low` has to be above 0"),
        (lambda: Choice(values=()), r"Choice: `values` has to be some finite numbers"),
        (lambda: Fixed(value=float("nan")), r"Fixed: `value` has to be finite"),
        (lambda: check_table(()), "has no parameters"),
        (lambda: check_table((*PENDULUM, PENDULUM[0])), r"'environment max_torque' more than once"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_sampling_is_pure_and_each_row_keeps_its_randomness() -> None:
    first = sample(table=PENDULUM, generator=generator())
    assert first == sample(table=PENDULUM, generator=generator())
    assert first != sample(table=PENDULUM, generator=generator(1))
    assert list(first.values) == ["environment max_torque", "environment g", "environment m"]
    # A row that is fixed takes as much from the stream as before, so that the others are the same.
    fixed = PhysicsParameter(element="environment", attribute="max_torque", distribution=Fixed(value=1.0))
    other = sample(table=(fixed, *PENDULUM[1:]), generator=generator())
    assert other.values == {**first.values, "environment max_torque": 1.0}


def test_all_attributes_of_one_element_are_recorded() -> None:
    _, info = hopper().reset(seed=0)
    assert set(info["physics"]) == {
        "geom foot_geom size[0]",
        "geom foot_geom half_length",
        "geom leg_geom size[0]",
        "geom leg_geom half_length",
    }


def test_the_same_seed_gives_the_same_physics_whatever_was_before() -> None:
    one, other = hopper(), hopper()
    other.reset(seed=99)
    for _ in range(30):
        other.step(other.action_space.sample())
    records, states = [], []
    for environment in (one, other):
        observation, info = environment.reset(seed=7)
        assert info["physics"] == dict(episode_physics(table=HOPPER, seed=7).values)
        for _ in range(50):
            observation, _, _, _, after = environment.step(np.array([0.3, -0.2, 0.1], np.float32))
            assert after["physics"] == info["physics"]
        records.append(info["physics"])
        states.append(observation)
    assert records[0] == records[1]
    np.testing.assert_array_equal(states[0], states[1])
    assert one.reset(seed=8)[1]["physics"] != records[0]
    model = running_model(one)
    for name, value in episode_physics(table=HOPPER, seed=8).values.items():
        element, _, attribute = name.rpartition(" ")
        assert compiled_value(model, element, attribute) == pytest.approx(value)


def test_resets_without_a_seed_differ_and_follow_from_the_last_seed() -> None:
    def records() -> list[dict[str, float]]:
        environment = pendulum()
        return [environment.reset(seed=seed)[1]["physics"] for seed in (5, None, None)]

    first, second, third = records()
    assert first != second != third
    assert [first, second, third] == records()


def test_an_episode_taken_again_is_the_same_to_the_bit() -> None:
    seeded = SeededEnvironment(environment=hopper(), number=0)
    seeded.begin(episode=0, seed=11)
    actions = [np.array([np.sin(step), np.cos(step), 0.5], np.float32) / 5 for step in range(12)]
    assert take_again(environment=seeded, actions=actions)
    again = SeededEnvironment(environment=hopper(), number=0)
    again.begin(episode=3, seed=12)
    again.begin(episode=4, seed=11)
    assert take_again(environment=again, actions=actions)
    np.testing.assert_array_equal(observation_digest(seeded.observation), observation_digest(again.observation))


def test_a_stopped_batch_goes_on_with_the_same_physics() -> None:
    def batch() -> EnvironmentBatch:
        environment = hopper(show=True)
        return EnvironmentBatch(
            make=functools.partial(hopper, show=True),
            count=1,
            seed=4,
            observation_spec=space_spec(space=environment.observation_space, role="observation"),
            action_spec=space_spec(space=environment.action_space, role="action"),
        )

    def play(environments: EnvironmentBatch, start: int) -> Any:
        return [environments.step(np.full((1, 3), np.sin(step), np.float32)) for step in range(start, start + 60)][-1]

    stopped = batch()
    play(stopped, 0)
    state = stopped.state()
    expected = play(stopped, 60)
    resumed = batch()
    resumed.restore(state)
    found = play(resumed, 60)
    for part in ("observation", "physics"):
        np.testing.assert_array_equal(found.observation[part], expected.observation[part])


def test_a_value_can_be_fixed_and_a_record_replayed() -> None:
    drawn = dict(episode_physics(table=PENDULUM, seed=3).values)
    _, info = pendulum(fixed={"environment g": 10.0}).reset(seed=3)
    assert info["physics"] == {**drawn, "environment g": 10.0}
    # Through JSON, as in the run's record.
    record = json.loads(json.dumps(drawn))
    replay = pendulum(fixed=record)
    assert replay.reset(seed=1)[1]["physics"] == replay.reset(seed=2)[1]["physics"] == drawn
    assert replay.get_wrapper_attr("g") == drawn["environment g"]


def test_one_episode_can_be_given_its_physics() -> None:
    environment = pendulum()
    _, info = environment.reset(seed=3, options={"physics": {"environment g": 6.5}, "x_init": 0.1})
    assert info["physics"]["environment g"] == environment.get_wrapper_attr("g") == 6.5
    assert environment.reset(seed=3)[1]["physics"]["environment g"] != 6.5
    with pytest.raises(UnknownPhysicsElement, match=r"no parameter 'environment gg'.*Did you mean 'environment g'\?"):
        environment.reset(seed=3, options={"physics": {"environment gg": 6.5}})
    with pytest.raises(ValueError, match=r"'environment g' was fixed to nan, which is no finite number"):
        environment.reset(seed=3, options={"physics": {"environment g": float("nan")}})
    with pytest.raises(ValueError, match="cannot change the physics at a reset"):
        pendulum(when="construction").reset(options={"physics": {"environment g": 6.5}})


def test_drawn_at_construction_it_stays() -> None:
    environment = pendulum(when="construction", seed=21)
    expected = dict(episode_physics(table=PENDULUM, seed=21).values)
    assert environment.reset(seed=0)[1]["physics"] == environment.reset(seed=1)[1]["physics"] == expected
    assert pendulum(when="construction", seed=22).reset(seed=0)[1]["physics"] != expected


def test_a_policy_can_be_shown_the_physics() -> None:
    environment = pendulum(show=True)
    observation, info = environment.reset(seed=3)
    assert environment.observation_space.contains(observation)
    record = info["physics"]
    expected = [
        2.0 * (record["environment max_torque"] - 0.5) / 1.5 - 1.0,
        2.0 * (record["environment g"] - 5.0) / 10.0 - 1.0,
        np.log(record["environment m"]) / np.log(2.0),
    ]
    np.testing.assert_allclose(observation["physics"], expected, rtol=1e-5)
    after = environment.step(environment.action_space.sample())[0]
    np.testing.assert_array_equal(after["physics"], observation["physics"])
    hidden, _ = pendulum().reset(seed=3)
    np.testing.assert_array_equal(hidden, observation["observation"])
    with pytest.raises(ValueError, match=r"'environment g' was fixed to 99\.0, which lies outside its bounds"):
        pendulum(show=True, fixed={"environment g": 99.0})
    assert pendulum(fixed={"environment g": 99.0}).reset(seed=0)[1]["physics"]["environment g"] == 99.0


def test_dict_observations_get_one_more_part() -> None:
    arguments = {"domain": "cartpole", "task": "balance", "flat": False}
    wrapper = functools.partial(RandomisedPhysics, table=PHYSICS_TABLES["dm_control/cartpole"], show=True)
    config = EnvironmentConfig(factory=dm_control_environment, arguments=arguments, wrappers=(wrapper,))
    environment = config.make()
    observation, _ = environment.reset(seed=0)
    assert set(observation) == {"position", "velocity", "physics"}
    assert environment.observation_space.contains(observation)
    with pytest.raises(ValueError, match="has a part 'physics' already"):
        wrapper(environment)


def test_it_is_pickled_stored_and_read_back_with_the_experiment() -> None:
    wrapper = functools.partial(RandomisedPhysics, table=HOPPER, fixed={"geom leg_geom size[0]": 0.04}, show=True)
    config = EnvironmentConfig(id="Hopper-v5", wrappers=(wrapper,))
    stored = json.loads(json.dumps(describe(config)))
    assert '"low": 0.15' in json.dumps(stored)
    expected = config.make().reset(seed=5)[1]["physics"]
    for again in (pickle.loads(pickle.dumps(config)), restore(stored, resolve=resolve_registered)):
        assert again.make().reset(seed=5)[1]["physics"] == expected


@pytest.mark.usefixtures("unchecked")
def test_other_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`when` has to be 'reset' or 'construction', and is 'sometimes'"):
        pendulum(when="sometimes")
    with pytest.raises(UnknownPhysicsElement, match="no parameter 'environment mass' in the table"):
        pendulum(fixed={"environment mass": 1.0})
    with pytest.raises(UnknownPhysicsElement, match=r"no number 'max_torq'.*Did you mean 'max_torque'\?.*'max_speed'"):
        RandomisedPhysics(gymnasium.make("Pendulum-v1"), table=(uniform("environment", "max_torq", 1, 2),))


class Stubborn(gymnasium.Env[Any, Any]):
    """Sets its attribute in every reset."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    weight = 1.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.weight = 1.0
        return np.zeros(1, np.float32), {}


def test_attributes_that_the_reset_sets_are_found_out() -> None:
    environment = RandomisedPhysics(Stubborn(), table=(uniform("environment", "weight", 2.0, 3.0),))
    with pytest.raises(PhysicsOverwritten, match="sets its attribute 'weight' itself"):
        environment.reset(seed=0)

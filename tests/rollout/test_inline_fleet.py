"""The fleet in the trainer's process."""

import dataclasses
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rollout_helpers import MEMORY_SPEC, FivePolicy, Make, RecurrentPolicy, assert_same_bits, specs_of

from triax.environments.probes import CounterProbe
from triax.rollout import Fleet, InlineFleet, RolloutConfig
from triax.types import ActionMode, Policy


def fleet_of(*, make: Make, policy: Policy, config: RolloutConfig, seed: int = 0, extras: Any = None) -> InlineFleet:
    observation_spec, action_spec = specs_of(make)
    return InlineFleet(
        config=config,
        make=make,
        policy=policy,
        observation_spec=observation_spec,
        action_spec=action_spec,
        extras_spec=extras or {},
        seed=seed,
    )


def pendulum() -> "gymnasium.Env[Any, Any]":
    return gymnasium.make("Pendulum-v1")


def test_rows_are_counted_over_all_environments_and_rounded_up() -> None:
    config = RolloutConfig(workers=2, environments_per_worker=3)
    fleet: Fleet = fleet_of(make=CounterProbe, policy=FivePolicy(), config=config)
    assert fleet.environments == config.environments == 6
    fleet.publish(parameters=(), version=3, mode=ActionMode.SAMPLE)
    steps = episodes = 0
    for minimum, expected in ((1, 1), (6, 1), (7, 2), (60, 10)):
        (chunk,) = fleet.collect(minimum=minimum, maximum=minimum, timeout=None)
        assert chunk.trajectory.reward.shape == (expected, 6)
        assert chunk.policy_version == 3
        steps, episodes = steps + chunk.steps, episodes + len(chunk.episodes)
    assert fleet.collect(minimum=0) == []
    report = fleet.report()
    assert (report.environment_steps, report.episodes) == (steps, episodes)
    assert 6 <= report.resets <= episodes + 6
    assert episodes > 0
    assert steps < 14 * 6  # dead rows are none
    fleet.close()
    fleet.close()


def test_a_published_policy_outlives_the_learners_donation() -> None:
    policy = RecurrentPolicy(observations=3, actions=1)
    fleet = fleet_of(make=pendulum, policy=policy, config=RolloutConfig())
    parameters = policy.parameters()
    fleet.publish(parameters=parameters, version=0, mode=ActionMode.SAMPLE)
    update = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    update(parameters)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(parameters))
    (chunk,) = fleet.collect(minimum=3)
    assert chunk.steps == 3
    fleet.close()


def test_the_newest_policy_acts_and_random_actions_need_none() -> None:
    policy = FivePolicy()
    fleet = fleet_of(make=CounterProbe, policy=policy, config=RolloutConfig())
    with pytest.raises(ValueError, match="no policy"):
        fleet.collect(minimum=1)
    with pytest.raises(ValueError, match="minimum=5, maximum=4"):
        fleet.collect(minimum=5, maximum=4)
    fleet.publish(parameters=None, version=0, mode=ActionMode.RANDOM)
    fleet.collect(minimum=5)
    assert policy.traces == []
    fleet.publish(parameters=(), version=1, mode=ActionMode.SAMPLE)
    fleet.publish(parameters=(), version=2, mode=ActionMode.MODE)
    (chunk,) = fleet.collect(minimum=5)
    assert chunk.policy_version == 2
    assert set(chunk.trajectory.action.flat) == {2}
    fleet.close()


def test_trap_22_a_resumed_fleet_goes_on_as_if_nothing_had_been() -> None:
    def begin(*, seed: int) -> InlineFleet:
        policy = RecurrentPolicy(observations=3, actions=1)
        config = RolloutConfig(environments_per_worker=2)
        fleet = fleet_of(make=pendulum, policy=policy, config=config, seed=seed, extras=MEMORY_SPEC)
        fleet.publish(parameters=policy.parameters(), version=0, mode=ActionMode.SAMPLE)
        return fleet

    straight = begin(seed=0)
    straight.collect(minimum=250)
    state = straight.state()
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(state))
    (expected,) = straight.collect(minimum=350)
    resumed = begin(seed=0)
    resumed.restore(state)
    with pytest.raises(ValueError, match="no policy"):
        resumed.collect(minimum=1)
    parameters = RecurrentPolicy(observations=3, actions=1).parameters()
    resumed.publish(parameters=parameters, version=0, mode=ActionMode.SAMPLE)
    (found,) = resumed.collect(minimum=350)
    assert_same_bits(found.trajectory, expected.trajectory)
    assert found.episodes == expected.episodes
    assert len(found.episodes) == 2
    assert resumed.report() == straight.report()

    other = begin(seed=1)
    (different,) = other.collect(minimum=350)
    assert not np.array_equal(different.trajectory.observation[0], found.trajectory.observation[0])
    assert not np.array_equal(different.trajectory.observation[0, 0], different.trajectory.observation[0, 1])
    for fleet in (straight, resumed, other):
        fleet.close()


def test_parameters_of_numpy_are_copied_too() -> None:
    policy = RecurrentPolicy(observations=3, actions=1)
    fleets = [fleet_of(make=pendulum, policy=policy, config=RolloutConfig()) for _ in range(2)]
    written = jax.tree.map(np.array, policy.parameters())
    for fleet in fleets:
        fleet.publish(parameters=written, version=0, mode=ActionMode.MODE)
    (expected,) = fleets[0].collect(minimum=5)
    for leaf in jax.tree.leaves(written):
        leaf[:] = jnp.nan
    (found,) = fleets[1].collect(minimum=5)
    assert_same_bits(found.trajectory, expected.trajectory)
    for fleet in fleets:
        fleet.close()


@pytest.mark.parametrize("name", ["workers", "environments_per_worker"])
def test_the_config_refuses_nonsense(name: str) -> None:
    with pytest.raises(ValueError, match=f"RolloutConfig.{name}=0"):
        dataclasses.replace(RolloutConfig(), **{name: 0})  # type: ignore[arg-type]


def test_the_config_refuses_an_unknown_backend() -> None:
    # Past the checker of annotations, as a program without one would.
    config = object.__new__(RolloutConfig)
    for name, value in (("backend", "carrier pigeon"), ("workers", 1), ("environments_per_worker", 1)):
        object.__setattr__(config, name, value)
    with pytest.raises(ValueError, match=r'backend=.carrier pigeon. must be "inline"'):
        config.__post_init__()

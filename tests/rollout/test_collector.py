"""Every row of a chunk is checked against an environment that marks each step, and resuming against going on."""

import itertools
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
from rollout_helpers import (
    CHANCE_SPEC,
    MEMORY_SPEC,
    FivePolicy,
    RecurrentPolicy,
    assert_same_bits,
    collector_of,
    specs_of,
)

from triax.environments.probes import CounterProbe, ImageProbe, MixedActionProbe
from triax.random import episode_seed
from triax.rollout import Collector
from triax.rollout.acting import random_actions
from triax.spaces import space_spec
from triax.types import ActionMode, Chunk


def collect(collector: Collector, *, steps: int, mode: ActionMode = ActionMode.SAMPLE, parameters: Any = ()) -> Chunk:
    return collector.collect(parameters=parameters, mode=mode, steps=steps, policy_version=7)


def expected_rows(*, seed: int, environment: int, actions: np.ndarray[Any, Any]) -> dict[str, list[Any]]:
    """What the counter environment must have shown, from what it says of itself and the actions of one column."""
    rows: dict[str, list[Any]] = {name: [] for name in ("observation", "reward", "terminated", "truncated", "last")}
    probe, episode = CounterProbe(), 0
    counted = probe.episode(seed=episode_seed(seed=seed, environment=environment, episode=0))
    step, observed = 0, -1
    for action in actions:
        rows["observation"].append([counted.identity, step, observed])
        rows["last"].append(step == counted.steps)
        if step == counted.steps:
            for name in ("reward", "terminated", "truncated"):
                rows[name].append(0)
            episode += 1
            counted = probe.episode(seed=episode_seed(seed=seed, environment=environment, episode=episode))
            step, observed = 0, -1
            continue
        step, observed = step + 1, int(action)
        rows["reward"].append(step)
        rows["terminated"].append(step == counted.steps and counted.terminated)
        rows["truncated"].append(step == counted.steps and not counted.terminated)
    rows["observation"].append([counted.identity, step, observed])
    rows["last"].append(step == counted.steps)
    return rows


@pytest.mark.parametrize("mode", list(ActionMode))
@pytest.mark.parametrize("chunk_steps", [(40,), (1, 2, 17, 20)])
def test_each_row_is_what_the_environment_did(mode: ActionMode, chunk_steps: tuple[int, ...]) -> None:
    collector = collector_of(
        make=CounterProbe, count=3, policy=FivePolicy(), extras_spec=CHANCE_SPEC, seed=5, first_environment=4
    )
    chunks = [collect(collector, steps=steps, mode=mode) for steps in chunk_steps]
    collector.close()
    observation_spec, _ = specs_of(CounterProbe)

    def join(name: str, rows: slice) -> np.ndarray[Any, Any]:
        return np.concatenate([getattr(chunk.trajectory, name)[rows] for chunk in chunks])

    for before, after in itertools.pairwise(chunks):  # a chunk begins where the last one ended
        for name in ("observation", "is_first", "is_last"):
            assert_same_bits(getattr(before.trajectory, name)[-1], getattr(after.trajectory, name)[0])
    actions = join("action", slice(None))
    assert len(actions) == 40
    steps = 0
    returns: list[tuple[int, float, int]] = []
    for column in range(3):
        rows = expected_rows(seed=5, environment=4 + column, actions=actions[:, column])
        inside = observation_spec.batch_to_inside(np.array(rows["observation"], np.float32))
        assert_same_bits(join("observation", slice(-1))[:, column], inside[:-1])
        assert_same_bits(chunks[-1].trajectory.observation[-1, column], inside[-1])
        assert join("reward", slice(None))[:, column].tolist() == rows["reward"]
        assert join("terminated", slice(None))[:, column].tolist() == rows["terminated"]
        assert join("truncated", slice(None))[:, column].tolist() == rows["truncated"]
        assert join("is_last", slice(-1))[:, column].tolist() == rows["last"][:-1]
        assert chunks[-1].trajectory.is_last[-1, column] == rows["last"][-1]
        assert join("is_first", slice(-1))[:, column].tolist() == [row[1] == 0 for row in rows["observation"][:-1]]
        extras = np.concatenate([chunk.trajectory.extras["chance"] for chunk in chunks])[:, column]
        assert_same_bits(extras, np.zeros_like(extras) if mode is ActionMode.RANDOM else inside[:-1, :2])
        steps += rows["last"][:-1].count(False)
        lengths = [row[1] for row, last in zip(rows["observation"], rows["last"], strict=True) if last]
        returns += [(4 + column, length * (length + 1) / 2, length) for length in lengths]
    assert sum(chunk.steps for chunk in chunks) == steps < 120
    assert all(chunk.steps == np.count_nonzero(chunk.trajectory.valid) for chunk in chunks)
    summaries = [episode for chunk in chunks for episode in chunk.episodes]
    assert sorted((e.environment, e.undiscounted_return, e.length) for e in summaries) == sorted(returns)
    assert {chunk.first_environment for chunk in chunks} == {4}
    assert {chunk.policy_version for chunk in chunks} == {7}
    assert len(set(actions.flat)) == (1 if mode is ActionMode.MODE else 5)


def test_nothing_is_compiled_twice() -> None:
    policy = RecurrentPolicy(observations=3, actions=1)
    collector = collector_of(make=lambda: gymnasium.make("Pendulum-v1"), count=2, policy=policy)
    state = collector.state()
    for mode in (ActionMode.RANDOM, ActionMode.SAMPLE, ActionMode.RANDOM, ActionMode.SAMPLE):
        collect(collector, steps=3, mode=mode, parameters=policy.parameters())
    collector.restore(state)
    collect(collector, steps=5, parameters=policy.parameters())
    assert policy.traces == [ActionMode.SAMPLE]
    collect(collector, steps=5, mode=ActionMode.MODE, parameters=policy.parameters())
    assert policy.traces == [ActionMode.SAMPLE, ActionMode.MODE]
    collector.close()


def test_trap_33_the_policy_is_compiled() -> None:
    policy = FivePolicy()
    collector = collector_of(make=CounterProbe, count=1, policy=policy)
    collect(collector, steps=50)
    collector.close()
    assert len(policy.traces) == 1


def test_trap_34_a_chunk_is_never_written_to_again() -> None:
    collector = collector_of(make=CounterProbe, count=2, policy=FivePolicy(), extras_spec=CHANCE_SPEC)
    chunk = collect(collector, steps=10)
    kept = jax.tree.map(np.copy, chunk.trajectory)
    later = collect(collector, steps=10)
    assert_same_bits(chunk.trajectory, kept)
    for a, b in zip(jax.tree.leaves(chunk.trajectory), jax.tree.leaves(later.trajectory), strict=True):
        assert not np.shares_memory(a, b)
    assert not np.shares_memory(chunk.trajectory.observation, collector.environments.observation)
    collector.close()


def test_trap_20_actions_differ_between_seeds_environments_and_steps_and_not_between_runs() -> None:
    def actions(*, seed: int, first_environment: int, mode: ActionMode) -> list[list[int]]:
        collector = collector_of(
            make=CounterProbe, count=2, policy=FivePolicy(), seed=seed, first_environment=first_environment
        )
        chunk = collect(collector, steps=30, mode=mode)
        collector.close()
        columns: list[list[int]] = chunk.trajectory.action.T.tolist()
        return columns

    for mode in (ActionMode.SAMPLE, ActionMode.RANDOM):
        same = actions(seed=0, first_environment=0, mode=mode)
        assert same == actions(seed=0, first_environment=0, mode=mode)
        others = [*actions(seed=1, first_environment=0, mode=mode), *actions(seed=0, first_environment=2, mode=mode)]
        columns = [tuple(column) for column in [*same, *others]]
        assert len(set(columns)) == len(columns)


@pytest.mark.parametrize("environment_id", ["Pendulum-v1", "HalfCheetah-v5"])
def test_trap_22_trap_37_resuming_in_the_middle_of_an_episode_is_exact(environment_id: str) -> None:
    def make() -> "gymnasium.Env[Any, Any]":
        return gymnasium.make(environment_id, max_episode_steps=60)

    observation_spec, action_spec = specs_of(make)
    observations, actions = observation_spec.leaves()[0].shape[0], action_spec.leaves()[0].shape[0]

    def begin() -> tuple[Collector, dict[str, Any]]:
        policy = RecurrentPolicy(observations=observations, actions=actions)
        collector = collector_of(make=make, count=2, policy=policy, extras_spec=MEMORY_SPEC)
        return collector, policy.parameters()

    straight, parameters = begin()
    collect(straight, steps=10, mode=ActionMode.RANDOM)
    # After 60 steps the episode ends; the cut after 60 lies on its final observation, the one after 61 on a first one.
    for before in (30, 20, 1, 25):
        collect(straight, steps=before, parameters=parameters)
        state = straight.state()
        kept = jax.tree.map(np.copy, state)
        expected = collect(straight, steps=45, parameters=parameters)
        assert_same_bits(state, kept)
        resumed, _ = begin()
        resumed.restore(kept)
        assert_same_bits(resumed.state(), kept)
        found = collect(resumed, steps=45, parameters=parameters)
        assert_same_bits(found.trajectory, expected.trajectory)
        assert found.episodes == expected.episodes
        resumed.close()
        straight.restore(kept)
    straight.close()


def test_random_actions_cover_every_kind_of_space_and_resume_exactly() -> None:
    collector = collector_of(make=MixedActionProbe, count=2, policy=FivePolicy())
    collect(collector, steps=3, mode=ActionMode.RANDOM)
    state = collector.state()
    expected = collect(collector, steps=50, mode=ActionMode.RANDOM)
    other = collector_of(make=MixedActionProbe, count=2, policy=FivePolicy())
    other.restore(state)
    assert_same_bits(collect(other, steps=50, mode=ActionMode.RANDOM).trajectory, expected.trajectory)
    _, action_spec = specs_of(MixedActionProbe)
    for leaf in jax.tree.leaves(expected.trajectory.action):
        assert leaf.min() >= (-1 if leaf.dtype == np.float32 else 0)
        assert len(np.unique(leaf)) > 1
    assert_same_bits(jax.tree.map(np.zeros_like, expected.trajectory.action), action_spec.zeros(batch_shape=(50, 2)))
    collector.close()
    other.close()


def test_random_actions_follow_their_bounds() -> None:
    space = gymnasium.spaces.Dict(
        box=gymnasium.spaces.Box(np.array([0, -3], np.float32), np.array([10, 5], np.float32)),
        choices=gymnasium.spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])),
        bits=gymnasium.spaces.MultiBinary(3),
    )
    drawn = random_actions(spec=space_spec(space=space, role="action"), count=3000, seed=0, name=("test",))
    # Uniform on [-1, 1]: variance 1/3; the mean of 3000 has a standard deviation of 0.0105.
    assert np.allclose(drawn["box"].mean(axis=0), 0.0, atol=0.05)
    assert np.allclose(drawn["box"].var(axis=0), 1 / 3, atol=0.03)
    assert drawn["choices"].max(axis=0).tolist() == [[1, 2], [3, 4]]
    assert drawn["choices"].min() == 0
    assert np.allclose(drawn["bits"].mean(axis=0), 0.5, atol=0.05)
    assert {name: leaf.dtype.name for name, leaf in drawn.items()} == {
        "bits": "int8",
        "box": "float32",
        "choices": "int32",
    }


def test_images_stay_bytes() -> None:
    observation_spec, action_spec = specs_of(ImageProbe)
    collector = collector_of(make=ImageProbe, count=2, policy=FivePolicy())
    chunk = collect(collector, steps=4, mode=ActionMode.RANDOM)
    assert chunk.trajectory.observation.dtype == np.uint8
    assert chunk.trajectory.observation.shape == (5, 2, *observation_spec.leaves()[0].shape)
    assert action_spec.leaves()
    collector.close()


def test_a_policy_that_breaks_its_word_is_refused() -> None:
    collector = collector_of(make=lambda: gymnasium.make("Pendulum-v1"), count=2, policy=FivePolicy())
    with pytest.raises(ValueError, match=r"action must be float32\(2, 1\), and it is int32\(2,\)"):
        collect(collector, steps=1)
    collector.close()
    collector = collector_of(make=CounterProbe, count=2, policy=FivePolicy(), extras_spec=MEMORY_SPEC)
    with pytest.raises(ValueError, match="no extras named memory"):
        collect(collector, steps=1)
    collector.close()

"""Recording an agent: limits of episodes and steps, pieces of episodes, physics; and a replay that begins with it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest

import triax
from triax.datasets import DatasetNotes, RecordedEpisode, load_dataset
from triax.environments.probes import CounterProbe
from triax.spaces import UnsupportedSpace
from triax.training.building import build
from triax.training.recording import RecordingLimits, piece_of, record_dataset
from triax.training.session import begin


class Stepper(triax.Agent):
    """Takes the same action always."""

    def __init__(self) -> None:
        """Nothing was learned."""

    def reset(self) -> None:
        """Nothing is remembered."""

    def act(self, *, observation: Any, deterministic: bool = True) -> Any:
        return np.int64(0) if deterministic else np.int64(1)


class TellsPhysics(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Says in ``info`` which world it is in."""

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**options)
        return observation, {**info, "physics": {"mass": 2.0}}


class WritesInPlace(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gives the same array each time, with other numbers in it."""

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.shown, info = self.env.reset(**options)
        return self.shown, info

    def step(self, action: Any) -> Any:
        observation, *rest = self.env.step(action)
        self.shown[...] = observation
        return self.shown, *rest


def make_in_place() -> gymnasium.Env[Any, Any]:
    return WritesInPlace(CounterProbe())


def make() -> gymnasium.Env[Any, Any]:
    return TellsPhysics(CounterProbe())


COUNTER = triax.EnvironmentConfig(factory=make)


def _record(
    root: Path,
    *,
    id: str,
    environment: triax.EnvironmentConfig = COUNTER,
    deterministic: bool = True,
    seed: int = 0,
    **limits: Any,
) -> triax.DatasetConfig:
    record_dataset(
        agent=Stepper(),
        environment=environment,
        dataset=id,
        limits=RecordingLimits(**limits),
        seed=seed,
        deterministic=deterministic,
        root=root,
        notes=DatasetNotes(task="count"),
    )
    return triax.DatasetConfig(id=id, root=root)


def test_limits_of_steps_and_episodes(tmp_path: Path) -> None:
    whole = load_dataset(_record(tmp_path, id="whole-v0", episodes=3))
    lengths = whole.steps
    assert whole.episodes == 3
    short = load_dataset(_record(tmp_path, id="short-v0", episodes=3, episode_steps=2))
    assert (short.episodes, short.steps) == (3, 6)
    assert int(np.sum(short.trajectory.truncated)) == 3
    limited = load_dataset(_record(tmp_path, id="limited-v0", episodes=3, steps=lengths - 1))
    assert limited.steps == lengths - 1
    for limits in ({"episodes": 0}, {"steps": 0}, {"piece_steps": 0}):
        with pytest.raises(ValueError, match=f"RecordingLimits.{next(iter(limits))}=0"):
            RecordingLimits(**limits)


def test_an_environment_that_writes_over_its_observation_is_recorded_as_it_was_seen(tmp_path: Path) -> None:
    in_place = triax.EnvironmentConfig(factory=make_in_place)
    recorded = load_dataset(_record(tmp_path, id="in-place-v0", environment=in_place, episodes=2)).trajectory
    expected = load_dataset(_record(tmp_path, id="copies-v0", episodes=2)).trajectory
    np.testing.assert_array_equal(recorded.observation, expected.observation)
    assert len(np.unique(recorded.observation)) > 2


def test_pieces_of_episodes_lie_at_random_places_that_follow_from_the_seed(tmp_path: Path) -> None:
    def first_rewards(id: str, seed: int) -> list[float]:
        pieces = load_dataset(_record(tmp_path, id=id, episodes=12, piece_steps=1, seed=seed))
        assert pieces.steps == 12
        rewards: list[float] = pieces.returns.tolist()
        return rewards

    # Rewards count the steps of an episode.
    found = first_rewards("a-v0", 0)
    assert found == first_rewards("b-v0", 0)
    assert len(set(found)) > 2


def test_a_piece_that_ends_early_is_truncated() -> None:
    episode = RecordedEpisode(
        observations=[0, 1, 2, 3], actions=[0, 1, 2], rewards=[0.0, 1.0, 2.0], terminated=True, truncated=False
    )
    early, late = piece_of(episode, start=0, steps=2), piece_of(episode, start=1, steps=9)
    assert (early.observations, early.actions, early.terminated, early.truncated) == ([0, 1, 2], [0, 1], False, True)
    assert (late.observations, late.rewards, late.terminated, late.truncated) == ([1, 2, 3], [1.0, 2.0], True, False)


def test_metadata_has_the_physics_and_the_task(tmp_path: Path) -> None:
    import minari.dataset.minari_storage

    _record(tmp_path, id="told-v0", episodes=2, deterministic=False)
    storage = minari.dataset.minari_storage.MinariStorage.read(tmp_path / "told-v0" / "data")
    assert [own["physics"] for own in storage.get_episode_metadata([0, 1])] == [{"mass": 2.0}] * 2
    assert json.loads((tmp_path / "told-v0" / "data" / "metadata.json").read_text())["task"] == "count"
    assert set(load_dataset(triax.DatasetConfig(id="told-v0", root=tmp_path)).trajectory.action[:1, 0].tolist()) == {1}


def _replaying(tmp_path: Path, *, learner: Any = None) -> triax.Experiment:
    small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(8,)))
    config = triax.SACConfig(
        actor=small, critic=small, batch_size=8, warmup_steps=8, normalise_observations=True, updates_per_step=0.5
    )
    return triax.Experiment(
        name="prefilled",
        learner=learner or config,
        environment=COUNTER,
        prefill=_record(tmp_path, id="before-v0", episodes=3),
        rollout=triax.RolloutConfig(environments_per_worker=2),
        replay=triax.ReplayConfig(capacity=1000),
        total_steps=16,
    )


def test_a_replay_begins_with_a_dataset_and_goes_on_with_experience(tmp_path: Path) -> None:
    experiment = _replaying(tmp_path)
    assert experiment.prefill is not None
    recorded = load_dataset(experiment.prefill)
    parts = build(experiment=experiment)
    replay: Any = parts.loop.replay  # type: ignore[attr-defined]
    try:
        begin(experiment=experiment, parts=parts)
        assert len(replay) == recorded.steps
        assert parts.loop.steps == 0
        episodes = [replay.read_episode(episode) for episode in replay.episodes()]
        returns = sorted(float(np.sum(episode.reward)) for episode in episodes)
        assert returns == sorted(recorded.returns.tolist())
        # Statistics know of it: of the recorded rows, final ones but the last included.
        assert float(parts.loop.learner_state.statistics.moments[0].count) == len(recorded.trajectory.reward)
        while parts.loop.steps < 8:
            parts.loop.advance(limit=8 - parts.loop.steps)
        assert len(replay) == recorded.steps + parts.loop.steps
        # An exact copy of all of it comes back, without the dataset being read again.
        again = build(experiment=experiment)
        try:
            again.loop.restore(state=parts.loop.state(), counters=parts.loop.counters)
            jax.tree.map(np.testing.assert_array_equal, again.loop.state().source, parts.loop.state().source)
        finally:
            again.close()
    finally:
        parts.close()


def test_a_dataset_that_has_no_room_in_the_replay_is_refused(tmp_path: Path) -> None:
    experiment = dataclasses.replace(_replaying(tmp_path), replay=triax.ReplayConfig(capacity=8))
    parts = build(experiment=experiment)
    try:
        with pytest.raises(ValueError, match=r"Experiment.prefill has \d+ steps, and the replay has room for [0-8] of"):
            begin(experiment=experiment, parts=parts)
    finally:
        parts.close()


def test_a_dataset_that_would_not_be_looked_at_is_refused(tmp_path: Path) -> None:
    recorded = _record(tmp_path, id="unused-v0", episodes=1)
    experiment = dataclasses.replace(_replaying(tmp_path), prefill=None, dataset=recorded)
    with pytest.raises(ValueError, match=r"Experiment.dataset is set, and SAC learns from an environment alone"):
        build(experiment=experiment)


def test_relations_have_an_environment(tmp_path: Path) -> None:
    recorded = _record(tmp_path, id="related-v0", episodes=1)
    experiment = triax.Experiment(
        name="related",
        learner=triax.BCConfig(),
        dataset=recorded,
        relations=(triax.UsedBy(parameter="nowhere", choice="", options=(1,)),),
        total_steps=10,
    )
    with pytest.raises(ValueError, match=r"Experiment.relations=.*set Experiment.environment"):
        build(experiment=experiment)


def test_sets_are_refused_before_an_episode_is_played(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSpace, match=r"the observation has a part of variable size.*padded Box"):
        record_dataset(
            agent=Stepper(),
            environment=triax.EnvironmentConfig(id="triax/MixedActionSets2D-v0"),
            dataset="sets-v0",
            limits=RecordingLimits(episodes=1),
            seed=0,
            deterministic=True,
            root=tmp_path,
        )


def test_learners_that_keep_nothing_are_not_prefilled(tmp_path: Path) -> None:
    experiment = _replaying(tmp_path, learner=triax.PPOConfig(steps=8, minibatch_size=16))
    parts = build(experiment=experiment)
    try:
        with pytest.raises(ValueError, match=r"Experiment.prefill is set, and PPO has no replay"):
            begin(experiment=experiment, parts=parts)
    finally:
        parts.close()

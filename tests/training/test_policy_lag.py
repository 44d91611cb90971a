"""Chunks of older policies in the loop: PPO leaves them out, or corrects for them and takes them all."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pytest
from test_workers import ScriptedFleet

import triax
from triax.environments.probes import CounterProbe
from triax.learners.actor_critic import ActorCriticState, PreparedRows
from triax.learners.ppo import PPO, PPOConfig
from triax.random import KeyArray
from triax.rollout import RolloutConfig
from triax.training import building
from triax.training.loops import OnPolicyLoop
from triax.trees import Tree, replace
from triax.types import Chunk, Trajectory, UpdateOutput

SMALL = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(4,)))


class PPOFleet(ScriptedFleet):
    """Stores a log-probability beside each action: that of one choice of two, whatever the policy is."""

    def collect(self, *, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        return [
            dataclasses.replace(
                chunk,
                trajectory=replace(
                    chunk.trajectory, extras={"log_probability": np.full((4, 1), np.log(0.5), np.float32)}
                ),
            )
            for chunk in super().collect(minimum=minimum, maximum=maximum, timeout=timeout)
        ]


class TracedPPO(PPO):
    """Notes each trace."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.traces: list[str] = []

    def ingest(self, *, state: ActorCriticState, chunk: Trajectory) -> tuple[ActorCriticState, PreparedRows]:
        self.traces.append("ingest")
        return super().ingest(state=state, chunk=chunk)

    def update(
        self, *, state: ActorCriticState, batch: PreparedRows, key: KeyArray
    ) -> tuple[ActorCriticState, UpdateOutput]:
        self.traces.append("update")
        return super().update(state=state, batch=batch, key=key)


def _config(**changes: Any) -> PPOConfig:
    return PPOConfig(steps=4, epochs=2, minibatch_size=2, actor=SMALL, critic=SMALL, **changes)


def _experiment(config: PPOConfig, **rollout: Any) -> triax.Experiment:
    return triax.Experiment(
        name="lag",
        learner=config,
        environment=triax.EnvironmentConfig(factory=CounterProbe),
        rollout=RolloutConfig(**rollout),
        total_steps=100,
    )


def _loop(config: PPOConfig, *, versions: Sequence[int], maximum_policy_lag: int = 1) -> OnPolicyLoop:
    spec = building.environment_spec(experiment=_experiment(config))
    learner = TracedPPO(config=config, observation_spec=spec.observation, action_spec=spec.action)
    return OnPolicyLoop(
        learner=learner,
        plan=learner.data_plan,
        fleet=PPOFleet(versions=versions),
        environments=1,
        maximum_policy_lag=maximum_policy_lag,
        seed=0,
    )


def _bits(state: Tree) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def test_corrected_nothing_is_left_out_and_nothing_is_compiled_again() -> None:
    # The loop publishes version 1 when it is built, and one more after each piece of learning: lags of 0 to 3 and more.
    loop = _loop(_config(off_policy_correction="vtrace"), versions=[1, 1, 1, 1, 2], maximum_policy_lag=0)
    found = [loop.advance(limit=1) for _ in range(5)]
    assert [iteration.policy_lags for iteration in found] == [(0,), (1,), (2,), (3,), (3,)]
    assert [iteration.rejected_steps for iteration in found] == [0] * 5
    assert loop.counters.environment_steps == 20
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(loop.learner_state.networks.parameters))
    learner = loop.learner
    assert isinstance(learner, TracedPPO)
    assert learner.traces == ["ingest", "update"]


@pytest.mark.slow
def test_left_out_a_stale_chunk_has_no_part_in_what_is_learned() -> None:
    loop = _loop(_config(), versions=[1, 1, 2], maximum_policy_lag=0)
    without = _loop(_config(), versions=[1, 2], maximum_policy_lag=0)
    assert [loop.advance(limit=1).rejected_steps for _ in range(3)] == [0, 4, 0]
    assert [without.advance(limit=1).rejected_steps for _ in range(2)] == [0, 0]
    assert _bits(loop.learner_state) == _bits(without.learner_state)
    # Negative control: taken in, it has.
    taken = _loop(_config(), versions=[1, 1, 2], maximum_policy_lag=1)
    assert [taken.advance(limit=1).rejected_steps for _ in range(3)] == [0, 0, 0]
    assert _bits(loop.learner_state) != _bits(taken.learner_state)


@pytest.mark.parametrize(("correction", "lead"), [("none", 2), ("vtrace", 3)])
def test_workers_run_ahead_as_far_as_what_they_make_is_of_use(
    correction: Any, lead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fleet(*, experiment: triax.Experiment, **parts: Any) -> PPOFleet:
        asked.append(experiment.rollout.lead)
        return PPOFleet(versions=[])

    monkeypatch.setattr(building, "_fleet", fleet)
    experiment = _experiment(_config(off_policy_correction=correction), lead=3, maximum_policy_lag=2)
    building.build(experiment=experiment).close()
    assert asked == [lead]

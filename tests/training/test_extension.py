"""The pattern carries what is to come: learners from outside the package run without an edit in it."""

from pathlib import Path
from typing import Any

import numpy as np
import outside_learners as outside
import pytest

import triax
from triax.datasets import RecordedEpisode, write_dataset
from triax.environments.probes import CounterProbe
from triax.runs import RunDirectory, read_metrics

COUNTER = triax.EnvironmentConfig(factory=CounterProbe)


def _experiment(kind: type[outside.OutsideLearner], **changes: object) -> triax.Experiment:
    settings: dict[str, object] = {
        "name": "outside",
        "learner": outside.OutsideConfig(kind=kind),
        "environment": COUNTER,
        "rollout": triax.RolloutConfig(environments_per_worker=2),
        "total_steps": 200,
        "evaluation": triax.EvaluationConfig(interval=100, episodes=2, environments=2),
        "loop": triax.LoopConfig(log_interval=50, video=False),
    }
    return triax.Experiment(**(settings | changes))  # type: ignore[arg-type]


def _metrics(result: triax.TrainingResult) -> list[dict[str, float]]:
    return [dict(row.metrics) for row in read_metrics(RunDirectory.open(result.run_directory))]


def test_a_learner_with_priority_feedback_changes_what_is_drawn(tmp_path: Path) -> None:
    def mean_reward(name: str, replay: triax.ReplayConfig) -> float:
        experiment = _experiment(outside.PriorityLearner, replay=replay, total_steps=600)
        return _metrics(triax.train(experiment=experiment, run_directory=tmp_path / name))[-1]["value"]

    uniform = mean_reward("uniform", triax.ReplayConfig())
    prioritised = mean_reward("prioritised", triax.ReplayConfig(sampler=outside.ProportionalSampler))
    # Rewards count an episode's steps, 1 to 8: drawn in proportion to their size, larger ones come more often.
    assert prioritised > uniform + 0.4


def test_a_recurrent_carry_is_stored_and_comes_back_with_its_sequence(tmp_path: Path) -> None:
    result = triax.train(experiment=_experiment(outside.RecurrentLearner), run_directory=tmp_path / "run")
    rows = _metrics(result)
    assert len(rows) >= 3
    assert all(row["value"] < 1e-5 for row in rows)


def test_a_mixture_of_replay_and_dataset_has_exact_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    environment = CounterProbe()
    episodes = []
    for seed in range(4):
        observation, _ = environment.reset(seed=seed)
        observations, actions, ended = [observation], [], (False, False)
        while not any(ended):
            action = np.int64(seed)
            observation, _, *ended_now, _ = environment.step(action)
            ended = (bool(ended_now[0]), bool(ended_now[1]))
            observations.append(observation)
            actions.append(action)
        episodes.append(
            RecordedEpisode(
                observations=observations,
                actions=actions,
                rewards=[1000.0] * len(actions),
                terminated=ended[0],
                truncated=ended[1],
                seed=seed,
            )
        )
    write_dataset(id="counter/marked-v0", episodes=episodes, environment=environment)
    experiment = _experiment(outside.MixtureLearner, dataset=triax.DatasetConfig(id="counter/marked-v0"))
    traces, update = [], outside.MixtureLearner.update

    def traced(self: outside.MixtureLearner, **named: Any) -> Any:
        traces.append("update")
        return update(self, **named)

    monkeypatch.setattr(outside.MixtureLearner, "update", traced)
    for row in _metrics(triax.train(experiment=experiment, run_directory=tmp_path / "run"))[1:]:
        assert row["share"] == 4 / 16
        assert row["agree"] == 1.0
    assert traces == ["update"]

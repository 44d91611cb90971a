"""Several datasets in one experiment: their shares of each batch, and what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import gymnasium.spaces
import jax
import numpy as np
import pytest

import triax
from triax.datasets import RecordedEpisode, load_dataset, write_dataset
from triax.learners.cloning.learner import Cloning
from triax.learners.interface import DatasetPlan, TransitionUnit
from triax.replay import MixtureSource
from triax.training.recorded import load_recorded, recorded_parts, shared_rows
from triax.types import EnvironmentSpec, Transitions

OBSERVATION = gymnasium.spaces.Box(-1.0, 1.0, (2,))
ACTION = gymnasium.spaces.Box(-2.0, 2.0, (1,))
SPEC = EnvironmentSpec.of_spaces(observation=OBSERVATION, action=ACTION)


def record(root: Path, *, task: int, action: Any = ACTION) -> triax.DatasetConfig:
    """Four episodes of eight steps, in which the action is the task's number and half of the first observation."""
    generator = np.random.default_rng(task)
    episodes = []
    for seed in range(4):
        observations = list(generator.uniform(-1.0, 1.0, (9, 2)).astype(np.float32))
        actions = [np.asarray([task + 0.5 * row[0]], np.float32) for row in observations[:-1]]
        episodes.append(
            RecordedEpisode(
                observations=observations,
                actions=actions,
                rewards=[0.0] * 8,
                terminated=False,
                truncated=True,
                seed=seed,
            )
        )
    id = f"made/task-{task}-v0"
    write_dataset(id=id, episodes=episodes, observation_space=OBSERVATION, action_space=action, root=root)
    return triax.DatasetConfig(id=id, root=root, task=task)


def test_a_batch_is_divided_by_the_largest_remainder() -> None:
    assert shared_rows(shares=[1.0, 1.0, 1.0], batch_size=10) == (4, 3, 3)
    # 6.4, 1.6, 0.8 of 8.8 …: exactly 5.09, 2.18, 0.73 of 8 rows.
    assert shared_rows(shares=[7.0, 3.0, 1.0], batch_size=8) == (5, 2, 1)
    assert shared_rows(shares=[2.0], batch_size=5) == (5,)


def test_every_batch_has_rows_of_every_task_in_their_shares(tmp_path: Path) -> None:
    configs = tuple(
        dataclasses.replace(record(tmp_path, task=task), share=share) for task, share in ((0, 3.0), (1, 1.0))
    )
    datasets = [load_dataset(config) for config in configs]
    parts = recorded_parts(configs=configs, datasets=datasets, batch_size=8)
    batch = MixtureSource(parts=parts).sample(
        unit=TransitionUnit(discount=0.0), batch_size=8, batches=5, generator=np.random.default_rng(0)
    )
    assert isinstance(batch, Transitions)
    np.testing.assert_array_equal(batch.origin.task, np.tile([0] * 6 + [1] * 2, (5, 1)))
    with pytest.raises(ValueError, match=r"the share 1\.0 of the dataset 'made/task-1-v0' is less than one row"):
        recorded_parts(configs=configs, datasets=datasets, batch_size=1)


def _experiment(*configs: triax.DatasetConfig, **changes: Any) -> triax.Experiment:
    small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(8,)))
    settings: dict[str, Any] = {
        "name": "tasks",
        "learner": triax.MTBCConfig(tasks=2, batch_size=16, actor=small, held_out_fraction=0.25, held_out_interval=8),
        "dataset": configs,
        "total_steps": 16,
        "checkpoint": triax.CheckpointConfig(interval=8),
        "loop": triax.LoopConfig(log_interval=8, video=False),
    }
    return triax.Experiment(**(settings | changes))


def test_a_run_of_two_tasks_resumes_exactly_and_leaves_an_agent_with_both_heads(tmp_path: Path) -> None:
    experiment = _experiment(*(record(tmp_path, task=task) for task in range(2)))
    triax.train(experiment=experiment, run_directory=tmp_path / "run")
    agent = triax.load_agent(run_directory=tmp_path / "run")
    assert sorted(agent.parameters.actor["heads"]) == [0, 1]
    assert int(agent.parameters.task) == 0
    # Resumed from the middle it ends with the same bits.
    triax.resume(run_directory=tmp_path / "run", checkpoint=8)
    again = triax.load_agent(run_directory=tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, again.parameters, agent.parameters)


def test_update_is_traced_once_a_run_of_recorded_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = _experiment(*(record(tmp_path, task=task) for task in range(2)))
    traces, update = [], Cloning.update

    def traced(self: Cloning, **named: Any) -> Any:
        traces.append("update")
        return update(self, **named)

    monkeypatch.setattr(Cloning, "update", traced)
    triax.train(experiment=experiment, run_directory=tmp_path / "run")
    assert traces == ["update"]


def test_a_task_without_a_head_a_head_without_a_task_and_other_spaces_are_refused_before_training(
    tmp_path: Path,
) -> None:
    known, unknown = record(tmp_path, task=0), record(tmp_path, task=5)
    plan = DatasetPlan(batch_size=8, unit=TransitionUnit(discount=0.0), tasks=2)
    learner = triax.MTBCConfig(tasks=2).build(observation_spec=SPEC.observation, action_spec=SPEC.action)
    with pytest.raises(
        ValueError, match=r"'made/task-5-v0' has the task 5, and MTBC has heads for the tasks 0 to 1; set learner.tasks"
    ):
        load_recorded(experiment=_experiment(known, unknown), learner=learner, plan=plan, spec=SPEC)
    with pytest.raises(ValueError, match=r"no dataset has the task 1, and MTBC has heads .* set learner.tasks .*, 1\."):
        load_recorded(experiment=_experiment(known), learner=learner, plan=plan, spec=SPEC)
    other = record(tmp_path, task=1, action=gymnasium.spaces.Box(-3.0, 3.0, (1,)))
    with pytest.raises(ValueError, match="'made/task-1-v0' has other actions"):
        load_recorded(experiment=_experiment(known, other), learner=learner, plan=plan, spec=SPEC)
    with pytest.raises(ValueError, match="there is nothing to learn from"):
        _experiment()

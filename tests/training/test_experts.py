"""Runs with an expert that is asked: from another run, resumed to the same bits, evaluated without the expert."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import triax
from triax.learners.cloning.expert import LABEL
from triax.spaces import space_spec
from triax.training.building import build
from triax.training.description import pinned
from triax.trees import leaves_by_path

NETWORK = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(8,)))
PENDULUM = triax.EnvironmentConfig(id="Pendulum-v1")


@triax.register
def swing(observation: jax.Array) -> jax.Array:
    """Push in the direction of motion."""
    return jnp.sign(observation[:, 2:])


def _experiment(learner: Any, **changes: Any) -> triax.Experiment:
    settings: dict[str, Any] = {
        "name": "expert",
        "learner": learner,
        "environment": PENDULUM,
        "rollout": triax.RolloutConfig(environments_per_worker=2),
        "total_steps": 64,
        "evaluation": triax.EvaluationConfig(interval=1000, episodes=1, environments=1, at_start=False),
        "checkpoint": triax.CheckpointConfig(interval=32),
        "loop": triax.LoopConfig(log_interval=32, video=False),
    }
    return triax.Experiment(**(settings | changes))


def _leaves(run: Path) -> dict[str, Any]:
    return leaves_by_path(jax.device_get(triax.load_agent(run_directory=run).parameters))


def _assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    for path, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[path], err_msg=path)


@pytest.mark.slow
def test_an_experts_run_teaches_another_which_is_loaded_without_it(tmp_path: Path) -> None:
    function = triax.ExpertFunction(function=swing)
    watched = triax.OnlineSupervisedConfig(expert=function, actor=NETWORK, steps=8, batch_size=16)
    triax.train(experiment=_experiment(watched), run_directory=tmp_path / "watcher")
    expert = triax.ExpertRun(run=tmp_path / "watcher", checkpoint="last")
    dagger = triax.DAggerConfig(
        expert=expert, actor=NETWORK, batch_size=16, warmup_steps=16, normalise_observations=True
    )
    triax.train(experiment=_experiment(dagger), run_directory=tmp_path / "run")
    first = _leaves(tmp_path / "run")
    document = json.loads((tmp_path / "run" / "experiment.json").read_text())
    # What is stored names the checkpoint that was the last one then.
    assert document["experiment"]["fields"]["learner"]["fields"]["expert"]["fields"]["checkpoint"] == 64
    triax.resume(run_directory=tmp_path / "run", checkpoint=32)
    _assert_same(first, _leaves(tmp_path / "run"))
    shutil.rmtree(tmp_path / "watcher")
    _assert_same(first, _leaves(tmp_path / "run"))


def test_everything_in_the_replay_has_the_experts_label_also_of_the_warm_up(tmp_path: Path) -> None:
    learner = triax.DAggerConfig(
        expert=triax.ExpertFunction(function=swing), actor=NETWORK, batch_size=16, warmup_steps=16
    )
    parts = build(experiment=_experiment(learner))
    try:
        while parts.loop.steps < 48:
            parts.loop.advance(limit=48 - parts.loop.steps)
        batch = parts.loop.replay.everything(unit=learner.data_plan.unit)  # type: ignore[attr-defined]
    finally:
        parts.close()
    label = np.asarray(batch.extras[LABEL])
    np.testing.assert_array_equal(label, np.sign(batch.observation[:, 2:]))
    # The expert took the steps of the warm-up, the learner those after.
    own = (batch.action != label).any(axis=1)
    assert 48 - 16 - 8 <= int(own.sum()) <= 48 - 16


def test_an_expert_of_other_spaces_is_refused(tmp_path: Path) -> None:
    function = triax.ExpertFunction(function=swing)
    watched = triax.OnlineSupervisedConfig(expert=function, actor=NETWORK, steps=8, batch_size=16)
    triax.train(experiment=_experiment(watched, total_steps=16), run_directory=tmp_path / "watcher")
    other = space_spec(space=gymnasium.spaces.Box(-3.0, 3.0, (1,)), role="action")
    spec = triax.load_agent(run_directory=tmp_path / "watcher").spec
    with pytest.raises(ValueError, match=r"the expert of the run .*watcher has the actions"):
        triax.ExpertRun(run=tmp_path / "watcher", checkpoint="last").build(
            observation_spec=spec.observation, action_spec=other
        )


def test_what_is_asked_is_what_was_the_last_checkpoint_when_the_run_began(tmp_path: Path) -> None:
    watched = triax.OnlineSupervisedConfig(
        expert=triax.ExpertFunction(function=swing), actor=NETWORK, steps=8, batch_size=16
    )
    triax.train(experiment=_experiment(watched, total_steps=16), run_directory=tmp_path / "watcher")
    last = triax.ExpertRun(run=tmp_path / "watcher", checkpoint="last")
    load = triax.LoadConfig(run=tmp_path / "watcher")
    experiment = _experiment(triax.DAggerConfig(expert=last, actor=NETWORK, batch_size=16), load=(load,))
    begun = pinned(experiment)
    assert begun.learner.expert == dataclasses.replace(last, checkpoint=16)
    assert begun.load == (dataclasses.replace(load, checkpoint=16),)
    # All else is the same, and what names nothing of the kind is not even made anew.
    same = {field.name for field in dataclasses.fields(experiment)} - {"learner", "load"}
    assert [name for name in sorted(same) if getattr(begun, name) is not getattr(experiment, name)] == []
    assert pinned(begun) == begun

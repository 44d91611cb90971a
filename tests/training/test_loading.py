"""Beginning with parts of another run: what is loaded, what stays frozen, what does not fit, and resuming."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from test_recorded import record

import triax
from triax.training.loading import LoadConfig, with_parts
from triax.trees import leaves_by_path

LOOP = triax.LoopConfig(log_interval=8, video=False)
NETWORK = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(8,)))


def _experiment(*, learner: Any, dataset: Any, **changes: Any) -> triax.Experiment:
    settings: dict[str, Any] = {"name": "x", "learner": learner, "dataset": dataset, "total_steps": 16, "loop": LOOP}
    return triax.Experiment(**(settings | changes))


def _agent_leaves(run: Path) -> dict[str, Any]:
    return leaves_by_path(jax.device_get(triax.load_agent(run_directory=run).parameters))


@pytest.mark.slow
def test_a_frozen_torso_of_several_tasks_serves_a_new_one_and_resuming_does_not_load_it_again(tmp_path: Path) -> None:
    datasets = tuple(record(tmp_path, task=task) for task in range(2))
    source, run = tmp_path / "source", tmp_path / "run"
    settings: dict[str, Any] = {"actor": NETWORK, "batch_size": 16, "held_out_fraction": 0.0}
    pretraining = triax.MTBCConfig(tasks=2, normalise_observations=True, **settings)
    triax.train(experiment=_experiment(learner=pretraining, dataset=datasets), run_directory=source)
    tuning = triax.BCConfig(
        normalise_observations=True,
        optimizer=triax.OptimizerConfig(learning_rate=0.1, parts=(triax.PartConfig(path="torso"),)),
        **settings,
    )
    experiment = _experiment(
        learner=tuning,
        dataset=dataclasses.replace(datasets[0], task=0),
        load=(triax.LoadConfig(run=source),),
        checkpoint=triax.CheckpointConfig(interval=8),
    )
    triax.train(experiment=experiment, run_directory=run)
    before, after = _agent_leaves(source), _agent_leaves(run)
    shared = [path for path in after if path.startswith(("actor/torso", "statistics"))]
    assert len(shared) > 4
    for path in shared:
        np.testing.assert_array_equal(before[path], after[path], err_msg=path)
    # The head has learned: Adam's steps of 0.1.
    heads = [path for path in after if path.startswith("actor/head/")]
    assert heads
    assert max(float(np.max(np.abs(after[path]))) for path in heads) > 0.5
    # From a checkpoint in the middle it ends with the same bits, although the source is gone.
    shutil.rmtree(source)
    triax.resume(run_directory=run, checkpoint=8)
    again = _agent_leaves(run)
    for path in after:
        np.testing.assert_array_equal(again[path], after[path], err_msg=path)


def _tree(*, torso: int = 3, statistics: bool = False) -> Any:
    return {
        "actor": {"torso": {"kernel": np.zeros((2, torso))}, "head": np.zeros(1)},
        "statistics": np.zeros(2) if statistics else None,
    }


def _ones(tree: Any) -> Any:
    return jax.tree.map(np.ones_like, tree)


def test_parts_are_put_where_they_stood_and_nothing_else() -> None:
    config = LoadConfig(run=Path("there"))
    loaded = with_parts(into=_tree(statistics=True), source=_ones(_tree(statistics=True)), config=config)
    assert {path: float(leaf.max()) for path, leaf in leaves_by_path(loaded).items()} == {
        "actor/head": 0.0,
        "actor/torso/kernel": 1.0,
        "statistics": 1.0,
    }
    head = with_parts(into=_tree(), source=_ones(_tree()), config=dataclasses.replace(config, parts=("actor/head",)))
    assert float(head["actor"]["head"][0]) == 1.0
    assert not head["actor"]["torso"]["kernel"].any()


def test_what_does_not_fit_is_refused() -> None:
    config = LoadConfig(run=Path("there"))
    with pytest.raises(
        ValueError, match=r"actor/torso/kernel has the shape \(2, 3\) here and \(2, 4\) in the run there"
    ):
        with_parts(into=_tree(), source=_tree(torso=4), config=config)
    with pytest.raises(ValueError, match="has no parameters under 'actor/neck'; it has: actor/head, actor/torso"):
        with_parts(into=_tree(), source=_tree(), config=dataclasses.replace(config, parts=("actor/neck",)))
    with pytest.raises(ValueError, match="the run there normalises observations and this learner does not"):
        with_parts(into=_tree(), source=_tree(statistics=True), config=config)
    with pytest.raises(ValueError, match="this learner normalises observations and the run there does not"):
        with_parts(into=_tree(statistics=True), source=_tree(), config=config)
    alone = dataclasses.replace(config, statistics=False)
    assert not with_parts(into=_tree(statistics=True), source=_ones(_tree()), config=alone)["statistics"].any()

"""Recordings of the experts: a dataset in Minari's format each, and the steps of it that a clone learns from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from experts import expert_run
from families import Family
from scales import Scale

import triax
from triax.datasets import DatasetConfig, DatasetSource, load_dataset
from triax.datasets.files import data_folder
from triax.random import derive_generator, derive_seed
from triax.training.recording import RecordingLimits, record_dataset
from triax.trees import replace, tree_map
from triax.types import Transitions, TransitionUnit

UNIT = TransitionUnit(discount=0.0, steps=1)


def record_experts(*, scale: Scale, family: Family) -> None:
    """Record the expert of every variant that is needed, unless that is done.

    :param scale: of the study.
    :param family: whose experts.
    """
    for seed in range(scale.expert_seeds):
        for value in (*scale.source_tasks(family), *scale.held_out(family)):
            _record(scale=scale, family=family, value=value, seed=seed)


def _record(*, scale: Scale, family: Family, value: float, seed: int) -> None:
    identifier, root = _dataset_of(family=family, value=value, seed=seed), _root(scale)
    if data_folder(id=identifier, root=root).exists():
        return
    run = expert_run(scale=scale, family=family, seed=seed)
    returns = record_dataset(
        agent=triax.load_agent(run_directory=run, checkpoint="best"),
        environment=family.variant(value, show=True),
        dataset=identifier,
        limits=RecordingLimits(episodes=family.recorded_episodes, episode_steps=family.recorded_steps),
        seed=derive_seed(seed=seed, name=("recording", family.name, repr(value))),
        deterministic=True,
        root=root,
    )
    print(f"recorded {identifier}: {len(returns)} episodes, mean return {np.mean(returns):.1f}", flush=True)


def recorded_steps(*, scale: Scale, family: Family, values: Sequence[float], count: int, seed: int) -> Transitions:
    """Draw steps of some variants' experts, each of them a task.

    The physics, which the expert saw, is left out. Steps are drawn without replacement from all recorded episodes, and
    those of a smaller number are among those of a larger one.

    :param scale: of the study.
    :param family: of the variants.
    :param values: of the variants, in the order of the tasks.
    :param count: how many of each.
    :param seed: of the study.
    :return: the rows of one task after those of another, each in random order, [N, ...].
    """
    return joined(
        [
            _task_steps(scale=scale, family=family, value=value, task=task, count=count, seed=seed)
            for task, value in enumerate(values)
        ]
    )


def _task_steps(*, scale: Scale, family: Family, value: float, task: int, count: int, seed: int) -> Transitions:
    identifier = _dataset_of(family=family, value=value, seed=scale.expert_seed(seed))
    dataset = load_dataset(DatasetConfig(id=identifier, root=_root(scale), task=task))
    everything = DatasetSource(dataset).everything(unit=UNIT)
    assert isinstance(everything, Transitions)
    everything = replace(
        everything,
        observation=everything.observation["observation"],
        next_observation=everything.next_observation["observation"],
    )
    order = derive_generator(seed=seed, name=("steps", family.name, repr(value))).permutation(dataset.steps)
    if count > dataset.steps:
        raise ValueError(f"{count} steps are wanted of {identifier}, which has {dataset.steps}; record more episodes.")
    return tree_map(lambda leaf: leaf[order[:count]], everything)


def joined(parts: Sequence[Transitions]) -> Transitions:
    """Put rows behind one another.

    :param parts: rows, [N, ...] each.
    :return: all of them.
    """
    return tree_map(lambda *leaves: np.concatenate(leaves), parts[0], *parts[1:])


def _dataset_of(*, family: Family, value: float, seed: int) -> str:
    return f"mtil/{family.name}-{value:g}-seed-{seed}-v0".replace(".", "_")


def _root(scale: Scale) -> Path:
    return scale.expert_folder / "recordings"

"""The datasets of an experiment: read, checked against the learner, and put together in their shares."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from triax.datasets import Dataset, DatasetConfig, DatasetSource, load_dataset
from triax.learners.interface import DatasetPlan, Learner
from triax.replay import MixturePart
from triax.training.experiment import Experiment
from triax.types import EnvironmentSpec


def load_recorded(
    *, experiment: Experiment, learner: Learner[Any], plan: DatasetPlan, spec: EnvironmentSpec
) -> tuple[Dataset, ...]:
    """Read the datasets that an experiment names.

    :param experiment: the experiment.
    :param learner: who learns from them.
    :param plan: its plan.
    :param spec: what observations and actions must be.
    :return: a dataset each.
    :raises ValueError: if none is named, one has other spaces, a task that the learner does not know, or a head has no
        task.
    """
    if not experiment.datasets:
        raise ValueError(
            f"Experiment.dataset=None: {type(learner).__name__} learns from recorded experience; set the field."
        )
    datasets = []
    for config in experiment.datasets:
        dataset = load_dataset(config, observation_spec=spec.observation, action_spec=spec.action)
        unknown = [] if plan.tasks is None else [task for task in dataset.tasks if task >= plan.tasks]
        if unknown:
            raise ValueError(
                f"the dataset {config.id!r} has the task {unknown[0]}, and {type(learner).__name__} has heads for the "
                f"tasks 0 to {plan.tasks - 1 if plan.tasks else 0}; set learner.tasks to at least {max(unknown) + 1}, "
                "or another DatasetConfig.task."
            )
        datasets.append(dataset)
    _check_heads(learner=learner, plan=plan, datasets=datasets)
    return tuple(datasets)


def _check_heads(*, learner: Learner[Any], plan: DatasetPlan, datasets: Sequence[Dataset]) -> None:
    """Refuse a head that would stay as it began."""
    recorded = {task for dataset in datasets for task in dataset.tasks}
    without = [] if plan.tasks is None else [task for task in range(plan.tasks) if task not in recorded]
    if without:
        raise ValueError(
            f"no dataset has the task {without[0]}, and {type(learner).__name__} has heads for the tasks 0 to "
            f"{plan.tasks - 1 if plan.tasks else 0}; number the tasks of the datasets (DatasetConfig.task) without a "
            f"gap, and set learner.tasks to their number, {len(recorded)}."
        )


def recorded_parts(
    *, configs: Sequence[DatasetConfig], datasets: Sequence[Dataset], batch_size: int
) -> tuple[MixturePart, ...]:
    """Give each dataset its rows of a batch.

    :param configs: with their shares.
    :param datasets: to draw from, in the same order.
    :param batch_size: rows of all of them.
    :return: the parts.
    :raises ValueError: if one has no row.
    """
    rows = shared_rows(shares=[config.share for config in configs], batch_size=batch_size)
    for config, own in zip(configs, rows, strict=True):
        if own < 1:
            raise ValueError(
                f"the share {config.share} of the dataset {config.id!r} is less than one row of a batch of "
                f"{batch_size}; raise DatasetConfig.share or learner.batch_size."
            )
    return tuple(
        MixturePart(source=DatasetSource(dataset), rows=own) for dataset, own in zip(datasets, rows, strict=True)
    )


def shared_rows(*, shares: Sequence[float], batch_size: int) -> tuple[int, ...]:
    """Divide a batch by the method of the largest remainder.

    :param shares: positive, in relation to one another.
    :param batch_size: how many rows.
    :return: rows of each, whose sum is the batch's size.
    """
    exact = batch_size * np.asarray(shares, np.float64) / np.sum(shares)
    rows = np.floor(exact).astype(np.int64)
    largest = np.argsort(rows - exact, kind="stable")[: batch_size - int(rows.sum())]
    rows[largest] += 1
    return tuple(int(own) for own in rows)

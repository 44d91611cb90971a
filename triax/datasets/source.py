"""Batches of a recorded dataset: a replay that holds it and takes nothing more."""

import zlib
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from triax.datasets.dataset import Dataset
from triax.replay import Batches, Replay, ReplayConfig, SamplerFactory, UniformSampler
from triax.trees import Tree, tree_dataclass
from triax.types import Feedback, Unit


@tree_dataclass
class DatasetState:
    """What a checkpoint holds of a dataset: enough to notice another one, and what the sampler has learned.

    :ivar fingerprint: episodes, steps, and a check sum of all rows, [3].
    :ivar sampler: the sampler's own state.
    """

    fingerprint: npt.NDArray[Any]
    sampler: Tree


class DatasetSource:
    """Draws batches of a dataset. The rows are copied once."""

    def __init__(self, dataset: Dataset, *, sampler: SamplerFactory = UniformSampler) -> None:
        """Copy the rows into a replay of just that size.

        :param dataset: the dataset.
        :param sampler: makes the sampler.
        :raises ReplayTooLarge: if it does not fit into memory.
        """
        trajectory = dataset.trajectory
        self._replay = Replay(
            config=ReplayConfig(capacity=len(trajectory.reward), sampler=sampler),
            observation_spec=dataset.observation_spec,
            action_spec=dataset.action_spec,
            streams=1,
        )
        self._replay.insert_rows(trajectory=trajectory, first_stream=0, task=dataset.row_tasks)
        check_sum = 0
        for leaf in jax.tree.leaves((trajectory, dataset.row_tasks)):
            check_sum = zlib.crc32(np.ascontiguousarray(leaf).data, check_sum)
        self._fingerprint = np.array([dataset.episodes, dataset.steps, check_sum], np.int64)

    def __len__(self) -> int:
        """Steps of experience."""
        return len(self._replay)

    @property
    def uses_feedback(self) -> bool:
        """Whether the sampler uses feedback."""
        return self._replay.uses_feedback

    def check_plan(self, *, unit: Unit, batch_size: int) -> None:
        """Refuse what can never be sampled. A batch may be larger than the dataset: rows are drawn with replacement.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch.
        :raises ValueError: with the reason.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; a batch holds at least one row.")
        self._replay.check_unit(unit=unit)

    def sample(self, *, unit: Unit, batch_size: int, batches: int, generator: np.random.Generator) -> Batches:
        """Draw batches, with replacement, into fresh arrays; see :class:`triax.replay.BatchSource`.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch.
        :param batches: how many batches.
        :param generator: the only source of randomness.
        :return: leaves of shape [batches, N, ...]; of sequences' rows, [batches, L, N, ...].
        :raises NothingToSample: if no piece of the unit's length is in the dataset.
        """
        return self._replay.sample(unit=unit, batch_size=batch_size, batches=batches, generator=generator)

    def everything(self, *, unit: Unit) -> Batches:
        """Read the whole dataset as one batch, such as for a held-out loss; see :meth:`triax.replay.Replay.everything`.

        :param unit: what a row of the batch is.
        :return: leaves of shape [N, ...]; of sequences' rows, [L, N, ...].
        :raises NothingToSample: if no piece of the unit's length is in the dataset.
        """
        return self._replay.everything(unit=unit)

    def feedback(self, *, feedback: Feedback) -> None:
        """Hand priorities to the sampler.

        :param feedback: priorities and the origin of the rows.
        """
        self._replay.feedback(feedback=feedback)

    def state(self) -> DatasetState:
        """Give what a checkpoint must hold; the rows are not among it, since they are read from the dataset again.

        :return: the state.
        """
        return DatasetState(fingerprint=self._fingerprint.copy(), sampler=self._replay.sampler_state())

    def restore(self, state: DatasetState) -> None:
        """Take back what :meth:`state` gave.

        :param state: the state.
        :raises ValueError: if it is of another dataset.
        """
        if not np.array_equal(np.asarray(state.fingerprint), self._fingerprint):
            theirs, ours = np.asarray(state.fingerprint).tolist(), self._fingerprint.tolist()
            raise ValueError(
                f"the dataset is not the one that the run began with: that had {theirs[0]} episodes of {theirs[1]} "
                f"steps in all (check sum {theirs[2]:08x}), this has {ours[0]} of {ours[1]} ({ours[2]:08x}). Resume "
                "with the dataset, and the selection of its episodes, that the run began with."
            )
        self._replay.restore_sampler(state.sampler)

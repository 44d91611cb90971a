"""What the training loop knows of any source of batches: a replay, a recorded dataset, a mixture of both."""

from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from triax.trees import Tree
from triax.types import Feedback, Sequences, Transitions, Unit

Batches: TypeAlias = Transitions | Sequences
"""Several batches stacked: what :mod:`triax.types` says of one, with one more axis before it."""


@runtime_checkable
class BatchSource(Protocol):
    """A source of batches."""

    @property
    def uses_feedback(self) -> bool:
        """Whether :meth:`feedback` does anything."""

    def check_plan(self, *, unit: Unit, batch_size: int) -> None:
        """Refuse, before training begins, what can never be sampled.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch.
        :raises ValueError: with the reason.
        """

    def sample(self, *, unit: Unit, batch_size: int, batches: int, generator: np.random.Generator) -> Batches:
        """Draw batches into fresh arrays.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch.
        :param batches: how many batches.
        :param generator: the only source of randomness.
        :return: leaves of shape [batches, N, ...]; of sequences' rows, [batches, L, N, ...].
        :raises NothingToSample: if there is nothing to draw from.
        """

    def feedback(self, *, feedback: Feedback) -> None:
        """Take what the learner said of batches, stacked or not.

        :param feedback: priorities and the origin of the rows.
        """

    def state(self) -> Tree:
        """Give what a checkpoint must hold: a tree of NumPy arrays, of fixed structure.

        Large arrays are views: write or copy them before the source changes.
        """

    def restore(self, state: Tree) -> None:
        """Take back what :meth:`state` gave.

        :param state: the tree.
        :raises ValueError: if it belongs to a source of another shape.
        """

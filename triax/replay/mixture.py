"""Batches that hold rows of two sources in exact shares, such as a replay and a dataset."""

import dataclasses
from typing import TypeVar

import jax
import numpy as np

from triax.replay.gathering import assemble
from triax.replay.source import Batches, BatchSource
from triax.trees import Tree, replace, tree_dataclass, tree_map
from triax.types import Feedback, RowOrigin, Sequences, Transitions, Unit

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixturePart:
    """One source's part.

    :ivar source: where its rows are drawn.
    :ivar rows: how many of each batch.
    """

    source: BatchSource
    rows: int


@tree_dataclass
class MixtureState:
    """The state of a mixture.

    :ivar parts: the states of the sources, in order.
    """

    parts: tuple[Tree, ...]


class MixtureSource:
    """Draws each batch from several sources. The rows stand in the order of the parts, marked in ``origin.source``."""

    def __init__(self, *, parts: tuple[MixturePart, ...]) -> None:
        """Join the parts.

        :param parts: the sources and their rows; a row of part i is marked as of source i.
        :raises ValueError: if there is none or one has no rows.
        """
        if not parts or any(part.rows < 1 for part in parts):
            raise ValueError(
                f"a mixture needs parts of at least one row each, got rows={[part.rows for part in parts]}; leave out "
                "a source that gives no rows."
            )
        self._parts = parts

    @property
    def batch_size(self) -> int:
        """Rows a batch, over all parts."""
        return sum(part.rows for part in self._parts)

    @property
    def uses_feedback(self) -> bool:
        """Whether one of the sources uses feedback."""
        return any(part.source.uses_feedback for part in self._parts)

    def check_plan(self, *, unit: Unit, batch_size: int) -> None:
        """Refuse what a source can never give.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch, which must be the sum of the parts' rows.
        :raises ValueError: with the reason.
        """
        if batch_size != self.batch_size:
            shares = " + ".join(str(part.rows) for part in self._parts)
            raise ValueError(f"batch_size is {batch_size}, but the mixture's parts give {shares} = {self.batch_size}.")
        for part in self._parts:
            part.source.check_plan(unit=unit, batch_size=part.rows)

    def sample(self, *, unit: Unit, batch_size: int, batches: int, generator: np.random.Generator) -> Batches:
        """Draw from each source and join the rows.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch, which must be the sum of the parts' rows.
        :param batches: how many batches.
        :param generator: the only source of randomness, used by the parts in order.
        :return: leaves as of any source.
        :raises NothingToSample: if a source has nothing to draw from.
        :raises ValueError: if the sources' batches have different structures.
        """
        self.check_plan(unit=unit, batch_size=batch_size)
        drawn = [
            part.source.sample(unit=unit, batch_size=part.rows, batches=batches, generator=generator)
            for part in self._parts
        ]
        marked = [_mark(batch, source=number) for number, batch in enumerate(drawn)]
        structures: list[object] = [jax.tree.structure(batch) for batch in marked]
        if any(structure != structures[0] for structure in structures):
            listed = "; ".join(str(structure) for structure in structures)
            raise ValueError(
                "the sources of a mixture give rows of different structure, perhaps because one of them has no extras "
                f"that the learner asks for: {listed}."
            )
        if isinstance(marked[0], Sequences):
            sequences = [batch for batch in marked if isinstance(batch, Sequences)]
            return assemble(
                Sequences,
                rows=_join([batch.rows for batch in sequences], axis=2),
                mask=_join([batch.mask for batch in sequences], axis=2),
                weight=_join([batch.weight for batch in sequences], axis=1),
                origin=_join([batch.origin for batch in sequences], axis=1),
            )
        return _join(marked, axis=1)

    def feedback(self, *, feedback: Feedback) -> None:
        """Hand each source the feedback to its own rows.

        :param feedback: priorities and origins of any equal shape.
        """
        origin: RowOrigin = tree_map(lambda leaf: np.asarray(leaf).reshape(-1), feedback.origin)
        priority = np.asarray(feedback.priority).reshape(-1)
        for number, part in enumerate(self._parts):
            if part.source.uses_feedback:
                own = np.flatnonzero(origin.source == number)
                rows = replace(tree_map(lambda leaf, own=own: leaf[own], origin), source=np.zeros(own.size, np.int32))
                part.source.feedback(feedback=Feedback(priority=priority[own], origin=rows))

    def state(self) -> MixtureState:
        """Give the states of all sources.

        :return: the state.
        """
        return MixtureState(parts=tuple(part.source.state() for part in self._parts))

    def restore(self, state: MixtureState) -> None:
        """Take back what :meth:`state` gave.

        :param state: the state.
        :raises ValueError: if a source refuses its part.
        """
        for part, stored in zip(self._parts, state.parts, strict=True):
            part.source.restore(stored)


def _mark(batch: Batches, *, source: int) -> Batches:
    origin = batch.origin
    marked = assemble(
        RowOrigin,
        source=np.full(np.shape(origin.source), source, np.int32),
        task=origin.task,
        slot=origin.slot,
        generation=origin.generation,
        policy_version=origin.policy_version,
    )
    fields = dict(vars(batch)) | {"origin": marked}
    return assemble(Sequences, **fields) if isinstance(batch, Sequences) else assemble(Transitions, **fields)


def _join(trees: list[_T], *, axis: int) -> _T:
    return tree_map(lambda *leaves: np.concatenate(leaves, axis=axis), trees[0], *trees[1:])

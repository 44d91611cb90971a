"""Which rows are drawn: the protocol of samplers, and the uniform one.

A sampler knows numbers of slots and nothing of what they hold. It is told which slots were filled and which were
overwritten, and is asked for slots; :class:`Candidates` tells it which of them a batch can be made of now. Code outside
the package can add one: anything with these methods will do, and ``ReplayConfig.sampler`` takes it.
"""

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from triax.trees import Tree, tree_dataclass

Slots: TypeAlias = npt.NDArray[np.int64]
"""Numbers of slots; any shape."""

REJECTION_ROUNDS = 64
"""Rounds of rejection before all acceptable slots are listed instead. As a rule every second row is experience at
least, and the chance that the slot of a plain transition is still open then is below 2⁻⁶⁴."""


class NothingToSample(ValueError):
    """The replay holds nothing that a batch could be made of."""


@runtime_checkable
class Candidates(Protocol):
    """What may be drawn at this moment, for the unit that was asked for."""

    def propose(self, *, count: int, generator: np.random.Generator) -> Slots:
        """Draw slots uniformly from a set that contains every acceptable one, and some others.

        :param count: how many.
        :param generator: randomness.
        :return: slots, [count].
        """

    def accepts(self, *, slots: Slots) -> npt.NDArray[np.bool_]:
        """Say of slots whether the unit can begin there.

        :param slots: slots, [count].
        :return: booleans, [count].
        """

    def all(self) -> Slots:
        """List every acceptable slot, which takes time.

        :return: slots in rising order.
        :raises NothingToSample: if there is none, with the reason.
        """


@tree_dataclass
class Drawn:
    """What a sampler drew, in arrays that it will not write again: the batch may hold them.

    :ivar slots: [batches, batch size], int64.
    :ivar weights: importance weights, [batches, batch size], float32.
    """

    slots: npt.NDArray[Any]
    weights: npt.NDArray[Any]


@runtime_checkable
class Sampler(Protocol):
    """Chooses which rows are drawn."""

    @property
    def uses_feedback(self) -> bool:
        """Whether :meth:`feedback` does anything; loops do not fetch priorities from the device where it does not."""

    def inserted(self, *, slots: Slots) -> None:
        """Take note of slots that now hold experience.

        :param slots: slots, each once, [count].
        """

    def removed(self, *, slots: Slots) -> None:
        """Take note of slots whose experience is gone. They may be inserted again right after.

        :param slots: slots, each once, [count].
        """

    def draw(self, *, batches: int, batch_size: int, candidates: Candidates, generator: np.random.Generator) -> Drawn:
        """Choose slots, with replacement, among those that the candidates accept.

        :param batches: batches to draw.
        :param batch_size: rows a batch.
        :param candidates: what may be drawn.
        :param generator: the only source of randomness.
        :return: slots and weights.
        :raises NothingToSample: if nothing can be drawn.
        """

    def feedback(self, *, slots: Slots, priorities: npt.NDArray[Any]) -> None:
        """Take new priorities. Those of slots that were overwritten since they were drawn do not arrive here.

        :param slots: slots, [count]; where one stands twice, the last counts.
        :param priorities: finite and at least 0, [count].
        """

    def state(self) -> Tree:
        """Give what a checkpoint must hold: a tree of NumPy arrays of the sampler's own, of fixed structure."""

    def restore(self, state: Tree) -> None:
        """Take back what :meth:`state` gave.

        :param state: the tree.
        """


@runtime_checkable
class SamplerFactory(Protocol):
    """Makes a sampler."""

    def __call__(self, *, slots: int) -> Sampler:
        """Make a sampler.

        :param slots: how many slots there are; they are numbered from 0.
        :return: the sampler.
        """


class UniformSampler:
    """Every acceptable row with the same chance."""

    def __init__(self, *, slots: int) -> None:
        del slots

    @property
    def uses_feedback(self) -> bool:
        """No."""
        return False

    def inserted(self, *, slots: Slots) -> None:
        """Do nothing.

        :param slots: ignored.
        """

    def removed(self, *, slots: Slots) -> None:
        """Do nothing.

        :param slots: ignored.
        """

    def draw(self, *, batches: int, batch_size: int, candidates: Candidates, generator: np.random.Generator) -> Drawn:
        """Draw uniformly by rejection, and from the list of all acceptable slots if that takes too long.

        :param batches: batches to draw.
        :param batch_size: rows a batch.
        :param candidates: what may be drawn.
        :param generator: randomness.
        :return: slots, and weights of 1.
        :raises NothingToSample: if nothing can be drawn.
        """
        slots = candidates.propose(count=batches * batch_size, generator=generator)
        pending = np.flatnonzero(~candidates.accepts(slots=slots))
        for _ in range(REJECTION_ROUNDS):
            if pending.size == 0:
                break
            again = candidates.propose(count=pending.size, generator=generator)
            slots[pending] = again
            pending = pending[~candidates.accepts(slots=again)]
        if pending.size:
            acceptable = candidates.all()
            slots[pending] = acceptable[generator.integers(0, acceptable.size, size=pending.size)]
        shape = (batches, batch_size)
        return Drawn(slots=slots.reshape(shape), weights=np.ones(shape, np.float32))

    def feedback(self, *, slots: Slots, priorities: npt.NDArray[Any]) -> None:
        """Do nothing.

        :param slots: ignored.
        :param priorities: ignored.
        """

    def state(self) -> Tree:
        """Nothing."""
        return ()

    def restore(self, state: Tree) -> None:
        """Do nothing.

        :param state: ignored.
        """

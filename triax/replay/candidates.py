"""Which slots a batch can be made of: the answer of the storage to a sampler's question."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from triax.replay.flags import ACTED, FIRST, LAST
from triax.replay.gathering import steps_in_episode
from triax.replay.sampler import Candidates, NothingToSample, Slots
from triax.replay.storage import RingStorage
from triax.types import SequenceUnit, Unit

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowCandidates:
    """Every row of experience: where a transition can begin.

    :ivar storage: where the rows are.
    """

    storage: RingStorage

    def propose(self, *, count: int, generator: np.random.Generator) -> Slots:
        """Draw uniformly from all slots in use; see :class:`triax.replay.sampler.Candidates`.

        :param count: how many.
        :param generator: randomness.
        :return: slots, [count].
        :raises NothingToSample: if the storage holds no experience.
        """
        if self.storage.acted_count == 0:
            raise NothingToSample("the replay holds no experience yet; insert some before sampling.")
        stored = self.storage.stored
        ends = np.cumsum(stored)
        numbers = generator.integers(0, ends[-1], size=count)
        # In full rings the number is the slot. While a ring fills, its slots in use are the first ones.
        if self.storage.streams == 1 or ends[-1] == self.storage.streams * self.storage.rows:
            return numbers
        streams = np.searchsorted(ends, numbers, side="right")
        slots: Slots = numbers - (ends - stored)[streams] + streams * self.storage.rows
        return slots

    def accepts(self, *, slots: Slots) -> Array:
        """Say where an action was taken.

        :param slots: slots.
        :return: booleans.
        """
        accepted: Array = (self.storage.flags.take(slots) & ACTED) != 0
        return accepted

    def all(self) -> Slots:
        """List all experience.

        :return: slots.
        :raises NothingToSample: if the storage holds no experience.
        """
        slots = np.flatnonzero(self.storage.flags & ACTED)
        if slots.size == 0:
            raise NothingToSample("the replay holds no experience yet; insert some before sampling.")
        return slots


@dataclasses.dataclass(frozen=True, kw_only=True)
class PieceCandidates:
    """Where a piece of an episode can begin.

    A piece is complete if the episode ends within it or all its rows are stored, and has at least one row of experience
    after the burn-in. A piece that the write head would cut is not complete.

    :ivar storage: where the rows are.
    :ivar unit: what a piece is.
    """

    storage: RingStorage
    unit: SequenceUnit
    starts: Slots | None = dataclasses.field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.unit.whole_episodes:
            # Episodes' starts are few, so they are listed once a call instead of being hit by chance.
            object.__setattr__(self, "starts", np.flatnonzero((self.storage.flags & (ACTED | FIRST)) == ACTED | FIRST))

    def propose(self, *, count: int, generator: np.random.Generator) -> Slots:
        """Draw uniformly from all rows in use, or from the episodes' starts.

        :param count: how many.
        :param generator: randomness.
        :return: slots, [count].
        :raises NothingToSample: if there is nothing to draw from.
        """
        if self.starts is None:
            return RowCandidates(storage=self.storage).propose(count=count, generator=generator)
        if self.starts.size == 0:
            raise self._nothing()
        slots: Slots = self.starts[generator.integers(0, self.starts.size, size=count)]
        return slots

    def accepts(self, *, slots: Slots) -> Array:
        """Say where a complete piece begins.

        :param slots: slots, [count].
        :return: booleans, [count].
        """
        length = self.unit.length
        count = steps_in_episode(storage=self.storage, slots=slots, length=length)
        ended = (self.storage.flags[self.storage.after(slots=slots, steps=count)] & LAST) != 0
        accepted: Array = (count > self.unit.burn_in) & ((count == length) | ended)
        if self.unit.whole_episodes:
            accepted &= (self.storage.flags.take(slots) & FIRST) != 0
        return accepted

    def all(self) -> Slots:
        """List all complete pieces' starts.

        :return: slots.
        :raises NothingToSample: if there is none.
        """
        slots = RowCandidates(storage=self.storage).all() if self.starts is None else self.starts
        slots = slots[self.accepts(slots=slots)]
        if slots.size == 0:
            raise self._nothing()
        return slots

    def _nothing(self) -> NothingToSample:
        where = " that begins an episode" if self.unit.whole_episodes else ""
        return NothingToSample(
            f"the replay's {self.storage.acted_count:,} steps hold no complete piece{where} of length="
            f"{self.unit.length} with burn_in={self.unit.burn_in}: episodes must be longer than the burn-in, and must "
            "have ended or have gone on for the piece's length. Collect more before sampling, or shorten length and "
            "burn_in."
        )


def candidates_for(*, storage: RingStorage, unit: Unit) -> Candidates:
    """Choose what a unit can begin with.

    :param storage: where the rows are.
    :param unit: what a row of a batch is.
    :return: the candidates.
    """
    if isinstance(unit, SequenceUnit):
        return PieceCandidates(storage=storage, unit=unit)
    return RowCandidates(storage=storage)

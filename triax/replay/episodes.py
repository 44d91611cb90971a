"""The whole episodes that a storage holds."""

import dataclasses

import numpy as np

from triax.replay.flags import ACTED, FIRST, LAST
from triax.replay.gathering import gather_sequences
from triax.replay.sampler import Drawn, Slots
from triax.replay.storage import RingStorage
from triax.trees import tree_map
from triax.types import Trajectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredEpisode:
    """An episode whose first and final observation are both stored.

    :ivar stream: the environment's number.
    :ivar first_slot: the slot of its first observation.
    :ivar steps: its actions.
    """

    stream: int
    first_slot: int
    steps: int


def stored_episodes(*, storage: RingStorage) -> list[StoredEpisode]:
    """List all whole episodes, by stream and age.

    :param storage: where the rows are.
    :return: the episodes.
    """
    found: list[StoredEpisode] = []
    for stream in range(storage.streams):
        slots = storage.chronological(stream=stream)
        flags = storage.flags[slots]
        firsts, lasts = np.flatnonzero(flags & FIRST), np.flatnonzero(flags & LAST)
        # Each first row belongs to the next final row, unless another episode's first row lies between them.
        ends = np.searchsorted(lasts, firsts)
        for number, (first, end) in enumerate(zip(firsts, ends, strict=True)):
            unfinished = end == lasts.size
            if unfinished or (number + 1 < firsts.size and firsts[number + 1] < lasts[end]):
                continue
            found.append(StoredEpisode(stream=stream, first_slot=int(slots[first]), steps=int(lasts[end]) - int(first)))
    return found


def read_episode(*, storage: RingStorage, episode: StoredEpisode) -> Trajectory:
    """Copy an episode out.

    :param storage: where the rows are.
    :param episode: which one.
    :return: its rows, T = its steps, B = 1.
    """
    drawn = Drawn(slots=np.array([[episode.first_slot]], np.int64), weights=np.ones((1, 1), np.float32))
    rows = gather_sequences(storage=storage, drawn=drawn, length=episode.steps).rows
    return tree_map(lambda leaf: leaf[0], rows)


def place_in_episode(*, storage: RingStorage, slots: Slots) -> Slots:
    """Count the rows between slots and the first stored rows of their episodes.

    :param storage: where the rows are.
    :param slots: slots that hold experience, [count].
    :return: 0 for the first row, and so on, [count].
    """
    places = np.zeros(storage.flags.size, np.int64)
    for stream in range(storage.streams):
        rows = storage.chronological(stream=stream)
        flags = storage.flags[rows]
        acted = (flags & ACTED) != 0
        # A run of experience begins at a first row, or after a row that is none.
        begins = acted & (np.concatenate([[True], ~acted[:-1]]) | ((flags & FIRST) != 0))
        numbers = np.arange(rows.size)
        places[rows] = numbers - np.maximum.accumulate(np.where(begins, numbers, 0))
    return places[slots]

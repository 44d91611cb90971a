"""What a worker sends, as bytes: a chunk's arrays one after the other, behind a pickle of all else.

Both sides know the arrays' shapes, so that nothing is said about them.
"""

import pickle
from typing import Any

import jax
import numpy as np

from triax.rollout.processes.memory import rounded_up
from triax.rollout.workers import WorkerFailure
from triax.types import Chunk, ChunkOrigin, Trajectory


class ChunkRecords:
    """Writes and reads chunks which are all of the same shapes.

    :ivar size: bytes of a chunk's arrays.
    """

    def __init__(self, *, like: Trajectory) -> None:
        """Lay the arrays out.

        :param like: a trajectory of these shapes, NumPy arrays.
        """
        leaves, self._structure = jax.tree.flatten(like)
        # The widest numbers come first, so that each array begins at a multiple of its numbers' size.
        self._order = sorted(range(len(leaves)), key=lambda place: -leaves[place].itemsize)
        self._places: list[tuple[tuple[int, ...], np.dtype, int]] = [(leaf.shape, leaf.dtype, 0) for leaf in leaves]
        self.size = 0
        for place in self._order:
            self._places[place] = (leaves[place].shape, leaves[place].dtype, self.size)
            self.size += leaves[place].nbytes

    def write(self, chunk: Chunk, *, origin: ChunkOrigin) -> bytes:
        """Write a chunk.

        :param chunk: of the shapes that were laid out.
        :param origin: who made it.
        :return: the record.
        """
        rest = vars(chunk) | {"trajectory": None, "origin": origin}
        head = pickle.dumps(rest, protocol=pickle.HIGHEST_PROTOCOL)
        leaves = jax.tree.leaves(chunk.trajectory)
        return b"".join((head.ljust(rounded_up(len(head)), b"\0"), *(leaves[place].tobytes() for place in self._order)))

    def read(self, record: bytes) -> Chunk | WorkerFailure:
        """Read what a worker wrote.

        :param record: what :meth:`write` returned, or a pickled failure.
        :return: what it said; the arrays are read-only views of the record.
        """
        found: dict[str, Any] | WorkerFailure = pickle.loads(record)  # which ignores what comes after the pickle
        if isinstance(found, WorkerFailure):
            return found
        begin = len(record) - self.size
        leaves = [
            np.ndarray(shape, dtype, buffer=record, offset=begin + offset) for shape, dtype, offset in self._places
        ]
        return Chunk(**found | {"trajectory": jax.tree.unflatten(self._structure, leaves)})

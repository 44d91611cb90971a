"""Rings of rows in NumPy arrays, one ring for each environment's stream; every observation is stored once.

A *slot* is a place in the arrays: stream · rows per stream + place in the ring. The newest observation of each stream
stands in the slot at the write head as a *provisional* row: no action was taken in it yet, but it is what followed the
newest action. The next chunk of the stream begins with the same observation and overwrites it.

Whether a chunk continues its stream is seen from its first row. It does if observation and flags equal the provisional
row's, bit by bit. Otherwise the stream broke (a worker began a new life, a chunk was rejected on the way): the
provisional row stays as the episode's final observation, the action before it is marked as truncated, and the chunk
begins in the next slot. A provisional row that is an episode's first observation is always overwritten, since nothing
leads to it.

Rows are consecutive in time as long as the flag ``ACTED`` holds; see :mod:`triax.replay.flags`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from triax.replay.columns import check_rows, columns
from triax.replay.flags import ACTED, FIRST, LAST, OBSERVED, TRUNCATED, row_flags
from triax.replay.sampler import Slots
from triax.spaces import SpaceSpec
from triax.trees import Tree, tree_dataclass
from triax.types import Trajectory

Array = npt.NDArray[Any]


@tree_dataclass
class StorageState:
    """What the rings hold: the written part only, so that the checkpoint of a young replay is small.

    :ivar columns: leaves of shape [streams, written rows, ...].
    :ivar heads: rows written so far in each stream, without the provisional one, [streams].
    :ivar rows_per_stream: how long the rings are, a scalar.
    """

    columns: Tree
    heads: Array
    rows_per_stream: Array


@tree_dataclass
class Written:
    """What a call of :meth:`RingStorage.write` changed.

    :ivar inserted: slots that hold experience now, [count].
    :ivar removed: slots that held experience before and were overwritten, [count].
    """

    inserted: Array
    removed: Array


class RingStorage:
    """The rings.

    :ivar streams: how many.
    :ivar rows: rows of each.
    :ivar observation: leaves of shape [slots, ...].
    :ivar action: leaves of shape [slots, ...].
    :ivar extras: leaves of shape [slots, ...].
    :ivar reward: [slots].
    :ivar flags: bits, [slots].
    :ivar task: numbers of tasks, [slots].
    :ivar policy_version: which version of the policy took the step, [slots].
    :ivar heads: rows written so far in each stream, [streams].
    """

    def __init__(
        self,
        *,
        streams: int,
        rows: int,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        extras_spec: Mapping[str, SpaceSpec] | None = None,
    ) -> None:
        self.streams, self.rows = streams, rows
        slots = streams * rows
        self.observation: Tree = observation_spec.zeros(batch_shape=(slots,))
        self.action: Tree = action_spec.zeros(batch_shape=(slots,))
        extras = {name: spec.zeros(batch_shape=(slots,)) for name, spec in sorted((extras_spec or {}).items())}
        self.extras: Tree = extras or ()
        self.reward: Array = np.zeros(slots, np.float32)
        self.flags: Array = np.zeros(slots, np.uint8)
        self.task: Array = np.zeros(slots, np.int32)
        self.policy_version: Array = np.zeros(slots, np.int32)
        self.heads: Array = np.zeros(streams, np.int64)
        self.acted_count = 0
        self._observation_columns = columns(self.observation)
        self._action_columns = columns(self.action, self.extras)
        self._fitting: object = None

    @property
    def stored(self) -> Array:
        """Slots in use in each stream, the provisional one included, [streams]."""
        return np.where(self.heads > 0, np.minimum(self.heads + 1, self.rows), 0)

    def write(self, *, trajectory: Trajectory, first_stream: int, task: Array, policy_version: int) -> Written:
        """Append rows to some streams.

        :param trajectory: T rows of B streams; not kept, but copied.
        :param first_stream: the first stream; the others count up from it.
        :param task: the task of each row, broadcast to [T, B].
        :param policy_version: which made the rows.
        :return: what changed.
        :raises ValueError: if structure, shapes, dtypes or stream numbers are wrong.
        """
        self._check(trajectory=trajectory, first_stream=first_stream)
        steps, width = trajectory.reward.shape
        streams = np.arange(first_stream, first_stream + width)
        observations, flags = columns(trajectory.observation), row_flags(trajectory)
        if not self._continues(observations=observations, flags=flags[0], streams=streams):
            self.heads[streams] += self._broken(observations=observations, flags=flags[0], streams=streams)
        start = self.heads[streams]
        # Only the newest rows of a chunk that is longer than the ring are written, but the heads count them all.
        skipped = max(0, steps - (self.rows - 1))
        times = np.arange(skipped, steps + 1)
        slots = streams * self.rows + (start + times[:, np.newaxis]) % self.rows
        before = self.flags[slots] & ACTED
        removed = slots[before != 0]

        acted, provisional = slots[:-1], slots[-1]
        for column, values in zip(self._action_columns, columns(trajectory.action, trajectory.extras), strict=True):
            column[acted] = values[skipped:]
            column[provisional] = 0
        for column, values in zip(self._observation_columns, observations, strict=True):
            column[slots] = values[skipped:]
        self.reward[acted] = trajectory.reward[skipped:]
        self.reward[provisional] = 0.0
        tasks = np.broadcast_to(task, (steps, width)) if task.ndim > 1 else task[np.newaxis]
        self.task[acted] = tasks[-len(acted) :]
        self.task[provisional] = tasks[-1]
        self.policy_version[slots] = policy_version
        flags = flags[skipped:]
        self.flags[slots] = flags
        self.heads[streams] = start + steps

        inserted = acted[(flags[:-1] & ACTED) != 0]
        self.acted_count += inserted.size - removed.size
        return Written(inserted=inserted, removed=removed)

    def generation(self, slots: Slots) -> Array:
        """Say how often slots were written: the laps of their rings, which a provisional row begins.

        :param slots: any shape.
        :return: the same shape, int32.
        """
        streams = slots // self.rows
        places = slots - streams * self.rows
        heads = self.heads[streams]
        newest = heads - (heads - places) % self.rows
        result: Array = (newest // self.rows + 1).astype(np.int32)
        return result

    def after(self, *, slots: Slots, steps: int | Array) -> Slots:
        """Walk along the rings.

        :param slots: where from, any shape.
        :param steps: how many rows, at most a ring's length; broadcast against the slots.
        :return: where to.
        """
        result: Slots = slots + steps
        if self.streams == 1:
            result[result >= self.rows] -= self.rows
        else:
            result[slots % self.rows + steps >= self.rows] -= self.rows
        return result

    def chronological(self, *, stream: int) -> Slots:
        """List a stream's slots from the oldest to the provisional one.

        :param stream: its number.
        :return: slots.
        """
        head, stored = int(self.heads[stream]), int(self.stored[stream])
        return stream * self.rows + np.arange(head - stored + 1, head + 1) % self.rows

    def state(self) -> StorageState:
        """Give what the rings hold, as read-only views: write or copy it before the next :meth:`write`.

        Copies would double the memory of a replay of images, which may be most of the machine's.

        :return: the state.
        """
        written = max(1, int(self.stored.max()))

        def view(column: Array) -> Array:
            part: Array = column.reshape(self.streams, self.rows, *column.shape[1:])[:, :written]
            part.flags.writeable = False
            return part

        return StorageState(
            columns=jax.tree.map(view, self._columns()),
            heads=self.heads.copy(),
            rows_per_stream=np.array([self.rows], np.int64),
        )

    def restore(self, state: StorageState) -> None:
        """Take back what :meth:`state` gave.

        :param state: the state.
        :raises ValueError: if it is of rings of other sizes.
        """
        streams, rows = np.shape(state.heads)[0], int(np.asarray(state.rows_per_stream).reshape(-1)[0])
        if (streams, rows) != (self.streams, self.rows):
            raise ValueError(
                f"the stored replay has {streams} streams of {rows:,} rows, this one {self.streams} of {self.rows:,}; "
                "resume with the number of environments and the replay capacity that the run began with."
            )
        used = int(self.stored.max())

        def write(column: Array, stored: Array) -> None:
            rings = column.reshape(self.streams, self.rows, *column.shape[1:])
            written, leaf = np.shape(stored)[1], np.shape(stored)[2:]
            if leaf != column.shape[1:] or np.dtype(stored.dtype) != column.dtype:
                raise ValueError(
                    f"the stored replay has {stored.dtype}{leaf} where this one has {column.dtype}{column.shape[1:]}; "
                    "resume with the environment and the learner that the run began with."
                )
            rings[:, :written] = stored
            if used > written:
                rings[:, written:used] = 0

        jax.tree.map(write, self._columns(), state.columns)
        self.heads[:] = state.heads
        self.acted_count = int(np.count_nonzero(self.flags & ACTED))

    def _columns(self) -> Tree:
        return {
            "observation": self.observation,
            "action": self.action,
            "extras": self.extras,
            "reward": self.reward,
            "flags": self.flags,
            "task": self.task,
            "policy_version": self.policy_version,
        }

    def _check(self, *, trajectory: Trajectory, first_stream: int) -> None:
        """Check rows; those that are shaped as the rows before cost little."""
        leaves, structure = jax.tree.flatten(trajectory)
        shapes = (structure, [(leaf.shape, leaf.dtype) for leaf in leaves])
        if shapes != self._fitting or not 0 <= first_stream <= self.streams - trajectory.reward.shape[1]:
            check_rows(
                observation=self.observation,
                action=self.action,
                extras=self.extras,
                streams=self.streams,
                trajectory=trajectory,
                first_stream=first_stream,
            )
            self._fitting = shapes

    def _provisional(self, streams: Array) -> Array:
        """Name the slots of some streams' provisional rows, [B]."""
        slots: Array = streams * self.rows + self.heads[streams] % self.rows
        return slots

    def _continues(self, *, observations: list[Array], flags: Array, streams: Array) -> bool:
        """Say whether a chunk continues all of its streams, as nearly every chunk does.

        :param observations: of its rows, leaves [T + 1, B, ...].
        :param flags: of its first row, [B].
        :param streams: its streams, [B].
        :return: whether its first row is the provisional one of each, bit by bit.
        """
        provisional = self._provisional(streams)
        return self.flags[provisional].tobytes() == (flags & OBSERVED).tobytes() and all(
            column[provisional].tobytes() == values[0].tobytes()
            for column, values in zip(self._observation_columns, observations, strict=True)
        )

    def _broken(self, *, observations: list[Array], flags: Array, streams: Array) -> Array:
        """Find the streams that a chunk does not continue, and close their episodes, [B]; as :meth:`_continues`."""
        provisional = self._provisional(streams)
        stored_flags = self.flags[provisional]
        differs = stored_flags != flags & OBSERVED
        for column, values in zip(self._observation_columns, observations, strict=True):
            stored, new = column[provisional], np.ascontiguousarray(values[0])
            # As bytes: a NaN equals itself.
            unequal = stored.view(np.uint8).reshape(len(streams), -1) != new.view(np.uint8).reshape(len(streams), -1)
            differs |= unequal.any(axis=1)
        broken: Array = differs & (self.heads[streams] > 0) & ((stored_flags & FIRST) == 0)
        self.flags[provisional[broken]] |= LAST
        # An episode that ended by itself has said so in the row before.
        cut = provisional[broken & ((stored_flags & LAST) == 0)]
        before = cut - 1 + np.where(cut % self.rows == 0, self.rows, 0)
        self.flags[before] |= TRUNCATED
        return broken

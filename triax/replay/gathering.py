"""Batches out of slots: n-step transitions and sequences, with one gather a leaf for all batches.

Every array handed out is fresh. JAX on CPU may use a NumPy buffer in place instead of copying it, so a buffer that was
handed out is never written again.
"""

from typing import Any, TypeVar

import jax
import numpy as np
import numpy.typing as npt

from triax.replay.flags import ACTED, FIRST, LAST, TERMINATED, TRUNCATED
from triax.replay.sampler import Drawn, Slots
from triax.replay.storage import RingStorage
from triax.trees import Tree
from triax.types import RowOrigin, Sequences, Trajectory, Transitions, TransitionUnit

Array = npt.NDArray[Any]
_T = TypeVar("_T")


def gather_transitions(*, storage: RingStorage, drawn: Drawn, unit: TransitionUnit) -> Transitions:
    """Make n-step transitions; see :class:`triax.types.Transitions` for the equation.

    :param storage: where the rows are.
    :param drawn: slots that hold experience, [batches, N].
    :param unit: n and γ.
    :return: transitions, leaves [batches, N, ...].
    """
    slots = drawn.slots
    flags = storage.flags.take(slots)
    following = storage.after(slots=slots, steps=1)
    reward = storage.reward.take(slots)
    if unit.steps == 1:
        discount = np.where(flags & TERMINATED, np.float32(0.0), np.float32(unit.discount))
        final = following
    else:
        # γ⁰ … γⁿ in double precision; index k is the true number of steps.
        powers = unit.discount ** np.arange(unit.steps + 1)
        total, final = reward.astype(np.float64), following
        count = np.ones(slots.shape, np.int64)
        terminated = (flags & TERMINATED) != 0
        for step in range(1, unit.steps):
            flags = storage.flags.take(final)
            # A final or provisional row ends the walk; rows that ended before stay where they are.
            going = ((flags & ACTED) != 0) & (count == step)
            if not going.any():
                break
            total += np.where(going, powers[step] * storage.reward.take(final), 0.0)
            terminated |= going & ((flags & TERMINATED) != 0)
            count += going
            final = np.where(going, storage.after(slots=final, steps=1), final)
        reward = total.astype(np.float32)
        discount = np.where(terminated, 0.0, powers[count]).astype(np.float32)
    return assemble(
        Transitions,
        observation=_take(storage.observation, slots),
        action=_take(storage.action, slots),
        reward=reward,
        discount=discount,
        next_observation=_take(storage.observation, final),
        weight=drawn.weights,
        extras=_take(storage.extras, slots),
        origin=_origin(storage=storage, slots=slots),
    )


def steps_in_episode(*, storage: RingStorage, slots: Slots, length: int) -> Array:
    """Count the rows of experience from slots on, up to a length.

    :param storage: where the rows are.
    :param slots: any shape.
    :param length: where to stop counting.
    :return: the same shape, in [0, length].
    """
    rows = storage.after(slots=slots[..., np.newaxis], steps=np.arange(length))
    idle = (storage.flags.take(rows) & ACTED) == 0
    count: Array = np.where(idle.any(axis=-1), idle.argmax(axis=-1), length)
    return count


def gather_sequences(*, storage: RingStorage, drawn: Drawn, length: int) -> Sequences:
    """Make pieces of episodes; see :class:`triax.types.Sequences`.

    :param storage: where the rows are.
    :param drawn: slots at which pieces begin, [batches, N].
    :param length: L, rows a piece.
    :return: sequences, rows [batches, L, N, ...] (observations L + 1), weights and origins [batches, N].
    """
    slots = drawn.slots
    count = steps_in_episode(storage=storage, slots=slots, length=length)[:, np.newaxis]
    times = np.arange(length + 1)[:, np.newaxis]
    # Beyond the episode's end the index stays at its final row.
    rows = storage.after(slots=slots[:, np.newaxis], steps=np.minimum(times, count))
    flags = storage.flags.take(rows)
    acting, mask = rows[:, :-1], times[:-1] < count
    trajectory = assemble(
        Trajectory,
        observation=_take(storage.observation, rows),
        action=_take(storage.action, acting),
        reward=np.where(mask, storage.reward.take(acting), np.float32(0.0)),
        terminated=mask & ((flags[:, :-1] & TERMINATED) != 0),
        truncated=mask & ((flags[:, :-1] & TRUNCATED) != 0),
        is_first=(times <= count) & ((flags & FIRST) != 0),
        is_last=(flags & LAST) != 0,
        extras=_take(storage.extras, acting),
    )
    return assemble(
        Sequences, rows=trajectory, mask=mask, weight=drawn.weights, origin=_origin(storage=storage, slots=slots)
    )


def assemble(cls: type[_T], **fields: Any) -> _T:
    """Fill a dataclass past its constructor, which may check the shapes of one batch, where several are stacked.

    :param cls: the class.
    :param fields: all its fields.
    :return: the instance.
    """
    instance = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(instance, name, value)
    return instance


def _take(tree: Tree, slots: Slots) -> Tree:
    # Three times as fast as column[slots] for rows of a few numbers.
    return jax.tree.map(lambda column: column.take(slots, axis=0), tree)


def _origin(*, storage: RingStorage, slots: Slots) -> RowOrigin:
    return assemble(
        RowOrigin,
        source=np.zeros(slots.shape, np.int32),
        task=storage.task.take(slots),
        slot=slots.astype(np.int32),
        generation=storage.generation(slots),
        policy_version=storage.policy_version.take(slots),
    )

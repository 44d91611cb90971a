"""How an environment is brought back to the middle of an episode.

Most environments can neither be pickled nor copied faithfully. But every episode begins from a seed, so the seed and
the actions since are the whole of its state: reset, take the actions again, and compare what is observed, bit by bit.

An environment that can do better offers its own state (:class:`Resumable`).
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import UInt8

from triax.rollout.seeded import SeededEnvironment
from triax.spaces import SpaceSpec
from triax.trees import Tree

_INITIAL_CAPACITY = 256


class UnfaithfulEnvironment(UserWarning):
    """Taking the same actions from the same seed did not lead an environment to the same observation."""


@runtime_checkable
class Resumable(Protocol):
    """An environment that offers its own state: quicker to resume than by taking an episode's actions again.

    The outermost object must offer it, the wrappers' state included (a ``TimeLimit`` counts steps); Gymnasium's own
    wrappers do not hand these methods through.
    """

    def get_episode_state(self) -> bytes:
        """Describe where the episode stands, completely.

        :return: the state; no pickle, for it is stored in checkpoints.
        """

    def set_episode_state(self, state: bytes) -> Any:
        """Go to a state. The environment was reset with the episode's seed just before.

        :param state: what :meth:`get_episode_state` returned.
        :return: the current observation, as ``reset`` or ``step`` gave it.
        """


class ActionLog:
    """The actions that some environments took since their resets, in inside form.

    The rows are kept in arrays that grow with the longest running episode, and no further.
    """

    def __init__(self, *, spec: SpaceSpec, count: int) -> None:
        self._arrays: list[np.ndarray] = jax.tree.leaves(
            spec.map_leaves(lambda leaf: np.zeros((_INITIAL_CAPACITY, count, *leaf.shape), leaf.dtype))
        )
        self._structure = jax.tree.structure(spec.zeros(batch_shape=()))
        self._starts = [0] * count
        self._end = 0

    @property
    def capacity(self) -> int:
        """How many steps have room."""
        return len(self._arrays[0])

    def append(self, action: Tree) -> None:
        """Add what all environments were told to do in a step.

        :param action: inside form, [B, ...].
        """
        if self._end == self.capacity:
            self._make_room()
        leaves = (action,) if isinstance(action, np.ndarray) else jax.tree.leaves(action)
        for array, leaf in zip(self._arrays, leaves, strict=True):
            array[self._end] = leaf
        self._end += 1

    def forget(self, row: int) -> None:
        """Begin an environment's list afresh.

        :param row: the environment's place in the batch.
        """
        self._starts[row] = self._end

    def since_reset(self, row: int) -> Tree:
        """List what an environment did since its reset.

        :param row: the environment's place in the batch.
        :return: inside form, [steps, ...].
        """
        rows = [array[self._starts[row] : self._end, row].copy() for array in self._arrays]
        return jax.tree.unflatten(self._structure, rows)

    def replace(self, actions: Sequence[Tree]) -> None:
        """Take over the lists of all environments.

        :param actions: for each environment what :meth:`since_reset` returned.
        """
        lengths = [len(jax.tree.leaves(steps)[0]) for steps in actions]
        longest = max(lengths)
        self._end = 0
        self._starts = [0] * len(actions)
        while self.capacity < longest:
            self._make_room()
        self._end = longest
        # All lists end at the same row, so the shorter ones begin later.
        self._starts = [longest - length for length in lengths]
        for row, (start, steps) in enumerate(zip(self._starts, actions, strict=True)):
            for array, leaf in zip(self._arrays, jax.tree.leaves(steps), strict=True):
                array[start:longest, row] = leaf

    def _make_room(self) -> None:
        oldest = min(self._starts)
        target = self.capacity if oldest >= self.capacity // 2 else 2 * self.capacity
        for index, array in enumerate(self._arrays):
            larger = np.zeros((target, *array.shape[1:]), array.dtype)
            larger[: self._end - oldest] = array[oldest : self._end]
            self._arrays[index] = larger
        self._starts = [start - oldest for start in self._starts]
        self._end -= oldest


def observation_digest(observation: Any) -> UInt8[np.ndarray, " 32"]:
    """Sum up an observation in its environment's own precision.

    :param observation: as the environment gave it.
    :return: a SHA-256 digest, [32].
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(observation):
        array = np.asarray(leaf)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def take_again(*, environment: SeededEnvironment, actions: Sequence[Any]) -> bool:
    """Take the actions of an episode once more.

    :param environment: just reset with the episode's seed.
    :param actions: in the environment's units.
    :return: whether the episode lasted until the last action.
    :raises EnvironmentFailed: if the environment raises.
    """
    for action in actions:
        if environment.ended:
            return False
        environment.advance(action)
    return True

"""The leaves of stored trees as plain lists, and the check of trees at the entrance of the storage."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from triax.trees import Tree
from triax.types import Trajectory

if TYPE_CHECKING:
    from triax.replay.storage import RingStorage

Array = np.ndarray[Any, Any]


def columns(*trees: Tree) -> list[Array]:
    """List the leaves of trees as NumPy arrays.

    :param trees: trees of arrays.
    :return: the leaves in JAX's order.
    """
    return [np.asarray(leaf) for tree in trees for leaf in jax.tree.leaves(tree)]


def check_rows(*, storage: "RingStorage", trajectory: Trajectory, first_stream: int) -> None:
    """Check that rows can be written into a storage: nothing is cast or broadcast silently.

    :param storage: where they shall go.
    :param trajectory: the rows.
    :param first_stream: the first stream.
    :raises ValueError: if structure, shapes, dtypes or stream numbers are wrong, with the leaf.
    """
    steps, width = np.shape(trajectory.reward)
    if steps < 1:
        raise ValueError("a chunk without rows was inserted into the replay; chunks have at least one.")
    if first_stream < 0 or first_stream + width > storage.streams:
        raise ValueError(
            f"a chunk of environments {first_stream} to {first_stream + width - 1} was inserted into a replay of "
            f"{storage.streams} streams; make the replay with streams= the number of environments in the run."
        )
    _check_tree(name="observation", stored=storage.observation, tree=trajectory.observation, axes=(steps + 1, width))
    _check_tree(name="action", stored=storage.action, tree=trajectory.action, axes=(steps, width))
    extras = trajectory.extras if jax.tree.leaves(trajectory.extras) else ()
    _check_tree(name="extras", stored=storage.extras, tree=extras, axes=(steps, width))
    for name, rows in (("terminated", steps), ("truncated", steps), ("is_first", steps + 1), ("is_last", steps + 1)):
        array = np.asarray(getattr(trajectory, name))
        if array.shape != (rows, width) or array.dtype != np.bool_:
            raise ValueError(f"{name} is {array.dtype}{array.shape}, where bool{(rows, width)} was expected.")


def _check_tree(*, name: str, stored: Tree, tree: Tree, axes: tuple[int, int]) -> None:
    expected, _ = jax.tree_util.tree_flatten_with_path(stored)
    structure: object = jax.tree.structure(stored)
    found: object = jax.tree.structure(tree)
    if found != structure:
        raise ValueError(f"{name} has the structure {found}, where the replay was made for {structure}.")
    for (path, column), leaf in zip(expected, jax.tree.leaves(tree), strict=True):
        shape, dtype = (*axes, *column.shape[1:]), column.dtype
        if np.shape(leaf) != shape or np.dtype(leaf.dtype) != dtype:
            raise ValueError(
                f"{name}{jax.tree_util.keystr(path)} is {leaf.dtype}{np.shape(leaf)}, where the replay was made for "
                f"{dtype}{shape} (the inside form)."
            )

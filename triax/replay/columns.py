"""The leaves of stored trees as plain lists, and the check of trees at the entrance of the storage."""

from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from triax.trees import Tree
from triax.types import Trajectory

Array = npt.NDArray[Any]


def columns(*trees: Tree) -> list[Array]:
    """List the leaves of trees as NumPy arrays.

    :param trees: trees of arrays.
    :return: the leaves in JAX's order.
    """
    return [np.asarray(leaf) for tree in trees for leaf in jax.tree.leaves(tree)]


def check_rows(
    *, observation: Tree, action: Tree, extras: Tree, streams: int, trajectory: Trajectory, first_stream: int
) -> None:
    """Check that rows can be written into columns: nothing is cast or broadcast silently.

    :param observation: columns of observations, leaves [slots, ...].
    :param action: columns of actions.
    :param extras: columns of extras.
    :param streams: how many streams the columns hold.
    :param trajectory: the rows.
    :param first_stream: the first stream that they shall go to.
    :raises ValueError: if structure, shapes, dtypes or stream numbers are wrong, with the leaf.
    """
    steps, width = np.shape(trajectory.reward)
    if steps < 1:
        raise ValueError("a chunk without rows was inserted into the replay; chunks have at least one.")
    if first_stream < 0 or first_stream + width > streams:
        raise ValueError(
            f"a chunk of environments {first_stream} to {first_stream + width - 1} was inserted into a replay of "
            f"{streams} streams; make the replay with streams= the number of environments in the run."
        )
    _check_tree(name="observation", stored=observation, tree=trajectory.observation, axes=(steps + 1, width))
    _check_tree(name="action", stored=action, tree=trajectory.action, axes=(steps, width))
    found_extras = trajectory.extras if jax.tree.leaves(trajectory.extras) else ()
    _check_tree(name="extras", stored=extras, tree=found_extras, axes=(steps, width))
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

"""Reading a dataset that Minari keeps, into inside form.

Nothing random comes along: neither Minari's generator of episodes nor the state of whoever recorded them.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from triax.datasets.checking import check_files
from triax.datasets.dataset import Dataset, choose_episodes, join_trajectories
from triax.datasets.files import data_folder, datasets_root, list_datasets
from triax.programs import installed, triax_command
from triax.spaces import BoxLeaf, DiscreteLeaf, Leaf, Role, SpaceSpec, space_spec
from triax.trees import Tree, tree_map
from triax.types import Trajectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """Which recorded episodes to learn from.

    :raises ValueError: if a value is out of range.
    """

    id: str
    """Minari's id, with the version: "mine/pendulum-expert-v0"."""
    root: Path | None = None
    """The folder of all datasets; None: that of the variable MINARI_DATASETS_PATH, or Minari's in the home folder."""
    episodes: int | None = None
    """So many of the episodes; None: all."""
    episodes_seed: int | None = None
    """Of the choice of episodes; None: the first ones."""
    transitions: int | None = None
    """So many steps: whole episodes of those chosen, in their order, the last of them cut off; None: all."""
    task: int = 0
    """The number that all its rows carry as their task."""
    share: float = 1.0
    """Its part of each batch where there are several datasets, in relation to the other ones' shares."""

    def __post_init__(self) -> None:
        data_folder(id=self.id, root=self.root)
        if self.task < 0:
            raise ValueError(f"DatasetConfig.task is {self.task}; tasks are numbered from 0.")
        if not (self.share > 0.0 and math.isfinite(self.share)):
            raise ValueError(f"DatasetConfig.share is {self.share}; give a positive number, or leave the dataset out.")
        if self.episodes is not None and self.episodes < 1:
            raise ValueError(f"DatasetConfig.episodes is {self.episodes}; give at least 1, or None for all.")
        if self.transitions is not None and self.transitions < 1:
            raise ValueError(f"DatasetConfig.transitions is {self.transitions}; give at least 1, or None for all.")


def load_dataset(
    config: DatasetConfig,
    *,
    observation_spec: SpaceSpec | None = None,
    action_spec: SpaceSpec | None = None,
) -> Dataset:
    """Read a dataset.

    :param config: which.
    :param observation_spec: what the observations must be; None: whatever the dataset says.
    :param action_spec: what the actions must be, likewise.
    :return: the dataset.
    :raises FileNotFoundError: if there is no such dataset, with a list of those that are there.
    :raises UnsupportedSpace: if one of its spaces has no inside form.
    :raises ValueError: if its spaces are others than the specs, it has no episodes or too few steps, an episode is
        damaged, or its files hold what could lead elsewhere; see :mod:`triax.datasets.checking`.
    """
    folder = data_folder(id=config.id, root=config.root)
    if not (folder / "metadata.json").is_file():
        there = ", ".join(list_datasets(root=config.root)) or "none"
        raise FileNotFoundError(
            f"there is no dataset {config.id!r} in {datasets_root(root=config.root)}; there are: {there}. Record one "
            f"with `{triax_command('record')}`, or fetch a public one with `{installed('minari') or 'minari'} download "
            f"{config.id}`."
        )
    check_files(id=config.id, folder=folder)
    from minari.dataset.minari_storage import MinariStorage  # slow to import

    with _damage_told(what=f"the dataset {config.id!r}"):
        storage = MinariStorage.read(folder)
        total = int(storage.total_episodes)
    if total == 0:
        raise ValueError(f"the dataset {config.id!r} has no episodes.")
    observations = space_spec(space=storage.observation_space, role="observation")
    actions = space_spec(space=storage.action_space, role="action")
    _require_same(id=config.id, role="observation", found=observations, expected=observation_spec)
    _require_same(id=config.id, role="action", found=actions, expected=action_spec)

    wanted = total if config.episodes is None else config.episodes
    numbers = choose_episodes(count=total, episodes=wanted, seed=config.episodes_seed)
    parts = [
        _episode(
            where=f"episode {episode['id']} of the dataset {config.id!r}",
            episode=episode,
            observations=observations,
            actions=actions,
        )
        for episode in _read(id=config.id, storage=storage, numbers=numbers)
    ]
    dataset = Dataset(
        trajectory=join_trajectories(parts),
        observation_spec=observation_spec or observations,
        action_spec=action_spec or actions,
        tasks=(config.task,) * len(parts),
    )
    return dataset if config.transitions is None else dataset.first(transitions=config.transitions)


def _read(*, id: str, storage: Any, numbers: list[int]) -> Iterator[dict[str, Any]]:
    """Read one episode after the other, as Minari has them."""
    with _damage_told(what=f"the dataset {id!r}"):
        yield from storage.get_episodes(numbers)


def _episode(*, where: str, episode: dict[str, Any], observations: SpaceSpec, actions: SpaceSpec) -> Trajectory:
    """Make T rows and T + 1 observations of an episode of T steps."""
    with _damage_told(what=where):
        reward = np.asarray(episode["rewards"], np.float32)
        terminated = np.asarray(episode["terminations"], np.bool_)
        truncated = np.asarray(episode["truncations"], np.bool_)
        steps = len(reward)
        observation = observations.batch_to_inside(episode["observations"])
        action = actions.batch_to_inside(episode["actions"])
    lengths = {
        "observations": {len(leaf) for leaf in jax.tree.leaves(observation)},
        "actions": {len(leaf) for leaf in jax.tree.leaves(action)},
        "terminations": {len(terminated)},
        "truncations": {len(truncated)},
    }
    expected = {name: {steps + 1 if name == "observations" else steps} for name in lengths}
    if steps == 0 or lengths != expected:
        raise ValueError(
            f"{where} is damaged: it has {steps} rewards and, of the others, {lengths}, where an episode of T steps, "
            "at least one, has T of each and T + 1 observations."
        )
    if (terminated | truncated)[:-1].any():
        raise ValueError(f"{where} goes on after it ended; record each episode as one of its own.")
    _check_values(where=f"{where} has observations", values=observation, spec=observations)
    _check_values(where=f"{where} has actions", values=action, spec=actions)
    if not np.isfinite(reward).all():
        raise ValueError(f"{where} has rewards that are no finite numbers; leave it out.")
    # A recording that stops without an end was cut off.
    truncated[-1] |= not terminated[-1]
    numbers = np.arange(steps + 1)[:, np.newaxis]
    return Trajectory(
        observation=tree_map(lambda leaf: leaf[:, np.newaxis], observation),
        action=tree_map(lambda leaf: leaf[:, np.newaxis], action),
        reward=reward[:, np.newaxis],
        terminated=terminated[:, np.newaxis],
        truncated=truncated[:, np.newaxis],
        is_first=numbers == 0,
        is_last=numbers == steps,
    )


@contextlib.contextmanager
def _damage_told(*, what: str) -> Iterator[None]:
    """Say of an error of the libraries what could not be read."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{what} is damaged, and cannot be read: {error}") from error


def _check_values(*, where: str, values: Tree, spec: SpaceSpec) -> None:
    """Refuse what would be learned from without an error: no numbers, other shapes, options that are not there."""
    for leaf, part in zip(spec.leaves(), spec.parts(values), strict=True):
        if part.shape[1:] != leaf.shape:
            raise ValueError(f"{where} of the shape {part.shape[1:]}, where its space says {leaf.shape}.")
        if not np.isfinite(part).all():
            raise ValueError(f"{where} that are no finite numbers; leave it out.")
        if isinstance(leaf, DiscreteLeaf) and not ((part >= 0) & (part < np.reshape(leaf.sizes, leaf.shape))).all():
            raise ValueError(f"{where} that are none of the options of its space, {leaf}.")


def _require_same(*, id: str, role: Role, found: SpaceSpec, expected: SpaceSpec | None) -> None:
    """Refuse a dataset of other spaces. The dtype on the environment's side may differ: it is gone on the inside."""
    if expected is None or _inside(found) == _inside(expected):
        return
    raise ValueError(
        f"the dataset {id!r} has other {role}s than the environment: recorded are {found.tree}, and the environment "
        f"has {expected.tree}. Bounds must agree too, since they say what -1 and 1 stand for. Use the "
        "environment, with "
        "the wrappers, that the dataset was recorded in."
    )


def _inside(spec: SpaceSpec) -> Tree:
    def without_dtype(leaf: Leaf) -> Leaf:
        return dataclasses.replace(leaf, outside_dtype="") if isinstance(leaf, BoxLeaf | DiscreteLeaf) else leaf

    return spec.map_leaves(without_dtype)

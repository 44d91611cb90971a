"""Writing episodes as a Minari dataset: checked first, written aside, and put into place in one step."""

import dataclasses
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from triax.datasets.files import data_folder
from triax.spaces import SetLeaf, UnsupportedSpace, space_spec


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedEpisode:
    """An episode as the environment has it, in its own units.

    :ivar observations: T + 1 members of the observation space, the final one included.
    :ivar actions: T members of the action space, as the environment took them.
    :ivar rewards: T rewards.
    :ivar terminated: whether the last action ended the episode for good.
    :ivar truncated: whether the episode was cut off after the last action.
    :ivar seed: with which the environment was reset; None if it is not known.
    :ivar physics: the values of the episode's randomised parameters, by their names.
    """

    observations: Sequence[Any]
    actions: Sequence[Any]
    rewards: Sequence[float]
    terminated: bool
    truncated: bool
    seed: int | None = None
    physics: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetNotes:
    """What people should know of a dataset.

    :ivar description: what it is.
    :ivar algorithm: who acted.
    :ivar author: who recorded it.
    :ivar author_email: how to reach them.
    :ivar code: where the code is that recorded it.
    :ivar random_return: the mean return of a random policy, by which Minari normalises scores.
    :ivar expert_return: the mean return of an expert, likewise.
    :ivar task: what was to be done, in words.
    """

    description: str | None = None
    algorithm: str | None = None
    author: str | None = None
    author_email: str | None = None
    code: str | None = None
    random_return: float | None = None
    expert_return: float | None = None
    task: str | None = None


def write_dataset(
    *,
    id: str,
    episodes: Sequence[RecordedEpisode],
    environment: "gymnasium.Env[Any, Any] | None" = None,
    observation_space: "gymnasium.Space[Any] | None" = None,
    action_space: "gymnasium.Space[Any] | None" = None,
    root: Path | None = None,
    notes: DatasetNotes | None = None,
) -> Path:
    """Write a new dataset.

    :param id: its id, ending in a version such as ``-v0``.
    :param episodes: what was recorded.
    :param environment: where; its spaces and its spec, if it has one, are noted in the dataset.
    :param observation_space: in the place of the environment's.
    :param action_space: in the place of the environment's.
    :param root: the folder of all datasets; None: the one that Minari takes.
    :param notes: what people should know of it.
    :return: the dataset's folder.
    :raises FileExistsError: if there is one of this id.
    :raises UnsupportedSpace: if a space has no inside form, so that the dataset could not be read again, or has a set.
    :raises ValueError: if the id is malformed, or an episode does not fit the spaces.
    """
    folder = data_folder(id=id, root=root).parent
    if folder.exists():
        raise FileExistsError(f"there is a dataset {id!r} at {folder} already; give a new version, or remove it first.")
    if environment is not None:
        observation_space = environment.observation_space if observation_space is None else observation_space
        action_space = environment.action_space if action_space is None else action_space
    if observation_space is None or action_space is None:
        raise ValueError("a dataset needs an environment, or both an observation space and an action space.")
    check_recordable(observation_space=observation_space, action_space=action_space)
    if not episodes:
        raise ValueError(f"the dataset {id!r} would have no episodes; record at least one.")
    buffers = [
        _buffer(number=number, episode=episode, observation_space=observation_space, action_space=action_space)
        for number, episode in enumerate(episodes)
    ]
    from minari.data_collector.episode_buffer import EpisodeBuffer  # slow to import
    from minari.dataset.minari_storage import MinariStorage

    folder.parent.mkdir(parents=True, exist_ok=True)
    # Hidden from listings; a recording that is killed leaves no dataset, rather than half of one.
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        storage = MinariStorage.new(
            aside / "data", observation_space=observation_space, action_space=action_space, jpeg_encoding=False
        )
        storage.update_metadata(_metadata(id=id, episodes=episodes, environment=environment, notes=notes))
        storage.update_episodes([EpisodeBuffer(**buffer) for buffer in buffers])
        storage.update_episode_metadata(
            [{f"physics/{name}": float(value) for name, value in episode.physics.items()} for episode in episodes]
        )
        aside.chmod(0o755)
        os.rename(aside, folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return folder


def check_recordable(*, observation_space: "gymnasium.Space[Any]", action_space: "gymnasium.Space[Any]") -> None:
    """Refuse spaces whose members a dataset cannot hold, or that could not be read again.

    :param observation_space: the environment's.
    :param action_space: likewise.
    :raises UnsupportedSpace: if one of them has no inside form, or a set, whose size changes.
    """
    space_spec(space=action_space, role="action")
    spec = space_spec(space=observation_space, role="observation")
    for path, leaf in zip(spec.paths(), spec.leaves(), strict=True):
        if isinstance(leaf, SetLeaf):
            raise UnsupportedSpace(
                f"datasets hold arrays of one shape, and the observation has a part of variable size, {path!r}; record "
                "an environment that gives a padded Box, or let an expert teach beside the environment (DAgger)."
            )


def _buffer(
    *,
    number: int,
    episode: RecordedEpisode,
    observation_space: "gymnasium.Space[Any]",
    action_space: "gymnasium.Space[Any]",
) -> dict[str, Any]:
    """Check an episode and stack it, in the form of Minari's ``EpisodeBuffer``."""
    steps = len(episode.rewards)
    if steps == 0 or len(episode.actions) != steps or len(episode.observations) != steps + 1:
        raise ValueError(
            f"episode {number} has {len(episode.observations)} observations, {len(episode.actions)} actions and "
            f"{steps} rewards; an episode of T steps, at least one, has T actions, T rewards and T + 1 observations."
        )
    if not np.isfinite(np.asarray(episode.rewards, np.float64)).all():
        raise ValueError(f"episode {number} has a reward that is not a finite number.")
    last = np.arange(steps) == steps - 1
    return {
        "seed": episode.seed,
        "observations": _stack(space=observation_space, values=episode.observations, where=f"episode {number}"),
        "actions": _stack(space=action_space, values=episode.actions, where=f"episode {number}"),
        "rewards": np.asarray(episode.rewards, np.float64),
        "terminations": last & episode.terminated,
        "truncations": last & episode.truncated,
        "infos": {},
    }


def _stack(*, space: "gymnasium.Space[Any]", values: Sequence[Any], where: str) -> Any:
    """Stack members of a space leaf by leaf, in the leaves' own dtypes."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {
            key: _stack(space=part, values=[value[key] for value in values], where=f"{where}[{key!r}]")
            for key, part in space.spaces.items()
        }
    if isinstance(space, gymnasium.spaces.Tuple):
        return tuple(
            _stack(space=part, values=[value[index] for value in values], where=f"{where}[{index}]")
            for index, part in enumerate(space.spaces)
        )
    stacked: npt.NDArray[Any] = np.stack([np.asarray(value) for value in values])
    if stacked.shape[1:] != space.shape or not np.can_cast(stacked.dtype, np.dtype(space.dtype), casting="same_kind"):
        raise ValueError(
            f"{where} has values of {stacked.dtype}{stacked.shape[1:]}, where the space is {space}; record what the "
            "environment gave and took."
        )
    return stacked.astype(space.dtype)


def _metadata(
    *,
    id: str,
    episodes: Sequence[RecordedEpisode],
    environment: "gymnasium.Env[Any, Any] | None",
    notes: DatasetNotes | None,
) -> dict[str, Any]:
    """Write down what Minari's own functions would, by its names, and the mean return."""
    notes = notes or DatasetNotes()
    returns = [float(np.sum(episode.rewards)) for episode in episodes]
    known = {
        "description": notes.description,
        "algorithm_name": notes.algorithm,
        "author": {notes.author} if notes.author else None,
        "author_email": {notes.author_email} if notes.author_email else None,
        "code_permalink": notes.code,
        "ref_min_score": notes.random_return,
        "ref_max_score": notes.expert_return,
        "task": notes.task,
        "env_spec": _environment_spec(environment),
    }
    return {
        "dataset_id": id,
        "minari_version": importlib.metadata.version("minari"),
        "mean_return": float(np.mean(returns)),
        **{name: value for name, value in known.items() if value is not None},
    }


def _environment_spec(environment: "gymnasium.Env[Any, Any] | None") -> str | None:
    """Describe the environment as Gymnasium does, if it can be."""
    if environment is None or environment.spec is None:
        return None
    try:
        return environment.spec.to_json()
    except (TypeError, ValueError):  # made with arguments that have no JSON form
        return None

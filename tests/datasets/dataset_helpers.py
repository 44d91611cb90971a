"""Made-up recordings whose rows tell where they come from."""

from pathlib import Path

import gymnasium
import numpy as np

from triax.datasets import Dataset, DatasetConfig, RecordedEpisode, load_dataset, write_dataset

OBSERVATION_SPACE = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
ACTION_SPACE = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)


def record(*, lengths: list[int], terminated: bool = True) -> list[RecordedEpisode]:
    """Episode e, step t: observation (e, t), action t / 10, reward 10 e + t."""
    return [
        RecordedEpisode(
            observations=[np.array([episode, step], np.float64) for step in range(length + 1)],
            actions=[np.array([step / 10], np.float32) for step in range(length)],
            rewards=[10.0 * episode + step for step in range(length)],
            terminated=terminated,
            truncated=not terminated,
            seed=episode,
        )
        for episode, length in enumerate(lengths)
    ]


def write(root: Path, *, id: str = "made/up-v0", episodes: list[RecordedEpisode]) -> Path:
    return write_dataset(
        id=id, episodes=episodes, observation_space=OBSERVATION_SPACE, action_space=ACTION_SPACE, root=root
    )


def made_dataset(root: Path, *, lengths: list[int], terminated: bool = True, task: int = 0) -> Dataset:
    write(root, id=f"made/up-v{task}", episodes=record(lengths=lengths, terminated=terminated))
    return load_dataset(DatasetConfig(id=f"made/up-v{task}", root=root, task=task))


def episode_names(dataset: Dataset) -> list[int]:
    """The first component of each episode's first observation."""
    first = np.asarray(dataset.trajectory.is_first)[:, 0]
    return [int(name) for name in dataset.trajectory.observation[first, 0, 0]]

"""Recorded episodes in inside form, one after the other, and how they are selected and split: by whole episodes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from triax.random import derive_generator
from triax.spaces import SpaceSpec
from triax.trees import tree_map
from triax.types import Trajectory

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Recorded episodes.

    :ivar trajectory: the episodes as rows, B = 1; the last observation is the last episode's final one.
    :ivar observation_spec: the observations.
    :ivar action_spec: the actions.
    :ivar tasks: the task of each episode.
    """

    trajectory: Trajectory
    observation_spec: SpaceSpec
    action_spec: SpaceSpec
    tasks: tuple[int, ...]

    def __post_init__(self) -> None:
        starts, ends = self._bounds()
        if not (len(starts) == len(ends) == len(self.tasks) > 0 and (starts < ends).all()):
            raise ValueError(
                f"a dataset needs whole episodes and a task for each: it has {len(starts)} first rows, {len(ends)} "
                f"final rows and {len(self.tasks)} tasks."
            )

    @property
    def episodes(self) -> int:
        """How many episodes there are."""
        return len(self.tasks)

    @property
    def steps(self) -> int:
        """How many actions were taken in all of them."""
        return int(np.sum(self.trajectory.valid))

    @property
    def returns(self) -> Array:
        """The undiscounted return of each episode, [episodes], float64."""
        starts, ends = self._bounds()
        # The last episode's final row has no reward: it is the observation behind the last row.
        totals = np.concatenate([[0.0], np.cumsum(np.asarray(self.trajectory.reward[:, 0], np.float64))])
        result: Array = totals[ends] - totals[starts]
        return result

    @property
    def row_tasks(self) -> Array:
        """The task of each row, [T, 1], int32."""
        starts, ends = self._bounds()
        return np.repeat(np.asarray(self.tasks, np.int32), ends - starts + 1)[:-1, np.newaxis]

    def select(self, *, episodes: Sequence[int]) -> "Dataset":
        """Take some episodes, in the order in which they are stored.

        :param episodes: their numbers, each at most once.
        :return: a dataset of copies.
        :raises ValueError: if a number is out of range or twice there, or there is none.
        """
        numbers = sorted(int(number) for number in episodes)
        if not numbers or len(set(numbers)) < len(numbers) or numbers[0] < 0 or numbers[-1] >= self.episodes:
            raise ValueError(
                f"episodes={list(episodes)} cannot be selected from {self.episodes}; name at least one, each once."
            )
        starts, ends = self._bounds()
        rows = np.concatenate([np.arange(starts[number], ends[number] + 1) for number in numbers])
        acting = rows[:-1]
        stored = self.trajectory
        return dataclasses.replace(
            self,
            trajectory=Trajectory(
                observation=tree_map(lambda leaf: leaf[rows], stored.observation),
                action=tree_map(lambda leaf: leaf[acting], stored.action),
                reward=stored.reward[acting],
                terminated=stored.terminated[acting],
                truncated=stored.truncated[acting],
                is_first=stored.is_first[rows],
                is_last=stored.is_last[rows],
            ),
            tasks=tuple(self.tasks[number] for number in numbers),
        )

    def first(self, *, transitions: int) -> "Dataset":
        """Take so many steps from the start. The episode in which they end is cut off there: it is truncated.

        :param transitions: how many.
        :return: a dataset of copies.
        :raises ValueError: if there are not so many.
        """
        if not 1 <= transitions <= self.steps:
            raise ValueError(f"transitions is {transitions}, but the dataset has {self.steps}; choose from 1 to that.")
        starts, ends = self._bounds()
        before = np.concatenate([[0], np.cumsum(ends - starts)])
        last = int(np.searchsorted(before, transitions)) - 1
        whole = self.select(episodes=range(last + 1))
        rows = int(starts[last]) + transitions - int(before[last])
        stored = tree_map(lambda leaf: leaf[:rows], whole.trajectory)
        truncated, is_last = stored.truncated.copy(), whole.trajectory.is_last[: rows + 1].copy()
        truncated[-1] |= ~np.asarray(stored.terminated[-1])
        is_last[-1] = True
        return dataclasses.replace(
            whole,
            trajectory=Trajectory(
                observation=tree_map(lambda leaf: leaf[: rows + 1], whole.trajectory.observation),
                action=stored.action,
                reward=stored.reward,
                terminated=stored.terminated,
                truncated=truncated,
                is_first=whole.trajectory.is_first[: rows + 1],
                is_last=is_last,
            ),
        )

    def statistics(self) -> "DatasetStatistics":
        """Describe what was recorded.

        :return: numbers of episodes and steps, returns and lengths.
        """
        starts, ends = self._bounds()
        lengths, returns = ends - starts, self.returns
        numbers, counts = np.unique(np.asarray(self.tasks), return_counts=True)
        return DatasetStatistics(
            episodes=self.episodes,
            steps=self.steps,
            mean_return=float(returns.mean()),
            return_deviation=float(returns.std()),
            lowest_return=float(returns.min()),
            highest_return=float(returns.max()),
            shortest_episode=int(lengths.min()),
            longest_episode=int(lengths.max()),
            terminated_share=float(np.sum(self.trajectory.terminated)) / self.episodes,
            episodes_of_task=dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
        )

    def subsample(self, *, episodes: int, seed: int | None = None) -> "Dataset":
        """Take so many episodes.

        :param episodes: how many.
        :param seed: of the choice; None: the first ones.
        :return: a dataset of copies.
        :raises ValueError: if there are fewer.
        """
        return self.select(episodes=choose_episodes(count=self.episodes, episodes=episodes, seed=seed))

    def split(self, *, held_out_fraction: float, seed: int) -> "DatasetSplit":
        """Split by whole episodes: rows of one episode are too alike to judge by one another.

        :param held_out_fraction: share of the episodes to hold out, in (0, 1); each part gets at least one.
        :param seed: the split is a function of it and of the number of episodes.
        :return: both parts.
        :raises ValueError: if the fraction is out of range or there is one episode only.
        """
        if not 0.0 < held_out_fraction < 1.0:
            raise ValueError(f"held_out_fraction is {held_out_fraction}; it must lie between 0 and 1.")
        if self.episodes < 2:
            raise ValueError(
                f"the dataset has {self.episodes} episode, which cannot be split; set held_out_fraction to 0 or record "
                "more episodes."
            )
        held_out = min(max(round(held_out_fraction * self.episodes), 1), self.episodes - 1)
        order = derive_generator(seed=seed, name=("dataset", "split")).permutation(self.episodes)
        return DatasetSplit(
            training=self.select(episodes=order[held_out:].tolist()),
            held_out=self.select(episodes=order[:held_out].tolist()),
        )

    def _bounds(self) -> tuple[Array, Array]:
        """The rows of the first and of the final observation of each episode."""
        first, last = np.asarray(self.trajectory.is_first), np.asarray(self.trajectory.is_last)
        return np.flatnonzero(first[:, 0]), np.flatnonzero(last[:, 0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetStatistics:
    """What a dataset holds, in numbers. Returns are undiscounted.

    :ivar episodes: how many.
    :ivar steps: actions taken in all of them.
    :ivar mean_return: over episodes.
    :ivar return_deviation: standard deviation of the returns.
    :ivar lowest_return: of an episode.
    :ivar highest_return: of an episode.
    :ivar shortest_episode: steps.
    :ivar longest_episode: steps.
    :ivar terminated_share: of the episodes; the others were cut off.
    :ivar episodes_of_task: how many episodes each task has.
    """

    episodes: int
    steps: int
    mean_return: float
    return_deviation: float
    lowest_return: float
    highest_return: float
    shortest_episode: int
    longest_episode: int
    terminated_share: float
    episodes_of_task: dict[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetSplit:
    """A dataset in two parts.

    :ivar training: what is learned from.
    :ivar held_out: what the learning is judged by.
    """

    training: Dataset
    held_out: Dataset


def choose_episodes(*, count: int, episodes: int, seed: int | None) -> list[int]:
    """Choose episodes.

    :param count: how many there are.
    :param episodes: how many to choose.
    :param seed: of the choice; None: the first ones.
    :return: numbers in rising order.
    :raises ValueError: if there are not so many.
    """
    if not 1 <= episodes <= count:
        raise ValueError(f"episodes is {episodes}, but the dataset has {count}; choose from 1 to {count}.")
    if seed is None:
        return list(range(episodes))
    order = derive_generator(seed=seed, name=("dataset", "subsample")).permutation(count)
    return sorted(int(number) for number in order[:episodes])


def join_datasets(datasets: Sequence[Dataset]) -> Dataset:
    """Put datasets of the same spaces one behind the other, for learning of several tasks.

    :param datasets: at least one; each brings its tasks along.
    :return: the joined dataset.
    :raises ValueError: if there is none or their spaces differ.
    """
    if not datasets:
        raise ValueError("there are no datasets to join; give at least one.")
    first = datasets[0]
    for number, other in enumerate(datasets):
        if (other.observation_spec, other.action_spec) != (first.observation_spec, first.action_spec):
            raise ValueError(
                f"dataset {number} has other spaces than dataset 0: observations {other.observation_spec}, actions "
                f"{other.action_spec}; only datasets of the same spaces can be joined."
            )
    tasks = tuple(task for dataset in datasets for task in dataset.tasks)
    return dataclasses.replace(
        first, trajectory=join_trajectories([dataset.trajectory for dataset in datasets]), tasks=tasks
    )


def join_trajectories(parts: Sequence[Trajectory]) -> Trajectory:
    """Put trajectories of whole episodes one behind the other.

    :param parts: each ends in a final observation; B = 1.
    :return: the joined rows.
    """

    def join(*leaves: Array) -> Array:
        return np.concatenate(leaves)

    def join_rows(*leaves: Array) -> Array:
        # The final observation of each part gets a row of zeros, but for the very last.
        return np.concatenate([padded for leaf in leaves for padded in (leaf, np.zeros_like(leaf[:1]))])[:-1]

    return Trajectory(
        observation=tree_map(join, *(part.observation for part in parts)),
        action=tree_map(join_rows, *(part.action for part in parts)),
        reward=join_rows(*(np.asarray(part.reward) for part in parts)),
        terminated=join_rows(*(np.asarray(part.terminated) for part in parts)),
        truncated=join_rows(*(np.asarray(part.truncated) for part in parts)),
        is_first=join(*(np.asarray(part.is_first) for part in parts)),
        is_last=join(*(np.asarray(part.is_last) for part in parts)),
    )

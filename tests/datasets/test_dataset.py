"""Datasets in memory: rows, returns, selection, splitting by whole episodes, joining."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from dataset_helpers import episode_names, made_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triax.datasets import Dataset, join_datasets
from triax.trees import replace


def same(left: Dataset, right: Dataset) -> bool:
    pairs = zip(jax.tree.leaves(left.trajectory), jax.tree.leaves(right.trajectory), strict=True)
    return left.tasks == right.tasks and all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("five"), lengths=[2, 1, 3, 2, 4])


def test_rows_are_laid_out_as_documented(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path, lengths=[2, 1])
    rows = dataset.trajectory
    # Episode 0: (0,0) (0,1) and the final (0,2); episode 1: (1,0) and the final (1,1), which is behind the last row.
    assert rows.observation[:, 0].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]
    assert rows.reward[:, 0].tolist() == [0, 1, 0, 10]
    # Actions in [-2, 2] become [-1, 1]: 0.1 is 0.05 inside; the final row has none.
    np.testing.assert_allclose(rows.action[:, 0, 0], [0.0, 0.05, 0.0, 0.0], rtol=1e-6)
    assert rows.terminated[:, 0].tolist() == [False, True, False, True]
    assert rows.truncated[:, 0].tolist() == [False] * 4
    assert rows.is_first[:, 0].tolist() == [True, False, False, True, False]
    assert rows.is_last[:, 0].tolist() == [False, False, True, False, True]
    assert rows.valid[:, 0].tolist() == [True, True, False, True]
    assert (dataset.episodes, dataset.steps, dataset.tasks) == (2, 3, (0, 0))
    assert dataset.row_tasks.shape == (4, 1)
    assert dataset.returns.tolist() == [1.0, 10.0]


def test_returns(five: Dataset) -> None:
    # Episode e of n steps: 10 e n + n (n − 1) / 2.
    assert five.returns.tolist() == [1.0, 10.0, 63.0, 61.0, 166.0]


def test_select_takes_whole_episodes(five: Dataset) -> None:
    part = five.select(episodes=[3, 1])
    assert episode_names(part) == [1, 3]
    assert part.trajectory.observation[:, 0].tolist() == [[1, 0], [1, 1], [3, 0], [3, 1], [3, 2]]
    assert part.trajectory.reward[:, 0].tolist() == [10, 0, 30, 31]
    assert same(five.select(episodes=range(5)), five)
    for wrong in ([], [5], [-1], [1, 1]):
        with pytest.raises(ValueError, match="cannot be selected"):
            five.select(episodes=wrong)


def test_subsample(five: Dataset) -> None:
    assert episode_names(five.subsample(episodes=2)) == [0, 1]
    assert same(five.subsample(episodes=2, seed=3), five.subsample(episodes=2, seed=3))
    assert len({tuple(episode_names(five.subsample(episodes=2, seed=seed))) for seed in range(20)}) > 3
    for wrong in (0, 6):
        with pytest.raises(ValueError, match=f"episodes is {wrong}, but the dataset has 5"):
            five.subsample(episodes=wrong)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fraction=st.floats(0.001, 0.999), seed=st.integers(0, 2**40))
def test_a_split_is_a_partition_that_leaves_nobody_empty(five: Dataset, fraction: float, seed: int) -> None:
    parts = five.split(held_out_fraction=fraction, seed=seed)
    training, held_out = episode_names(parts.training), episode_names(parts.held_out)
    assert sorted(training + held_out) == [0, 1, 2, 3, 4]
    assert len(held_out) == min(max(round(5 * fraction), 1), 4)
    again = five.split(held_out_fraction=fraction, seed=seed)
    assert same(parts.training, again.training)
    assert same(parts.held_out, again.held_out)


def test_splits_differ_by_seed_and_refuse_nonsense(five: Dataset) -> None:
    splits = {tuple(episode_names(five.split(held_out_fraction=0.4, seed=seed).held_out)) for seed in range(30)}
    assert len(splits) > 5  # of 10 possible ones
    for wrong in (0.0, 1.0, -0.5):
        with pytest.raises(ValueError, match="held_out_fraction is"):
            five.split(held_out_fraction=wrong, seed=0)
    with pytest.raises(ValueError, match="1 episode, which cannot be split"):
        five.subsample(episodes=1).split(held_out_fraction=0.5, seed=0)


def test_datasets_are_joined_with_their_tasks(tmp_path: Path) -> None:
    left, right = made_dataset(tmp_path, lengths=[1, 2], task=3), made_dataset(tmp_path, lengths=[2], task=7)
    joined = join_datasets([left, right])
    assert joined.tasks == (3, 3, 7)
    assert joined.row_tasks[:, 0].tolist() == [3] * 5 + [7] * 2
    assert joined.trajectory.reward[:, 0].tolist() == [0, 0, 10, 11, 0, 0, 1]
    assert same(joined.select(episodes=[0, 1]), left)
    assert same(joined.select(episodes=[2]), right)
    with pytest.raises(ValueError, match="dataset 1 has other spaces"):
        join_datasets([left, dataclasses.replace(right, action_spec=right.observation_spec)])
    with pytest.raises(ValueError, match="no datasets to join"):
        join_datasets([])


def test_rows_without_whole_episodes_are_refused(five: Dataset) -> None:
    cut = np.zeros_like(five.trajectory.is_last)
    with pytest.raises(ValueError, match="5 first rows, 0 final rows and 5 tasks"):
        dataclasses.replace(five, trajectory=replace(five.trajectory, is_last=cut))

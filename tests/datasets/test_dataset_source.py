"""Batches of datasets: the replay's own sampling over recorded rows, whole passes, mixtures, checkpoints."""

from pathlib import Path

import numpy as np
import pytest
from dataset_helpers import made_dataset

from triax.datasets import DatasetSource, join_datasets
from triax.replay import BatchSource, MixturePart, MixtureSource, NothingToSample, ReplayTooLarge
from triax.trees import to_numpy
from triax.types import Sequences, SequenceUnit, Transitions, TransitionUnit

UNIT = TransitionUnit(discount=0.5)


def draw(source: BatchSource, *, count: int = 400) -> Transitions:
    batch = source.sample(unit=UNIT, batch_size=4, batches=count // 4, generator=np.random.default_rng(0))
    assert isinstance(batch, Transitions)
    return batch


@pytest.mark.parametrize("terminated", [True, False])
def test_trap_11_every_recorded_step_is_drawn_and_ends_as_recorded(tmp_path: Path, terminated: bool) -> None:
    source = DatasetSource(made_dataset(tmp_path, lengths=[2, 3], terminated=terminated))
    assert isinstance(source, BatchSource)
    assert len(source) == 5
    batch = draw(source)
    names, times = np.reshape(batch.observation, (-1, 2)).T
    np.testing.assert_array_equal(np.reshape(batch.next_observation, (-1, 2)), np.stack([names, times + 1], axis=1))
    np.testing.assert_array_equal(np.reshape(batch.reward, -1), 10 * names + times)
    # Episode 0 ends with step 1, episode 1 with step 2.
    last = times == names + 1
    np.testing.assert_array_equal(np.reshape(batch.discount, -1), np.where(last & terminated, 0.0, 0.5))
    assert {(int(name), int(time)) for name, time in zip(names, times, strict=True)} == {
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (1, 2),
    }


def test_tasks_mark_the_rows(tmp_path: Path) -> None:
    both = [made_dataset(tmp_path, lengths=[2], task=4), made_dataset(tmp_path, lengths=[3, 2], task=6)]
    batch = draw(DatasetSource(join_datasets(both)))
    # Slots: rows 0, 1, 2 are of the first dataset (2 is the final row), rows 3 and on of the second.
    np.testing.assert_array_equal(batch.origin.task, np.where(batch.origin.slot < 3, 4, 6))


def test_everything_is_every_step_once(tmp_path: Path) -> None:
    source = DatasetSource(made_dataset(tmp_path, lengths=[2, 3, 1]))
    batch = source.everything(unit=TransitionUnit(discount=0.5, steps=2))
    assert isinstance(batch, Transitions)
    assert batch.observation.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 0]]
    # Two steps: 0 + 0.5·1; 1; 10 + 0.5·11; 11 + 0.5·12; 12; 20.
    assert batch.reward.tolist() == [0.5, 1.0, 15.5, 17.0, 12.0, 20.0]
    assert batch.weight.tolist() == [1.0] * 6


def test_everything_in_pieces_trains_on_every_row_once_after_the_burn_in(tmp_path: Path) -> None:
    source = DatasetSource(made_dataset(tmp_path, lengths=[5, 2]))
    plain = source.everything(unit=SequenceUnit(length=2))
    assert isinstance(plain, Sequences)
    # Episode 0: steps 0–1, 2–3, and 4 alone; episode 1: steps 0–1.
    assert plain.rows.observation[0].tolist() == [[0, 0], [0, 2], [0, 4], [1, 0]]
    assert np.asarray(plain.mask).T.tolist() == [[True, True], [True, True], [True, False], [True, True]]
    assert plain.mask.sum() == 7
    # With a burn-in of 1, pieces of 3 begin every 2 rows: 0–2 and 2–4 of episode 0. From row 4, nothing would be left.
    burnt = source.everything(unit=SequenceUnit(length=3, burn_in=1))
    assert isinstance(burnt, Sequences)
    assert burnt.rows.observation[0].tolist() == [[0, 0], [0, 2], [1, 0]]
    assert burnt.mask[1:].sum() == 4 + 1
    whole = source.everything(unit=SequenceUnit(length=4, whole_episodes=True))
    assert isinstance(whole, Sequences)
    assert whole.rows.observation[0].tolist() == [[0, 0], [1, 0]]
    with pytest.raises(NothingToSample):
        source.everything(unit=SequenceUnit(length=6, burn_in=5))


def test_plans_are_checked(tmp_path: Path) -> None:
    source = DatasetSource(made_dataset(tmp_path, lengths=[2]))
    source.check_plan(unit=UNIT, batch_size=1000)  # drawn with replacement: a single demonstration is enough
    batch = source.sample(unit=UNIT, batch_size=1000, batches=1, generator=np.random.default_rng(0))
    assert batch.weight.shape == (1, 1000)
    with pytest.raises(ValueError, match="batch_size is 0"):
        source.check_plan(unit=UNIT, batch_size=0)
    with pytest.raises(ValueError, match=r"burn_in is 2 and length is 2"):
        source.check_plan(unit=SequenceUnit(length=2, burn_in=2), batch_size=1)


def test_a_checkpoint_notices_another_dataset(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "a", lengths=[2, 2])
    state = to_numpy(DatasetSource(dataset).state())
    DatasetSource(made_dataset(tmp_path / "b", lengths=[2, 2])).restore(state)
    with pytest.raises(ValueError, match=r"2 episodes of 4 steps in all .* this has 1 of 2"):
        DatasetSource(dataset.subsample(episodes=1)).restore(state)
    with pytest.raises(ValueError, match="not the one that the run began with"):
        DatasetSource(made_dataset(tmp_path / "c", lengths=[2, 2], terminated=False)).restore(state)


def test_a_mixture_of_two_datasets(tmp_path: Path) -> None:
    parts = tuple(
        MixturePart(source=DatasetSource(made_dataset(tmp_path, lengths=[2, 3], task=task)), rows=rows)
        for task, rows in ((0, 3), (1, 1))
    )
    mixed = MixtureSource(parts=parts)
    batch = draw(mixed)
    np.testing.assert_array_equal(batch.origin.source, np.tile([0, 0, 0, 1], (100, 1)))
    np.testing.assert_array_equal(batch.origin.task, batch.origin.source)
    mixed.restore(to_numpy(mixed.state()))


def test_a_dataset_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = made_dataset(tmp_path, lengths=[2])
    monkeypatch.setattr("triax.replay.replay.available_bytes", lambda: 10)
    with pytest.raises(ReplayTooLarge):
        DatasetSource(dataset)

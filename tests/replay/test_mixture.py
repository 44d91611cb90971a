"""Mixtures: exact shares in every batch, sources marked, feedback to the source that the rows came from."""

import numpy as np
import numpy.typing as npt
import pytest
from replay_helpers import insert_stream, make_replay, make_stream

from triax.replay import BatchSource, MixturePart, MixtureSource, Replay, UniformSampler
from triax.trees import to_numpy
from triax.types import Feedback, Sequences, SequenceUnit, Transitions, TransitionUnit, Unit

UNIT = TransitionUnit(discount=0.9)


class ListeningSampler(UniformSampler):
    """Uniform, but remembers the priorities that it was given."""

    def __init__(self, *, slots: int) -> None:
        super().__init__(slots=slots)
        self.heard: list[tuple[int, float]] = []

    @property
    def uses_feedback(self) -> bool:
        return True

    def feedback(self, *, slots: npt.NDArray[np.int64], priorities: npt.NDArray[np.floating]) -> None:
        self.heard += list(zip(slots.tolist(), priorities.tolist(), strict=True))


def source(*, offset: int) -> tuple[Replay, ListeningSampler]:
    sampler = ListeningSampler(slots=0)
    replay = make_replay(capacity=30, sampler=lambda *, slots: sampler)
    rows = make_stream(lengths=[3, 3], terminated=[True, False])
    for row in rows:
        row.number += offset
    insert_stream(replay, rows)
    return replay, sampler


def mixture() -> MixtureSource:
    return MixtureSource(
        parts=(MixturePart(source=source(offset=0)[0], rows=5), MixturePart(source=source(offset=100)[0], rows=3))
    )


def test_all_sources_are_batch_sources() -> None:
    assert isinstance(mixture(), BatchSource)
    assert isinstance(make_replay(), BatchSource)


@pytest.mark.parametrize("unit", [UNIT, SequenceUnit(length=4)])
def test_every_batch_holds_exact_shares(unit: Unit) -> None:
    batch = mixture().sample(unit=unit, batch_size=8, batches=6, generator=np.random.default_rng(0))
    expected = np.tile([0, 0, 0, 0, 0, 1, 1, 1], (6, 1))
    np.testing.assert_array_equal(batch.origin.source, expected)
    if isinstance(batch, Transitions):
        numbers = batch.observation[..., 0]
        np.testing.assert_array_equal(batch.next_observation[..., 0], numbers + 1)
        assert batch.weight.shape == batch.reward.shape == (6, 8)
    else:
        numbers = batch.rows.observation[:, 0, :, 0]
        assert batch.rows.observation.shape == (6, 5, 8, 2)
        assert batch.mask.shape == (6, 4, 8)
        assert batch.weight.shape == (6, 8)
    np.testing.assert_array_equal(numbers >= 100, expected == 1)


def test_feedback_finds_its_source() -> None:
    (left, heard_left), (right, heard_right) = source(offset=0), source(offset=100)
    mixed = MixtureSource(parts=(MixturePart(source=left, rows=5), MixturePart(source=right, rows=3)))
    assert mixed.uses_feedback
    batch = mixed.sample(unit=UNIT, batch_size=8, batches=1, generator=np.random.default_rng(0))
    flat = to_numpy(batch)
    origin = type(flat.origin)(
        source=flat.origin.source[0],
        task=flat.origin.task[0],
        slot=flat.origin.slot[0],
        generation=flat.origin.generation[0],
        policy_version=flat.origin.policy_version[0],
    )
    mixed.feedback(feedback=Feedback(priority=np.arange(8, dtype=np.float32), origin=origin))
    slots = origin.slot.tolist()
    assert heard_left.heard == [(slots[i], float(i)) for i in range(5)]
    assert heard_right.heard == [(slots[i], float(i)) for i in range(5, 8)]


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"batch_size is 9, but the mixture's parts give 5 \+ 3 = 8"):
        mixture().check_plan(unit=UNIT, batch_size=9)
    with pytest.raises(ValueError, match="steps is 0"):
        mixture().check_plan(unit=TransitionUnit(discount=0.9, steps=0), batch_size=8)
    with pytest.raises(ValueError, match=r"rows=\[5, 0\]"):
        MixtureSource(
            parts=(MixturePart(source=make_replay(), rows=5), MixturePart(source=make_replay(), rows=0)),
        )


def test_the_state_is_that_of_all_sources() -> None:
    mixed, other = mixture(), mixture()
    first = mixed.sample(unit=SequenceUnit(length=2), batch_size=8, batches=1, generator=np.random.default_rng(0))
    other.restore(to_numpy(mixed.state()))
    second = other.sample(unit=SequenceUnit(length=2), batch_size=8, batches=1, generator=np.random.default_rng(0))
    assert isinstance(first, Sequences)
    assert isinstance(second, Sequences)
    np.testing.assert_array_equal(first.rows.observation, second.rows.observation)

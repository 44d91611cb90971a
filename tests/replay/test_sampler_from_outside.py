"""A prioritised sampler that the package does not know: it draws in proportion, learns, and survives a checkpoint."""

import jax
import numpy as np
import numpy.typing as npt
import pytest
from replay_helpers import Row, draw, insert_stream, make_replay, make_stream

from triax.replay import Candidates, Drawn, NothingToSample, Replay, Sampler
from triax.trees import Tree, tree_map
from triax.types import Feedback, RowOrigin, SequenceUnit, TransitionUnit

UNIT = TransitionUnit(discount=0.9)


class ProportionalSampler:
    """Schaul et al. 2016 (arXiv:1511.05952), α = 1, in O(n): P(i) = pᵢ / Σp, weights (1 / (n P(i)))^β / max."""

    def __init__(self, *, slots: int) -> None:
        self.priorities = np.zeros(slots, np.float64)

    @property
    def uses_feedback(self) -> bool:
        return True

    def inserted(self, *, slots: npt.NDArray[np.int64]) -> None:
        self.priorities[slots] = 1.0

    def removed(self, *, slots: npt.NDArray[np.int64]) -> None:
        self.priorities[slots] = 0.0

    def draw(self, *, batches: int, batch_size: int, candidates: Candidates, generator: np.random.Generator) -> Drawn:
        possible = np.flatnonzero(self.priorities)
        possible = possible[candidates.accepts(slots=possible)]
        if possible.size == 0:
            raise NothingToSample("every priority is zero")
        chances = self.priorities[possible] / self.priorities[possible].sum()
        chosen = generator.choice(possible.size, size=(batches, batch_size), p=chances)
        weights = 1.0 / (possible.size * chances[chosen])
        weights /= weights.max(axis=1, keepdims=True)
        return Drawn(slots=possible[chosen].astype(np.int64), weights=weights.astype(np.float32))

    def feedback(self, *, slots: npt.NDArray[np.int64], priorities: npt.NDArray[np.floating]) -> None:
        self.priorities[slots] = priorities

    def state(self) -> Tree:
        return {"priorities": self.priorities.copy()}

    def restore(self, state: Tree) -> None:
        self.priorities[:] = state["priorities"]


class ThoughtlessSampler(ProportionalSampler):
    """Draws final rows too, which is a mistake."""

    def draw(self, *, batches: int, batch_size: int, candidates: Candidates, generator: np.random.Generator) -> Drawn:
        shape = (batches, batch_size)
        return Drawn(slots=np.full(shape, 3, np.int64), weights=np.ones(shape, np.float32))


def prioritised(*, capacity: int = 10) -> Replay:
    replay = make_replay(capacity=capacity, sampler=ProportionalSampler)
    # Slots 0, 1, 2 are experience, 3 is the final row, 4 and 5 are experience, 6 is the final row.
    insert_stream(replay, make_stream(lengths=[3, 2], terminated=[True, True]))
    return replay


def test_it_is_a_sampler() -> None:
    assert isinstance(ProportionalSampler(slots=1), Sampler)


def test_feedback_changes_what_is_drawn() -> None:
    replay = prioritised()
    assert replay.uses_feedback
    batch = draw(replay, unit=UNIT, count=400)
    assert set(np.unique(batch.origin.slot)) == {0, 1, 2, 4, 5}
    # Priority 3 for slot 1, 1 for slot 4, none for the others: P = 3/4 and 1/4.
    priority = np.select([batch.origin.slot == 1, batch.origin.slot == 4], [3.0, 1.0], 0.0).astype(np.float32)
    replay.feedback(feedback=_stacked(priority, batch.origin))
    again = draw(replay, unit=UNIT, count=4000)
    slots = np.reshape(again.origin.slot, -1)
    assert set(np.unique(slots)) == {1, 4}  # never an item of priority zero (trap 15)
    # Standard deviation √(3/4 · 1/4 / 4000) = 0.007; five of them.
    assert np.mean(slots == 1) == pytest.approx(0.75, abs=0.035)
    # Weights: 1 / (2 · 3/4) = 2/3 and 1 / (2 · 1/4) = 2, over their largest: 1/3 and 1 where both are in the batch.
    both = (again.origin.slot == 4).any(axis=1)
    weights = np.where(again.origin.slot == 1, 1 / 3, 1.0)
    np.testing.assert_allclose(again.weight[both], weights[both], rtol=1e-6)


def _stacked(priority: npt.NDArray[np.float32], origin: RowOrigin) -> Feedback:
    # As a scan over updates gives it: with one more axis than the class says, which its checked constructor refuses.
    one = tree_map(lambda leaf: leaf[0], origin)
    feedback = Feedback(priority=np.zeros(priority.shape[1], np.float32), origin=one)
    leaves = [priority, *jax.tree.leaves(origin)]
    stacked: Feedback = jax.tree.unflatten(jax.tree.structure(feedback), leaves)
    return stacked


def test_feedback_to_rows_that_were_overwritten_is_dropped() -> None:
    replay = prioritised(capacity=6)  # a ring of 7 rows, of which slot 6 is the newest, final row
    batch = draw(replay, unit=UNIT, count=400)
    # Two rows of a new episode go to slots 6 → stays (it was final), 0, and the newest observation to slot 1.
    insert_stream(replay, [Row(number=n, is_first=n == 20) for n in (20, 21)])
    zero = np.zeros(batch.origin.slot.shape, np.float32)
    replay.feedback(feedback=_stacked(zero, batch.origin))
    # Slots 2, 4, 5 are still the rows that were drawn: their priority is zero now. Slot 0 holds a newer row, and the
    # priority 0 for the older one does not reach it. Slot 1 holds no experience at all.
    assert set(np.unique(draw(replay, unit=UNIT, count=400).origin.slot)) == {0}


def test_feedback_with_generations_of_now_is_taken() -> None:
    # Negative control of the test above: without the insertion between, the same feedback reaches every row.
    replay = prioritised(capacity=6)
    batch = draw(replay, unit=UNIT, count=400)
    replay.feedback(feedback=_stacked(np.zeros(batch.origin.slot.shape, np.float32), batch.origin))
    with pytest.raises(NothingToSample):
        draw(replay, unit=UNIT)


def test_generations_count_the_laps() -> None:
    replay = make_replay(capacity=4)  # a ring of 5 rows
    rows = [Row(number=n, is_first=n == 0) for n in range(20)]
    insert_stream(replay, rows[:4])
    assert set(np.unique(draw(replay, unit=UNIT).origin.generation)) == {1}
    insert_stream(replay, rows[3:9])
    # Rows 4 … 7 are stored; row 4 is in slot 4 of the first lap, rows 5, 6, 7 in slots 0, 1, 2 of the second.
    origin = draw(replay, unit=UNIT, count=400).origin
    pairs = set(zip(np.reshape(origin.slot, -1).tolist(), np.reshape(origin.generation, -1).tolist(), strict=True))
    assert pairs == {(4, 1), (0, 2), (1, 2), (2, 2)}


def test_a_negative_priority_is_refused() -> None:
    replay = prioritised()
    batch = draw(replay, unit=UNIT, count=4)
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="negative or not finite"):
            replay.feedback(feedback=_stacked(np.full((1, 4), wrong, np.float32), batch.origin))


def test_a_sampler_that_draws_final_rows_is_found_out() -> None:
    replay = make_replay(sampler=ThoughtlessSampler)
    insert_stream(replay, make_stream(lengths=[3, 2], terminated=[True, True]))
    with pytest.raises(ValueError, match="ThoughtlessSampler drew a slot that holds no experience"):
        draw(replay, unit=UNIT)


def test_pieces_can_be_drawn_by_priority_too() -> None:
    replay = prioritised()
    batch = replay.sample(unit=SequenceUnit(length=2), batch_size=4, batches=50, generator=np.random.default_rng(0))
    assert set(np.unique(batch.origin.slot)) == {0, 1, 2, 4, 5}


def test_a_checkpoint_holds_the_priorities() -> None:
    replay, other = prioritised(), make_replay(capacity=10, sampler=ProportionalSampler)
    batch = draw(replay, unit=UNIT, count=400)
    replay.feedback(feedback=_stacked(np.asarray(batch.origin.slot == 1, np.float32), batch.origin))
    other.restore(replay.state())
    assert set(np.unique(draw(other, unit=UNIT).origin.slot)) == {1}
    # The state is the sampler's own copy: what happens later does not change it.
    state = replay.state()
    insert_stream(replay, [Row(number=n, is_first=n == 20) for n in range(20, 23)])
    assert state.sampler["priorities"].sum() == 1.0


class CountingSampler(ProportionalSampler):
    """Notes which slots it was told of, and that it was told the truth."""

    def __init__(self, *, slots: int) -> None:
        super().__init__(slots=slots)
        self.known: set[int] = set()

    def inserted(self, *, slots: npt.NDArray[np.int64]) -> None:
        assert self.known.isdisjoint(slots.tolist())
        self.known |= set(slots.tolist())

    def removed(self, *, slots: npt.NDArray[np.int64]) -> None:
        assert self.known >= set(slots.tolist())
        self.known -= set(slots.tolist())


@pytest.mark.parametrize("chunk_rows", [1, 2, 5, 30])
def test_a_sampler_is_told_of_all_that_comes_and_goes(chunk_rows: int) -> None:
    sampler = CountingSampler(slots=10)
    replay = make_replay(capacity=9, sampler=lambda *, slots: sampler)
    rows = make_stream(lengths=[3, 2, 4, 1, 6, 2, 3], terminated=[True] * 7)
    insert_stream(replay, rows, chunk_rows=chunk_rows)
    # The 28 rows are 0 … 27; a ring of 10 keeps 18 … 27, row r in slot r mod 10. Of these, the final rows 20, 23 and 27
    # are not experience: 0-3, 4-6, 7-11, 12-13, 14-20, 21-23, 24-27 are the episodes.
    expected = {row.number % 10 for row in rows[18:] if not row.is_last}
    assert len(expected) == 7
    assert sampler.known == expected

"""n-step transitions: by hand, and against a plain Python reference over random episodes, streams and overwriting."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_helpers import Row, draw, insert_stream, make_chunk, make_replay, make_stream

from triax.replay import NothingToSample, Replay
from triax.types import Transitions, TransitionUnit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expected:
    reward: float
    discount: float
    next_number: int


def reference(rows: list[Row], *, index: int, unit: TransitionUnit) -> Expected:
    """Walk one row at a time; ``rows`` are a stream's rows, the last being the newest observation."""
    reward, discount, step = 0.0, 1.0, 0
    while step < unit.steps and index + step < len(rows) - 1 and not rows[index + step].is_last:
        row = rows[index + step]
        reward += discount * row.reward
        discount *= unit.discount
        step += 1
        if row.terminated or row.truncated:
            break
    ends = rows[index + step - 1].terminated
    return Expected(reward=reward, discount=0.0 if ends else discount, next_number=rows[index + step].number)


def by_number(batch: Transitions) -> dict[tuple[int, int], Expected]:
    """The drawn transitions by (stream, number of the row)."""
    observation = np.reshape(batch.observation, (-1, 2)).astype(int)
    following = np.reshape(batch.next_observation, (-1, 2)).astype(int)
    assert (observation[:, 1] == following[:, 1]).all(), "a transition between two streams"
    np.testing.assert_array_equal(np.reshape(batch.action, -1), np.float32(observation[:, 0] / 1000))
    rewards, discounts = np.reshape(batch.reward, -1), np.reshape(batch.discount, -1)
    return {
        (int(stream), int(number)): Expected(
            reward=float(rewards[i]), discount=float(discounts[i]), next_number=int(following[i, 0])
        )
        for i, (number, stream) in enumerate(observation)
    }


def assert_same(drawn: Expected, expected: Expected) -> None:
    assert drawn.next_number == expected.next_number
    assert drawn.reward == pytest.approx(expected.reward, rel=1e-5)
    assert drawn.discount == pytest.approx(expected.discount, rel=1e-6)


def two_episodes(*, terminated: bool) -> Replay:
    # rows      0    1    2    3(final)   4    5    6(final)
    # reward    1    2    3               5    6
    replay = make_replay(capacity=20)
    insert_stream(replay, make_stream(lengths=[3, 2], terminated=[terminated, terminated]))
    return replay


def test_three_steps_by_hand() -> None:
    drawn = by_number(draw(two_episodes(terminated=False), unit=TransitionUnit(discount=0.5, steps=3), count=256))
    assert set(drawn) == {(0, 0), (0, 1), (0, 2), (0, 4), (0, 5)}  # never a final row
    # Row 0: 1 + 0.5·2 + 0.25·3 = 2.75, discount 0.5³ = 0.125, to the final observation 3.
    assert drawn[0, 0] == Expected(reward=2.75, discount=0.125, next_number=3)
    # Row 1: 2 + 0.5·3 = 3.5 and the episode is over after k = 2 steps: 0.5² = 0.25.
    assert drawn[0, 1] == Expected(reward=3.5, discount=0.25, next_number=3)
    # Row 2: 3, k = 1. Row 4: 5 + 0.5·6 = 8, k = 2. Row 5: 6, k = 1.
    assert drawn[0, 2] == Expected(reward=3.0, discount=0.5, next_number=3)
    assert drawn[0, 4] == Expected(reward=8.0, discount=0.25, next_number=6)
    assert drawn[0, 5] == Expected(reward=6.0, discount=0.5, next_number=6)


def test_trap_11_a_time_limit_is_no_termination() -> None:
    # The same rows, truncated and terminated: only the discount of rows whose walk meets the end differs.
    unit = TransitionUnit(discount=0.5, steps=2)
    truncated = by_number(draw(two_episodes(terminated=False), unit=unit, count=256))
    terminated = by_number(draw(two_episodes(terminated=True), unit=unit, count=256))
    # Row 0 walks to row 2 without meeting the end in both: 0.5² = 0.25.
    assert truncated[0, 0].discount == terminated[0, 0].discount == 0.25
    assert truncated[0, 1].discount == 0.25
    assert terminated[0, 1].discount == 0.0
    assert truncated[0, 2].discount == 0.5
    assert terminated[0, 2].discount == 0.0
    # And a truncated step bootstraps from the observation that the episode ended in (row 3), not from row 4.
    assert truncated[0, 2].next_number == terminated[0, 2].next_number == 3


def test_trap_11_one_step_too() -> None:
    drawn = by_number(draw(two_episodes(terminated=True), unit=TransitionUnit(discount=0.9), count=256))
    assert [drawn[0, number].discount for number in (0, 1, 2)] == pytest.approx([0.9, 0.9, 0.0])
    drawn = by_number(draw(two_episodes(terminated=False), unit=TransitionUnit(discount=0.9), count=256))
    assert [drawn[0, number].discount for number in (0, 1, 2)] == pytest.approx([0.9, 0.9, 0.9])


def test_trap_12_returns_stop_at_the_write_head_with_the_true_number_of_steps() -> None:
    # One endless episode, rows 0 … 7, in a ring of 5 rows (capacity 4): it holds rows 3 … 7, and row 7 is the newest
    # observation, in which no action was taken yet. The row after it in the ring is row 3, four steps older.
    replay = make_replay(capacity=4)
    rows = [Row(number=number, reward=1.0 + number, is_first=number == 0) for number in range(8)]
    insert_stream(replay, rows)
    drawn = by_number(draw(replay, unit=TransitionUnit(discount=0.5, steps=3), count=256))
    assert set(drawn) == {(0, 3), (0, 4), (0, 5), (0, 6)}
    # Row 4: 5 + 0.5·6 + 0.25·7 = 9.75, k = 3. Row 5: 6 + 0.5·7 = 9.5, k = 2. Row 6: 7, k = 1.
    assert drawn[0, 4] == Expected(reward=9.75, discount=0.125, next_number=7)
    assert drawn[0, 5] == Expected(reward=9.5, discount=0.25, next_number=7)
    assert drawn[0, 6] == Expected(reward=7.0, discount=0.5, next_number=7)


def test_a_new_life_of_a_worker_is_not_joined_to_the_old_one() -> None:
    # The first life stops at observation 2 without an end; the second begins with a first observation, number 10.
    replay = make_replay(capacity=20)
    insert_stream(replay, [Row(number=n, reward=1.0 + n, is_first=n == 0) for n in range(3)])
    insert_stream(replay, [Row(number=n, reward=1.0 + n, is_first=n == 10) for n in range(10, 14)])
    drawn = by_number(draw(replay, unit=TransitionUnit(discount=0.5, steps=3), count=256))
    assert set(drawn) == {(0, 0), (0, 1), (0, 10), (0, 11), (0, 12)}
    # Row 0: 1 + 0.5·2 = 2, two steps, bootstraps from observation 2, the last that was seen of that episode.
    assert drawn[0, 0] == Expected(reward=2.0, discount=0.25, next_number=2)
    assert drawn[0, 1] == Expected(reward=2.0, discount=0.5, next_number=2)


def test_a_gap_in_a_stream_is_not_bridged() -> None:
    # Rows 3 … 5 of the episode were rejected on the way; the next chunk goes on in the middle of the episode.
    replay = make_replay(capacity=20)
    rows = [Row(number=n, reward=1.0 + n, is_first=n == 0) for n in range(10)]
    insert_stream(replay, rows[:3])
    insert_stream(replay, rows[6:])
    drawn = by_number(draw(replay, unit=TransitionUnit(discount=0.5, steps=3), count=256))
    assert drawn[0, 1].next_number == 2
    assert set(drawn) == {(0, number) for number in (0, 1, 6, 7, 8)}


def test_an_episode_that_ended_just_before_a_new_life_keeps_its_final_observation() -> None:
    replay = make_replay(capacity=20)
    first_life = make_stream(lengths=[2], terminated=[True])  # rows 0, 1 and the final observation 2
    insert_stream(replay, first_life)
    insert_stream(replay, [Row(number=n, reward=1.0 + n, is_first=n == 10) for n in range(10, 13)])
    drawn = by_number(draw(replay, unit=TransitionUnit(discount=0.5), count=256))
    assert drawn[0, 1] == Expected(reward=2.0, discount=0.0, next_number=2)
    assert set(drawn) == {(0, 0), (0, 1), (0, 10), (0, 11)}


def test_a_stream_that_goes_on_is_joined() -> None:
    # Negative control of the three tests above: chunks that do follow one another are one episode.
    replay = make_replay(capacity=20)
    rows = [Row(number=n, reward=1.0, is_first=n == 0) for n in range(10)]
    insert_stream(replay, rows, chunk_rows=1)
    drawn = by_number(draw(replay, unit=TransitionUnit(discount=1.0, steps=9), count=512))
    assert drawn[0, 0] == Expected(reward=9.0, discount=1.0, next_number=9)


def test_an_empty_replay_says_so() -> None:
    with pytest.raises(NothingToSample, match="no experience yet"):
        draw(make_replay(), unit=TransitionUnit(discount=0.9))


episodes = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    streams=st.lists(episodes, min_size=1, max_size=3),
    chunk_rows=st.integers(1, 20),
    share=st.integers(4, 30),
    steps=st.integers(1, 4),
    discount=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    cut=st.integers(0, 4),
)
def test_trap_12_every_transition_is_that_of_a_plain_walk(
    *,
    streams: list[list[tuple[int, bool]]],
    chunk_rows: int,
    share: int,
    steps: int,
    discount: float,
    cut: int,
) -> None:
    replay = make_replay(capacity=share * len(streams), streams=len(streams))
    unit = TransitionUnit(discount=discount, steps=steps)
    expected: dict[tuple[int, int], Expected] = {}
    for number, lengths in enumerate(streams):
        rows = make_stream(lengths=[length for length, _ in lengths], terminated=[ends for _, ends in lengths])
        rows = rows[: max(2, len(rows) - cut)]  # the last episode need not be over
        start = 0
        while start < len(rows) - 1:
            end = min(start + chunk_rows, len(rows) - 1)
            # All streams are numbered 0 in `make_trajectory`; the stream's own number is put into the observation.
            chunk = make_chunk([rows[start : end + 1]], first_environment=number)
            chunk.trajectory.observation[..., 1] = number
            replay.insert(chunk)
            start = end
        kept = rows[-(share + 1) :]  # the ring's rows, the newest observation included
        for index, row in enumerate(kept[:-1]):
            if not row.is_last:
                expected[number, row.number] = reference(kept, index=index, unit=unit)
    assert len(replay) == len(expected)
    if not expected:
        with pytest.raises(NothingToSample):
            draw(replay, unit=unit)
        return
    result = replay.sample(unit=unit, batch_size=4, batches=400, generator=np.random.default_rng(0))
    assert isinstance(result, Transitions)
    drawn = by_number(result)
    # 1600 draws of at most 90 rows leave one out with a chance below 90 · (1 − 1/90)¹⁶⁰⁰ < 2e-6.
    assert set(drawn) == set(expected)
    for key, transition in drawn.items():
        assert_same(transition, expected[key])

"""Pieces of episodes: masks, padding, burn-in, whole episodes, and where pieces may not be cut."""

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_helpers import ACTION, OBSERVATION, Row, insert_stream, make_chunk, make_replay, make_stream

from triax.replay import NothingToSample, Replay, ReplayConfig
from triax.spaces import space_spec
from triax.trees import replace, tree_map
from triax.types import Sequences, SequenceUnit


def draw_pieces(replay: Replay, *, unit: SequenceUnit, count: int = 200) -> Sequences:
    """Pieces without the axis of batches: rows [L, N, ...], N = count."""
    batch = replay.sample(unit=unit, batch_size=1, batches=count, generator=np.random.default_rng(0))
    assert isinstance(batch, Sequences)
    assert batch.mask.shape == (count, unit.length, 1)
    rows = tree_map(lambda leaf: np.moveaxis(leaf[:, :, 0], 0, 1), batch.rows)
    return replace(tree_map(lambda leaf: leaf[:, 0], batch), rows=rows, mask=np.asarray(batch.mask)[:, :, 0].T)


def starts(batch: Sequences) -> set[int]:
    return {int(number) for number in batch.rows.observation[0, :, 0]}


def episode_of_three() -> Replay:
    # rows 0, 1, 2 with rewards 1, 2, 3, and the final observation 3; then 4, 5, 6 and the final observation 7.
    replay = make_replay(capacity=20)
    insert_stream(replay, make_stream(lengths=[3, 3], terminated=[True, False]))
    return replay


def test_a_piece_by_hand() -> None:
    batch = draw_pieces(episode_of_three(), unit=SequenceUnit(length=4))
    rows, index = batch.rows, int(np.flatnonzero(batch.rows.observation[0, :, 0] == 1)[0])
    # From row 1: rows 1 and 2 are experience, row 3 is the final observation, which is repeated.
    assert rows.observation[:, index, 0].tolist() == [1, 2, 3, 3, 3]
    assert batch.mask[:, index].tolist() == [True, True, False, False]
    assert rows.reward[:, index].tolist() == [2, 3, 0, 0]
    assert rows.terminated[:, index].tolist() == [False, True, False, False]
    assert rows.truncated[:, index].tolist() == [False] * 4
    assert rows.is_first[:, index].tolist() == [False] * 5
    assert rows.is_last[:, index].tolist() == [False, False, True, True, True]
    np.testing.assert_array_equal(rows.valid, batch.mask)


def test_trap_11_a_time_limit_is_no_termination_in_pieces() -> None:
    batch = draw_pieces(episode_of_three(), unit=SequenceUnit(length=3, whole_episodes=True))
    cut = batch.rows.observation[0, :, 0] == 4
    assert batch.rows.truncated[2, cut].all()
    assert not batch.rows.terminated[:, cut].any()
    assert batch.rows.terminated[2, ~cut].all()
    assert not batch.rows.truncated[:, ~cut].any()
    assert set(batch.rows.observation[3, :, 0]) == {3, 7}  # each piece ends in its own episode's final observation


def test_leading_axes() -> None:
    batch = episode_of_three().sample(
        unit=SequenceUnit(length=2), batch_size=5, batches=3, generator=np.random.default_rng(0)
    )
    assert isinstance(batch, Sequences)
    assert batch.rows.observation.shape == (3, 3, 5, 2)
    assert batch.rows.action.shape == (3, 2, 5, 1)
    assert batch.rows.is_last.shape == (3, 3, 5)
    assert batch.mask.shape == batch.rows.reward.shape == (3, 2, 5)
    assert batch.weight.shape == batch.origin.slot.shape == (3, 5)


def test_pieces_begin_anywhere_or_at_episodes_starts() -> None:
    assert starts(draw_pieces(episode_of_three(), unit=SequenceUnit(length=2))) == {0, 1, 2, 4, 5, 6}
    assert starts(draw_pieces(episode_of_three(), unit=SequenceUnit(length=2, whole_episodes=True))) == {0, 4}


def test_a_piece_has_experience_after_its_burn_in() -> None:
    # With a burn-in of 2, a piece from row 1 (rows 1 and 2, then the end) would train on nothing.
    assert starts(draw_pieces(episode_of_three(), unit=SequenceUnit(length=3, burn_in=2))) == {0, 4}
    with pytest.raises(NothingToSample, match="6 steps hold no complete piece of length=4 with burn_in=3"):
        draw_pieces(episode_of_three(), unit=SequenceUnit(length=4, burn_in=3))


def test_trap_12_a_piece_is_not_cut_by_the_write_head() -> None:
    # An endless episode in a ring of 9 rows, rows 11 … 19, of which row 19 is the newest observation. Its pieces of 3
    # rows begin at rows 11 … 16: from row 17 the third row has no action yet, and the next slot holds row 11.
    replay = make_replay(capacity=8)
    insert_stream(replay, [Row(number=n, reward=1.0, is_first=n == 0) for n in range(20)])
    batch = draw_pieces(replay, unit=SequenceUnit(length=3), count=400)
    assert starts(batch) == {11, 12, 13, 14, 15, 16}
    steps = np.diff(batch.rows.observation[:, :, 0], axis=0)
    np.testing.assert_array_equal(steps, 1.0)
    assert batch.mask.all()


def test_an_unfinished_episode_shorter_than_the_piece_is_left_out() -> None:
    replay = make_replay()
    insert_stream(replay, [Row(number=n, is_first=n == 0) for n in range(4)])
    assert starts(draw_pieces(replay, unit=SequenceUnit(length=3))) == {0}
    for whole in (False, True):
        with pytest.raises(NothingToSample, match="no complete piece"):
            draw_pieces(replay, unit=SequenceUnit(length=4, whole_episodes=whole))


def test_an_episode_cut_by_a_new_life_counts_as_truncated() -> None:
    replay = make_replay()
    insert_stream(replay, [Row(number=n, is_first=n == 0) for n in range(3)])
    insert_stream(replay, [Row(number=n, is_first=n == 10) for n in range(10, 12)])
    batch = draw_pieces(replay, unit=SequenceUnit(length=4, whole_episodes=True))
    assert starts(batch) == {0}
    assert batch.rows.truncated[:, 0].tolist() == [False, True, False, False]
    assert batch.rows.observation[:, 0, 0].tolist() == [0, 1, 2, 2, 2]


def test_the_carry_comes_along() -> None:
    carry = space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (1,)), role="observation")
    replay = Replay(
        config=ReplayConfig(capacity=20),
        observation_spec=OBSERVATION,
        action_spec=ACTION,
        extras_spec={"carry": carry},
        streams=1,
    )
    chunk = make_chunk([make_stream(lengths=[3, 3], terminated=[True, True])])
    # The carry before row t is 100 + t.
    carries = 100 + chunk.trajectory.observation[:-1, :, :1]
    replay.insert_rows(
        trajectory=replace(chunk.trajectory, extras={"carry": carries}), first_stream=0, task=np.zeros(1, np.int32)
    )
    batch = draw_pieces(replay, unit=SequenceUnit(length=2))
    np.testing.assert_array_equal(batch.rows.extras["carry"][0, :, 0], 100 + batch.rows.observation[0, :, 0])


def test_whole_episodes_can_be_listed_and_read() -> None:
    replay = make_replay(capacity=9, streams=1)  # a ring of 10 rows
    rows = make_stream(lengths=[3, 2, 4, 1], terminated=[True, False, True, True])
    # Rows 0–3, 4–6, 7–11, 12–13; the ring keeps rows 4 … 13 of these.
    insert_stream(replay, rows, chunk_rows=2)
    episodes = replay.episodes()
    assert [episode.steps for episode in episodes] == [2, 4, 1]
    episode = replay.read_episode(episodes[1])
    assert episode.observation[:, 0, 0].tolist() == [7, 8, 9, 10, 11]
    assert episode.reward[:, 0].tolist() == [8, 9, 10, 11]
    assert episode.terminated[:, 0].tolist() == [False, False, False, True]
    assert episode.is_first[:, 0].tolist() == [True, False, False, False, False]
    assert episode.is_last[:, 0].tolist() == [False, False, False, False, True]


def test_unfinished_episodes_are_not_listed() -> None:
    replay = make_replay(capacity=20)
    insert_stream(replay, make_stream(lengths=[3, 4], terminated=[True, True])[:7])
    assert [episode.steps for episode in replay.episodes()] == [3]
    assert make_replay().episodes() == []


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    capacity=st.integers(5, 30),
    length=st.integers(1, 5),
    burn_in=st.integers(0, 2),
    whole=st.booleans(),
    chunk_rows=st.integers(1, 12),
    cut=st.integers(0, 4),
)
def test_pieces_are_those_of_a_plain_walk(
    *, lengths: list[int], capacity: int, length: int, burn_in: int, whole: bool, chunk_rows: int, cut: int
) -> None:
    unit = SequenceUnit(length=length, burn_in=min(burn_in, length - 1), whole_episodes=whole)
    rows = make_stream(lengths=lengths, terminated=[True] * len(lengths))
    rows = rows[: max(2, len(rows) - cut)]
    replay = make_replay(capacity=capacity)
    insert_stream(replay, rows, chunk_rows=chunk_rows)
    kept = rows[-(capacity + 1) :]
    expected: dict[int, list[int]] = {}
    for index, row in enumerate(kept):
        numbers, ended = [row.number], row.is_last
        while not ended and len(numbers) <= length and index + len(numbers) < len(kept):
            following = kept[index + len(numbers)]
            numbers.append(following.number)
            ended = following.is_last
        actions = len(numbers) - 1
        complete = actions == length or ended
        if complete and actions > unit.burn_in and (row.is_first or not whole):
            expected[row.number] = numbers + numbers[-1:] * (length - actions)
    if not expected:
        with pytest.raises(NothingToSample):
            draw_pieces(replay, unit=unit)
        return
    batch = draw_pieces(replay, unit=unit, count=600)
    drawn = {int(piece[0]): [int(number) for number in piece] for piece in batch.rows.observation[:, :, 0].T}
    assert drawn == expected

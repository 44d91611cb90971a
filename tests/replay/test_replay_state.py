"""Checkpoints of the replay: to the bit, small while it is young, and refused where they do not fit."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_helpers import ENVIRONMENT_ROWS, Row, insert_stream, make_replay, make_stream

from triax.replay import Replay, ReplayState
from triax.trees import byte_size, to_numpy
from triax.types import SequenceUnit, TransitionUnit

UNITS = (TransitionUnit(discount=0.9), TransitionUnit(discount=0.9, steps=3), SequenceUnit(length=2))


def saved(replay: Replay) -> ReplayState:
    """What a checkpoint would hold: copies."""
    return to_numpy(replay.state())


def structure(replay: Replay) -> str:
    return str(jax.tree.structure(replay.state()))


def sampled_bytes(replay: Replay, *, seed: int) -> list[bytes]:
    batches = [
        replay.sample(unit=unit, batch_size=4, batches=5, generator=np.random.default_rng(seed)) for unit in UNITS
    ]
    return [leaf.tobytes() for leaf in jax.tree.leaves(batches)]


@settings(max_examples=25, deadline=None)
@given(
    before=st.integers(2, ENVIRONMENT_ROWS - 10),
    after=st.integers(0, 9),
    used=st.integers(0, 40),
    capacity=st.integers(6, 60),
)
def test_after_restoring_everything_goes_on_to_the_bit(*, before: int, after: int, used: int, capacity: int) -> None:
    rows = make_stream(lengths=[5] * 10, terminated=[True, False] * 5)
    assert len(rows) == ENVIRONMENT_ROWS
    replay, other = make_replay(capacity=capacity, streams=2), make_replay(capacity=capacity, streams=2)
    for stream, count in enumerate((before, max(6, before // 2))):
        insert_stream(replay, rows[:count], stream=stream)
    # The other one may have been in use before.
    insert_stream(other, [Row(number=500 + n, is_first=n == 0) for n in range(used)], stream=1)
    other.restore(saved(replay))
    assert len(other) == len(replay)
    assert [leaf.tobytes() for leaf in jax.tree.leaves(saved(other))] == [
        leaf.tobytes() for leaf in jax.tree.leaves(saved(replay))
    ]
    for each in (replay, other):
        insert_stream(each, rows[before - 1 : before + after], stream=0)
    assert sampled_bytes(other, seed=7) == sampled_bytes(replay, seed=7)
    assert [leaf.tobytes() for leaf in jax.tree.leaves(other.state())] == [
        leaf.tobytes() for leaf in jax.tree.leaves(replay.state())
    ]


def test_a_young_replay_has_a_small_state_of_the_same_structure() -> None:
    young, old = make_replay(capacity=10_000), make_replay(capacity=10_000)
    insert_stream(young, [Row(number=n) for n in range(11)], chunk_rows=100)
    insert_stream(old, [Row(number=n) for n in range(5001)], chunk_rows=5000)
    # 11 rows of 8 + 4 bytes of arrays, 4 of reward, 1 of flags, 4 of task, 4 of version;
    # a head and a length of 8 bytes each.
    assert byte_size(young.state()) == 11 * (8 + 4 + 4 + 1 + 4 + 4) + 8 + 8
    assert structure(young) == structure(old)
    empty = make_replay(capacity=10_000)
    assert structure(empty) == structure(old)
    assert all(leaf.size > 0 for leaf in jax.tree.leaves(empty.state()))  # some formats refuse arrays without elements
    empty.restore(saved(make_replay(capacity=10_000)))
    assert len(empty) == 0


def test_the_state_cannot_be_written_through() -> None:
    replay = make_replay()
    insert_stream(replay, [Row(number=n) for n in range(5)])
    with pytest.raises(ValueError, match="read-only"):
        replay.state().storage.columns["reward"][0] = 1.0


def test_a_state_of_another_replay_is_refused() -> None:
    state = saved(make_replay(capacity=100))
    with pytest.raises(ValueError, match=r"1 streams of 101 rows, this one 1 of 51.*replay capacity"):
        make_replay(capacity=50).restore(state)
    with pytest.raises(ValueError, match="number of environments"):
        make_replay(capacity=200, streams=2).restore(state)
    wide = to_numpy(state)
    wide.storage.columns["observation"] = np.zeros((1, 1, 3), np.float32)
    with pytest.raises(ValueError, match=r"float32\(3,\) where this one has float32\(2,\)"):
        make_replay(capacity=100).restore(wide)

"""Drawing: uniform, reproducible, into fresh arrays; and what is refused when an experiment is built."""

import jax
import numpy as np
import pytest
from replay_helpers import Row, draw, insert_stream, make_replay, make_stream

from triax.replay import Replay, ReplayConfig, UniformSampler
from triax.replay import sampler as sampler_module
from triax.types import SequenceUnit, Transitions, TransitionUnit, Unit

UNIT = TransitionUnit(discount=0.9)
PIECES = SequenceUnit(length=3, burn_in=1)


def filled(*, capacity: int = 30, streams: int = 2) -> Replay:
    replay = make_replay(capacity=capacity, streams=streams)
    for stream in range(streams):
        insert_stream(
            replay, make_stream(lengths=[3, 1, 5, 4, 2], terminated=[True, False] * 2 + [True]), stream=stream
        )
    return replay


def same_bytes(left: object, right: object) -> bool:
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


def test_leaves_are_stacked_over_batches() -> None:
    batch = filled().sample(unit=UNIT, batch_size=4, batches=3, generator=np.random.default_rng(0))
    assert isinstance(batch, Transitions)
    assert batch.observation.shape == batch.next_observation.shape == (3, 4, 2)
    assert batch.action.shape == (3, 4, 1)
    for leaf in (batch.reward, batch.discount, batch.weight):
        assert leaf.shape == (3, 4)
        assert leaf.dtype == np.float32
    for leaf in jax.tree.leaves(batch.origin):
        assert leaf.shape == (3, 4)
        assert leaf.dtype == np.int32
    np.testing.assert_array_equal(batch.weight, 1.0)
    np.testing.assert_array_equal(batch.origin.source, 0)


@pytest.mark.parametrize("unfilled", [False, True])
def test_every_row_has_the_same_chance(unfilled: bool) -> None:
    # 2 streams; unfilled: capacity for all rows and more; filled: both rings have wrapped. One stream may be longer.
    replay = make_replay(capacity=100 if unfilled else 10, streams=2)
    insert_stream(replay, make_stream(lengths=[1, 3, 5], terminated=[True] * 3), stream=0)
    insert_stream(replay, make_stream(lengths=[2, 2], terminated=[True] * 2), stream=1)
    count = len(replay)
    batch = draw(replay, unit=UNIT, count=20_000)
    drawn = np.bincount(np.reshape(batch.origin.slot, -1))
    frequencies = drawn[drawn > 0] / 20_000
    assert frequencies.size == count
    # Each has expectation p = 1/count and standard deviation √(p/20000) < 0.0025 for count ≥ 8; five of them.
    np.testing.assert_allclose(frequencies, 1 / count, atol=0.0125)


def test_the_generator_alone_decides() -> None:
    left, right = (
        filled().sample(unit=UNIT, batch_size=4, batches=8, generator=np.random.default_rng(1)) for _ in "ab"
    )
    other = filled().sample(unit=UNIT, batch_size=4, batches=8, generator=np.random.default_rng(2))
    assert same_bytes(left, right)
    assert not same_bytes(left, other)


@pytest.mark.parametrize("unit", [UNIT, TransitionUnit(discount=0.9, steps=3), PIECES])
def test_trap_34_buffers_that_were_handed_out_are_never_written_again(unit: Unit) -> None:
    replay = filled()

    def sample(seed: int) -> object:
        return replay.sample(unit=unit, batch_size=4, batches=2, generator=np.random.default_rng(seed))

    first = sample(0)
    storage = jax.tree.leaves(replay.state())
    leaves = jax.tree.leaves(first)
    before = [leaf.copy() for leaf in leaves]
    second = sample(1)
    for stream in range(2):
        insert_stream(replay, [Row(number=n, reward=-1.0, is_first=n == 900) for n in range(900, 960)], stream=stream)
    third = sample(2)
    others = [*jax.tree.leaves(second), *jax.tree.leaves(third), *storage]
    for leaf, copy in zip(leaves, before, strict=True):
        assert leaf.tobytes() == copy.tobytes()
        # Fresh memory, and arrays of one batch do not share it with one another either.
        assert not any(np.shares_memory(leaf, other) for other in others)
        assert sum(np.shares_memory(leaf, other) for other in leaves) == 1


def test_rare_rows_are_found_by_the_list_when_rejection_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without any round of rejection, every refused proposal is drawn from the list instead.
    monkeypatch.setattr(sampler_module, "REJECTION_ROUNDS", 0)
    for unit in (UNIT, PIECES, SequenceUnit(length=4, whole_episodes=True)):
        batch = filled().sample(unit=unit, batch_size=8, batches=32, generator=np.random.default_rng(0))
        assert batch.weight.shape == (32, 8)


def test_a_single_step_is_enough() -> None:
    replay = make_replay(capacity=1000)
    insert_stream(replay, [Row(number=0, reward=3.0, is_first=True), Row(number=1)])
    np.testing.assert_array_equal(draw(replay, unit=UNIT).reward, 3.0)


def test_plans_that_can_never_work_are_refused() -> None:
    replay = make_replay(capacity=20, streams=2)
    replay.check_plan(unit=UNIT, batch_size=20)
    with pytest.raises(ValueError, match=r"batch_size is 21 and the replay's capacity is 20"):
        replay.check_plan(unit=UNIT, batch_size=21)
    with pytest.raises(ValueError, match="batch_size is 0"):
        replay.check_plan(unit=UNIT, batch_size=0)
    with pytest.raises(ValueError, match="length is 11, but each environment keeps 10 steps"):
        replay.check_plan(unit=SequenceUnit(length=11), batch_size=4)
    with pytest.raises(ValueError, match=r"burn_in is 3 and length is 3"):
        replay.check_plan(unit=SequenceUnit(length=3, burn_in=3), batch_size=4)
    with pytest.raises(ValueError, match=r"steps is 0"):
        replay.check_plan(unit=TransitionUnit(discount=0.9, steps=0), batch_size=4)
    with pytest.raises(ValueError, match=r"discount is 1.1"):
        replay.check_plan(unit=TransitionUnit(discount=1.1), batch_size=4)


def test_configs_are_checked() -> None:
    with pytest.raises(ValueError, match=r"ReplayConfig.capacity is 0"):
        ReplayConfig(capacity=0)
    with pytest.raises(ValueError, match=r"memory_limit_gib is -1"):
        ReplayConfig(memory_limit_gib=-1.0)
    assert ReplayConfig().sampler is UniformSampler

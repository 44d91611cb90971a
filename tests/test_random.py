"""Seeds and keys: names are independent and never confused, and what is derived stays the same for ever."""

import inspect

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triax.random import (
    ENVIRONMENT_SEED_LIMIT,
    Name,
    derive_generator,
    derive_key,
    derive_seed,
    episode_seed,
)


def test_derived_seeds_do_not_change_with_time() -> None:
    # Golden values: runs of earlier versions can be repeated. They follow from SHA-256 and JSON alone:
    # int.from_bytes(sha256(b'[0, "environment", 3, "episode", 17]').digest()[:16], "little") % 2**64
    assert derive_seed(seed=0, name=("environment", 3, "episode", 17)) == 779513567114495385
    assert derive_seed(seed=12345, name=("networks",)) == 16963303787983544225
    assert derive_seed(seed=-1, name=("é/",), limit=2**31) == 152658332
    assert episode_seed(seed=7, environment=0, episode=0) == 1736344447
    assert jax.random.key_data(derive_key(seed=0, name=("networks",))).tolist() == [3758181574, 574463815]
    assert derive_generator(seed=0, name=("x",)).integers(0, 2**63, size=2).tolist() == [
        7214636178728560848,
        6190819586276289157,
    ]


def test_trap_19_a_hundred_thousand_seeds_are_all_different() -> None:
    unchecked = inspect.unwrap(derive_seed)
    seeds = {
        unchecked(seed=seed, name=("environment", environment, "episode", episode))
        for seed in range(10)
        for environment in range(100)
        for episode in range(100)
    }
    assert len(seeds) == 100_000
    # Both ends of the range of 64 bits are reached: nothing was cut to 16 or 32 bits.
    assert max(seeds) > 2**64 - 2**50
    assert min(seeds) < 2**50


def test_trap_19_resets_of_environments_hardly_ever_collide() -> None:
    seeds = [
        episode_seed(seed=1, environment=environment, episode=episode)
        for environment in range(100)
        for episode in range(100)
    ]
    assert max(seeds) < ENVIRONMENT_SEED_LIMIT
    # 10⁴ draws out of 2³¹ have 10⁸/2³² = 0.02 collisions on average, and of 2¹⁶ some 700.
    assert len(set(seeds)) >= len(seeds) - 1


def test_trap_19_keys_use_all_their_bits() -> None:
    keys = [derive_key(seed=seed, name=("key",)) for seed in range(64)]
    words = np.stack([np.asarray(jax.random.key_data(key)) for key in keys])
    assert words.dtype == np.uint32
    assert words.shape == (64, 2)
    for word in (0, 1):
        assert np.bitwise_or.reduce(words[:, word]) == 0xFFFFFFFF
        assert np.bitwise_and.reduce(words[:, word]) == 0
    bits = derive_seed(seed=3, name=("key",))
    assert words[3].tolist() == [bits >> 32, bits & 0xFFFFFFFF]
    draws = {float(jax.random.uniform(key)) for key in keys}
    assert len(draws) == 64


def test_the_same_name_gives_the_same_stream_in_any_order() -> None:
    first = derive_generator(seed=5, name=("a", 1)).random(4)
    derive_generator(seed=5, name=("b", 1)).random(100)
    np.testing.assert_array_equal(derive_generator(seed=5, name=("a", 1)).random(4), first)


def test_numpy_integers_name_the_same_stream() -> None:
    # Without the check of annotations, which would refuse them.
    unchecked = inspect.unwrap(derive_seed)
    assert unchecked(seed=np.int64(5), name=("a", np.int32(1))) == derive_seed(seed=5, name=("a", 1))
    with pytest.raises(TypeError):
        unchecked(seed=0, name=(1.5,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("a/b",)),
        (("a", "b"), ("a/str:b",)),
        (("a", "b"), ('a", "b',)),
        (("1",), (1,)),
        (("a", 1), ("a", "1")),
        (("a",), ("a", "")),
        ((), ("",)),
        ((1, 12), (11, 2)),
        (("A",), ("a",)),
        ((-1,), (1,)),
        (("é",), ("\\u00e9",)),
    ],
)
def test_different_names_are_never_confused(one: tuple[Name, ...], other: tuple[Name, ...]) -> None:
    assert derive_seed(seed=0, name=one) != derive_seed(seed=0, name=other)


names = st.lists(st.one_of(st.text(max_size=4), st.integers()), max_size=4).map(tuple)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(), one=names, other=names)
def test_any_two_names_are_told_apart(seed: int, one: tuple[Name, ...], other: tuple[Name, ...]) -> None:
    same = derive_seed(seed=seed, name=one) == derive_seed(seed=seed, name=other)
    assert same == (one == other)


def test_the_seed_is_no_part_of_the_name() -> None:
    assert derive_seed(seed=1, name=(2,)) != derive_seed(seed=2, name=(1,))
    assert derive_seed(seed=1, name=(2, 3)) != derive_seed(seed=2, name=(3,))


@pytest.mark.parametrize("limit", [1, 2, 1000, 2**31, 2**64, 2**128])
def test_seeds_stay_below_their_limit(limit: int) -> None:
    seeds = [derive_seed(seed=seed, name=("limit",), limit=limit) for seed in range(200)]
    assert min(seeds) >= 0
    assert max(seeds) < limit
    assert max(seeds) >= int(0.9 * limit) - 1


def test_neighbouring_streams_are_not_correlated() -> None:
    draws = np.stack([derive_generator(seed=seed, name=("noise",)).standard_normal(2000) for seed in range(20)])
    correlations = np.asarray(np.corrcoef(draws))[np.triu_indices(20, 1)]
    # Of 190 correlations with a standard deviation of 1/√2000 = 0.022, none is beyond 5 of them.
    assert np.max(np.abs(correlations)) < 0.11

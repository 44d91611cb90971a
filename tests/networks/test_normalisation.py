"""Running statistics: equal to NumPy's over all that was seen, blind to what does not count."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from triax.networks.normalisation import ObservationStatistics, RunningMoments
from triax.spaces import SetOf, space_spec

update = jax.jit(lambda moments, values, valid: moments.updated(values=values, valid=valid))
standardise = jax.jit(lambda moments, values: moments.standardise(values=values))


def chunk(generator: np.random.Generator, *, rows: int = 6, columns: int = 5) -> tuple[Any, Any]:
    values = generator.normal([100.0, -0.3, 0.0], [5.0, 0.01, 300.0], size=(rows, columns, 3)).astype(np.float32)
    return values, generator.random((rows, columns)) < 0.6


def test_moments_equal_numpy_over_all_valid_values_of_several_chunks() -> None:
    generator = np.random.default_rng(0)
    moments = RunningMoments.initial(shape=(3,))
    seen: list[Any] = []
    for _ in range(20):
        values, valid = chunk(generator)
        moments = update(moments, values, valid)
        seen.append(values[valid])
        everything = np.concatenate(seen).astype(np.float64)
        assert moments.count == len(everything)
        np.testing.assert_allclose(moments.mean, everything.mean(axis=0), rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(moments.variance, everything.var(axis=0), rtol=1e-3)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**31 - 1), scale=st.sampled_from([1e-3, 1.0, 1e4]), shift=st.sampled_from([0.0, 1.0, -1e4]))
def test_moments_equal_numpy_for_any_data(seed: int, scale: float, shift: float) -> None:
    generator = np.random.default_rng(seed)
    values = (generator.normal(size=(4, 6, 5, 3)) * scale + shift * scale).astype(np.float32)
    valid = generator.random((4, 6, 5)) < generator.choice([0.0, 0.1, 0.9], size=(4, 1, 1))
    moments = RunningMoments.initial(shape=(3,))
    for one, mask in zip(values, valid, strict=True):
        moments = update(moments, one, mask)
    if not valid.any():
        assert moments.count == 0
        return
    everything = values[valid].astype(np.float64)
    tolerance = 1e-6 * (1.0 + abs(shift)) * scale
    np.testing.assert_allclose(moments.mean, everything.mean(axis=0), rtol=1e-5, atol=tolerance)
    np.testing.assert_allclose(np.sqrt(moments.variance), everything.std(axis=0), rtol=1e-3, atol=2.0 * tolerance)


def test_the_first_chunk_replaces_the_initial_values() -> None:
    values = np.array([[1.0], [3.0]], np.float32)
    moments = update(RunningMoments.initial(shape=(1,)), values, np.ones(2, np.bool_))
    assert moments.count == 2
    np.testing.assert_allclose(moments.mean, [2.0])
    # The population's variance: ((1 − 2)² + (3 − 2)²) / 2.
    np.testing.assert_allclose(moments.variance, [1.0])
    single = update(RunningMoments.initial(shape=(1,)), values[:1], np.ones(1, np.bool_))
    np.testing.assert_allclose([single.mean[0], single.variance[0]], [1.0, 0.0])


def test_a_chunk_without_valid_values_changes_nothing() -> None:
    nothing = np.zeros(4, np.bool_)
    values = np.full((4, 2), np.nan, np.float32)
    fresh = RunningMoments.initial(shape=(2,))
    jax.tree.map(np.testing.assert_array_equal, update(fresh, values, nothing), fresh)
    moments = update(fresh, np.arange(8.0, dtype=np.float32).reshape(4, 2), np.ones(4, np.bool_))
    after = update(moments, values, nothing)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), after, moments)


def test_what_does_not_count_may_be_anything() -> None:
    values = np.array([[1.0], [np.nan], [5.0], [np.inf]], np.float32)
    moments = update(RunningMoments.initial(shape=(1,)), values, np.array([True, False, True, False]))
    np.testing.assert_allclose([moments.mean[0], moments.variance[0]], [3.0, 4.0])


def test_many_small_chunks_do_not_drift() -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(50.0, 2.0, size=(5000, 8, 1)).astype(np.float32)

    @jax.jit
    def all_of(chunks: Any) -> RunningMoments:
        def step(moments: RunningMoments, one: jax.Array) -> tuple[RunningMoments, None]:
            return moments.updated(values=one, valid=jnp.ones(8, jnp.bool_)), None

        return jax.lax.scan(step, RunningMoments.initial(shape=(1,)), chunks)[0]

    moments = all_of(values)
    assert moments.count == 40_000
    np.testing.assert_allclose(moments.mean, values.mean(axis=(0, 1), dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, values.var(axis=(0, 1), dtype=np.float64), rtol=1e-3)


def test_standardising() -> None:
    fresh = RunningMoments.initial(shape=(2,))
    values = np.array([[0.5, -2.0]], np.float32)
    np.testing.assert_allclose(standardise(fresh, values), values, rtol=1e-6)
    moments = RunningMoments(count=jnp.float32(9.0), mean=jnp.asarray([1.0, 10.0]), variance=jnp.asarray([4.0, 0.25]))
    # (2 − 1)/2 and (9 − 10)/0.5; 1000 standard deviations are clipped to 10.
    np.testing.assert_allclose(standardise(moments, np.array([[2.0, 9.0]], np.float32)), [[0.5, -2.0]], rtol=1e-5)
    np.testing.assert_array_equal(standardise(moments, np.array([[2001.0, -490.0]], np.float32)), [[10.0, -10.0]])
    # A component that never changes stays finite.
    constant = RunningMoments(count=jnp.float32(9.0), mean=jnp.asarray([3.0]), variance=jnp.asarray([0.0]))
    np.testing.assert_array_equal(standardise(constant, np.array([[3.0], [4.0]], np.float32)), [[0.0], [10.0]])
    np.testing.assert_allclose(
        moments.unstandardise(values=standardise(moments, np.array([[2.0, 9.0]], np.float32))), [[2.0, 9.0]], rtol=1e-5
    )


SPEC = space_spec(
    space=spaces.Dict(
        image=spaces.Box(0, 255, (2, 2, 1), dtype=np.uint8),
        choice=spaces.Discrete(4),
        vector=spaces.Box(-np.inf, np.inf, (3,)),
        nested=spaces.Tuple([spaces.MultiBinary(2), spaces.Box(-np.inf, np.inf, ())]),
    ),
    role="observation",
)


def test_trap_13_only_continuous_leaves_are_counted_and_scaled() -> None:
    generator = np.random.default_rng(1)
    observation: dict[str, Any] = {
        "image": generator.integers(0, 256, (4, 5, 2, 2, 1), dtype=np.uint8),
        "choice": generator.integers(0, 4, (4, 5)).astype(np.int32),
        "vector": generator.normal(7.0, 3.0, (4, 5, 3)).astype(np.float32),
        "nested": (
            generator.integers(0, 2, (4, 5, 2)).astype(np.int8),
            generator.normal(-2.0, 0.5, (4, 5)).astype(np.float32),
        ),
    }
    valid = np.ones((4, 5), np.bool_)
    valid[2] = False

    @jax.jit
    def run(tree: Any, mask: Any) -> tuple[ObservationStatistics, Any]:
        statistics = ObservationStatistics.initial(spec=SPEC).updated(observation=tree, valid=mask)
        return statistics, statistics.normalise(observation=tree)

    statistics, normalised = run(observation, valid)
    assert [moments is None for moments in statistics.moments] == [True, True, True, False, False]
    for name in ("image", "choice"):
        assert normalised[name].dtype == observation[name].dtype
        np.testing.assert_array_equal(normalised[name], observation[name])
    np.testing.assert_array_equal(normalised["nested"][0], observation["nested"][0])
    for scaled in (normalised["vector"], normalised["nested"][1]):
        kept = np.asarray(scaled)[valid]
        np.testing.assert_allclose(kept.mean(axis=0), 0.0, atol=1e-5)
        np.testing.assert_allclose(kept.std(axis=0), 1.0, rtol=1e-4)
    # The scale of one row does not depend on its neighbours.
    row = jax.tree.map(lambda leaf: leaf[1, 2], observation)
    alone = jax.jit(lambda s, o: s.normalise(observation=o))(statistics, row)
    np.testing.assert_allclose(alone["vector"], normalised["vector"][1, 2], rtol=1e-5)


def test_fresh_statistics_change_nothing() -> None:
    observation = SPEC.map_leaves(lambda leaf: np.ones((2, *leaf.shape), leaf.dtype))
    normalised = ObservationStatistics.initial(spec=SPEC).normalise(observation=observation)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), normalised, observation)


def test_an_observation_of_another_structure_is_refused() -> None:
    statistics = ObservationStatistics.initial(spec=SPEC)
    with pytest.raises(ValueError, match="zip"):
        statistics.normalise(observation={"vector": np.zeros(3, np.float32)})


def test_elements_of_sets_are_scaled_and_padding_counts_for_nothing() -> None:
    spec = space_spec(space=SetOf(spaces.Box(-np.inf, np.inf, (2,)), maximum=3), role="observation")
    generator = np.random.default_rng(2)
    present = generator.random((6, 5, 3)) < 0.6
    elements = generator.normal([50.0, -3.0], [4.0, 0.1], (6, 5, 3, 2)) * present[..., None]
    observation = np.concatenate([elements, present[..., None]], axis=-1).astype(np.float32)
    valid = np.ones((6, 5), np.bool_)
    valid[2] = False
    poisoned = observation.copy()
    poisoned[2] = np.nan

    @jax.jit
    def run(values: Any, tree: Any, mask: Any) -> tuple[ObservationStatistics, Any]:
        statistics = ObservationStatistics.initial(spec=spec).updated(observation=values, valid=mask)
        return statistics, statistics.normalise(observation=tree)

    _, normalised = run(poisoned, observation, valid)
    seen = elements[valid][present[valid]]
    expected = (elements - seen.mean(axis=0)) / seen.std(axis=0) * present[..., None]
    np.testing.assert_allclose(normalised[..., :-1], expected, atol=1e-3)
    np.testing.assert_array_equal(normalised[..., -1], present)
    # More room changes nothing.
    wider = np.concatenate([observation, np.zeros((6, 5, 4, 3), np.float32)], axis=-2)
    _, scaled = run(wider, wider, valid)
    np.testing.assert_allclose(scaled[..., :3, :], normalised, atol=1e-5)
    assert not np.any(scaled[..., 3:, :])


def test_a_single_value_says_nothing_of_the_spread() -> None:
    one = update(RunningMoments.initial(shape=(2,)), jnp.array([[3.0, -2.0]]), jnp.array([True]))
    np.testing.assert_allclose(standardise(one, jnp.array([[3.5, -4.0]])), [[0.5, -2.0]], rtol=1e-6)
    np.testing.assert_allclose(one.unstandardise(values=jnp.array([[0.5, -2.0]])), [[3.5, -4.0]], rtol=1e-6)
    two = update(one, jnp.array([[5.0, -2.5]]), jnp.array([True]))
    # Mean 4 and −2.25, deviation 1 and 0.25.
    np.testing.assert_allclose(standardise(two, jnp.array([[3.5, -4.0]])), [[-0.5, -7.0]], rtol=1e-5)

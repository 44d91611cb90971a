"""Exploration noise: standard normal at each step, white or pink in time, fresh at the start of an episode."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from triax.networks.noise import ExplorationNoise, PinkNoise, WhiteNoise
from triax.random import derive_key

KEY = derive_key(seed=0, name=("test of noise",))


def series(noise: ExplorationNoise, *, steps: int, rows: int, components: int = 1, first: Any = None) -> Any:
    """Run the noise; all episodes begin at the first step, and where ``first`` [steps, rows] says so."""
    is_first = np.zeros((steps, rows), np.bool_) if first is None else np.array(first)
    is_first[0] = True

    @jax.jit
    def run(starts: jax.Array) -> jax.Array:
        def step(carry: Any, inputs: Any) -> tuple[Any, jax.Array]:
            start, key = inputs
            result = noise.step(carry=carry, is_first=start, components=components, key=key)
            return result.carry, result.value

        carry = noise.initial_carry(batch_shape=(rows,), components=components)
        return jax.lax.scan(step, carry, (starts, jax.random.split(KEY, steps)))[1]

    return np.asarray(run(jnp.asarray(is_first)), np.float64)


@pytest.mark.parametrize("noise", [WhiteNoise(), PinkNoise(), PinkNoise(octaves=1), PinkNoise(octaves=4)])
def test_each_value_is_standard_normal_at_every_step(noise: ExplorationNoise) -> None:
    values = series(noise, steps=40, rows=4000)
    assert values.shape == (40, 4000, 1)
    for step in (0, 1, 7, 39):
        assert scipy.stats.kstest(values[step, :, 0], "norm").pvalue > 1e-3
    # The variance is 1 ± √(2/4000) = 0.022 at each step: no transient at the start.
    np.testing.assert_allclose(values.var(axis=1), 1.0, atol=0.13)


def slope_of_power(values: Any, *, low: float, high: float) -> float:
    frequencies, power = scipy.signal.periodogram(values[..., 0], axis=0)
    power = power.mean(axis=1)
    inside = (frequencies >= low) & (frequencies <= high)
    return float(np.polyfit(np.log(frequencies[inside]), np.log(power[inside]), 1)[0])


def test_the_power_of_pink_noise_falls_with_frequency_and_that_of_white_does_not() -> None:
    # Between the longest time, 2⁹ steps (a frequency of 1/(2π 512)), and the shortest.
    pink = series(PinkNoise(octaves=10), steps=8192, rows=40)
    assert slope_of_power(pink, low=1e-3, high=0.1) == pytest.approx(-1.0, abs=0.12)
    white = series(WhiteNoise(), steps=8192, rows=40)
    assert slope_of_power(white, low=1e-3, high=0.1) == pytest.approx(0.0, abs=0.05)


def correlation(one: Any, other: Any) -> float:
    return float(np.mean(one * other))


def test_an_episode_begins_afresh() -> None:
    first = np.zeros((30, 4000), np.bool_)
    first[15, :2000] = True
    values = series(PinkNoise(), steps=30, rows=4000, first=first)[..., 0]
    # Successive values hang together, but not across the start of an episode.
    assert correlation(values[14, 2000:], values[15, 2000:]) > 0.7
    assert abs(correlation(values[14, :2000], values[15, :2000])) < 0.08
    assert correlation(values[15, :2000], values[16, :2000]) > 0.7
    np.testing.assert_allclose(values[15, :2000].var(), 1.0, atol=0.12)


def test_it_is_stationary_from_its_first_step_on_wherever_in_an_episode_that_is() -> None:
    # As after a warm-up with random actions: no step of the noise was an episode's first.
    (carry,) = PinkNoise().initial_carry(batch_shape=(4000,), components=1)
    begun = PinkNoise().step(carry=(carry,), is_first=jnp.zeros(4000, jnp.bool_), components=1, key=KEY)
    np.testing.assert_allclose(np.asarray(begun.value).var(), 1.0, atol=0.12)


def test_environments_and_components_are_independent() -> None:
    values = series(PinkNoise(), steps=4, rows=3000, components=3)
    assert np.max(np.abs(np.asarray(np.corrcoef(values[3].T))[np.triu_indices(3, 1)])) < 0.08
    assert abs(correlation(values[3, ::2, 0], values[3, 1::2, 0])) < 0.1


def test_white_noise_has_no_memory() -> None:
    assert WhiteNoise().initial_carry(batch_shape=(3,), components=2) == ()
    values = series(WhiteNoise(), steps=2, rows=4000)
    assert abs(correlation(values[0], values[1])) < 0.06


def test_the_carry_has_one_row_an_environment() -> None:
    (carry,) = PinkNoise(octaves=6).initial_carry(batch_shape=(3,), components=2)
    assert carry.shape == (3, 6, 2)
    with pytest.raises(ValueError, match="octaves"):
        PinkNoise(octaves=0)

"""Distributions: densities against integration and SciPy, entropies, frequencies of samples, joints, stability."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import Array

from triax.networks.distributions import LARGEST_TANH, Bernoulli, Categorical, Distribution, Joint, SquashedGaussian
from triax.random import derive_key

KEY = derive_key(seed=0, name=("test of distributions",))


def gaussian(mean: Any, log_std: Any, *, shape: tuple[int, ...]) -> SquashedGaussian:
    return SquashedGaussian(mean=jnp.asarray(mean, jnp.float32), log_std=jnp.asarray(log_std, jnp.float32), shape=shape)


def scipy_log_density(action: Any, mean: Any, log_std: Any) -> np.ndarray[Any, Any]:
    """The density of each component by the change of variables, in 64 bits: p(a) = Normal(artanh a) / (1 − a²)."""
    action = np.asarray(action, np.float64)
    density = scipy.stats.norm.logpdf(np.arctanh(action), mean, np.exp(np.asarray(log_std, np.float64)))
    return np.asarray(density - np.log1p(-np.square(action)))


# Compiled, and brought to the host: each operation outside of a compiled function is compiled by itself.
_sampled = jax.jit(lambda distribution, key: distribution.sample_with_log_prob(key=key))
_log_prob = jax.jit(lambda distribution, action: distribution.log_prob(action=action))
_entropy = jax.jit(lambda distribution, key: distribution.entropy(key=key))
_mode = jax.jit(lambda distribution: distribution.mode())


def sampled(distribution: Distribution, key: Array = KEY) -> Any:
    return jax.device_get(_sampled(distribution, key))


def log_prob(distribution: Distribution, action: Any) -> Any:
    return jax.device_get(_log_prob(distribution, action))


def entropy_of(distribution: Distribution, key: Array = KEY) -> Any:
    return jax.device_get(_entropy(distribution, key))


def mode_of(distribution: Distribution) -> Any:
    return jax.device_get(_mode(distribution))


def floats(value: Any) -> Array:
    return jnp.asarray(np.asarray(value, np.float32))


# Squashed Gaussians


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -1.0), (-1.5, 0.5), (0.2, -2.5), (0.0, 0.7)])
def test_trap_01_the_density_integrates_to_one(mean: float, log_std: float) -> None:
    # Over u = artanh a, with da = (1 − a²) du, so that the mass near the edges is not missed.
    u = np.linspace(-7.0, 7.0, 20_001)
    action = np.tanh(u).astype(np.float32)
    distribution = gaussian(np.full((len(u), 1), mean), np.full((len(u), 1), log_std), shape=(1,))
    density = np.exp(np.asarray(log_prob(distribution, jnp.asarray(action[:, None])), np.float64))
    assert np.trapezoid(density * (1.0 - np.tanh(u) ** 2), u) == pytest.approx(1.0, abs=2e-3)


def test_trap_01_the_density_integrates_to_one_in_two_dimensions() -> None:
    edges = np.linspace(-1.0, 1.0, 801)
    middle = (edges[1:] + edges[:-1]) / 2
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).astype(np.float32)
    distribution = gaussian(
        np.broadcast_to([0.3, -0.5], grid.shape), np.broadcast_to([-0.7, -1.2], grid.shape), shape=(2,)
    )
    log_probability = log_prob(distribution, jnp.asarray(grid))
    assert log_probability.shape == (800, 800)
    cell = (edges[1] - edges[0]) ** 2
    assert np.exp(np.asarray(log_probability, np.float64)).sum() * cell == pytest.approx(1.0, abs=1e-3)


def test_trap_01_the_density_in_one_dimension_equals_scipy() -> None:
    action = np.linspace(-0.999, 0.999, 101)
    distribution = gaussian(np.full((101, 1), 0.4), np.full((101, 1), -0.3), shape=(1,))
    np.testing.assert_allclose(
        log_prob(distribution, floats(action[:, None])),
        scipy_log_density(action, 0.4, -0.3),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
def test_trap_01_in_three_dimensions_it_is_the_sum_and_nothing_is_summed_twice(shape: tuple[int, ...]) -> None:
    mean, log_std, action = np.array([0.5, -1.0, 0.0]), np.array([-0.5, 0.3, -1.0]), np.array([0.1, -0.8, 0.3])
    batch = 4
    distribution = gaussian(
        np.tile(mean.reshape(shape), (batch, *[1] * len(shape))),
        np.tile(log_std.reshape(shape), (batch, *[1] * len(shape))),
        shape=shape,
    )
    value = log_prob(distribution, floats(np.tile(action.reshape(shape), (batch, *[1] * len(shape)))))
    assert value.shape == (batch,)
    np.testing.assert_allclose(value, scipy_log_density(action, mean, log_std).sum(), rtol=1e-4)


def test_trap_01_a_sample_says_its_own_log_probability() -> None:
    distribution = gaussian(np.full((5000, 3), 0.3), np.tile([-1.0, -0.5, 0.2], (5000, 1)), shape=(3,))
    sample = sampled(distribution)
    assert sample.log_probability.shape == (5000,)
    again = log_prob(distribution, sample.action)
    np.testing.assert_allclose(
        sample.log_probability, scipy_log_density(sample.action, 0.3, [-1.0, -0.5, 0.2]).sum(axis=-1), atol=2e-3
    )
    np.testing.assert_allclose(again, sample.log_probability, atol=2e-3)


@pytest.mark.parametrize("mean", [-50.0, -20.0, 20.0, 50.0])
def test_trap_02_nothing_overflows_far_out(mean: float) -> None:
    def total(parameters: tuple[Array, Array]) -> Array:
        sample = SquashedGaussian(mean=parameters[0], log_std=parameters[1], shape=(1,)).sample_with_log_prob(key=KEY)
        return jnp.sum(sample.log_probability) + jnp.sum(sample.action)

    parameters = (floats(np.full((8, 1), mean)), floats(np.zeros((8, 1))))
    value, gradients = jax.jit(jax.value_and_grad(total))(parameters)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    # At |u| = 50, log(1 − tanh²(u)) = 2 (log 2 − |u|) = −98.6.
    distribution = gaussian(np.full((1000, 1), mean), np.full((1000, 1), -8.0), shape=(1,))
    expected = scipy.stats.norm.logpdf(0.0) + 8.0 - 2.0 * (np.log(2.0) - abs(mean))
    np.testing.assert_allclose(sampled(distribution).log_probability.mean(), expected - 0.5, atol=0.1)


@pytest.mark.parametrize("action", [-1.0, 1.0])
def test_trap_02_actions_at_the_edge_have_finite_densities_and_gradients(action: float) -> None:
    def density(parameters: tuple[Array, Array]) -> Array:
        distribution = SquashedGaussian(mean=parameters[0], log_std=parameters[1], shape=(1,))
        return distribution.log_prob(action=floats([action]))

    parameters = (floats([0.0]), floats([0.0]))
    value, gradients = jax.jit(jax.value_and_grad(density))(parameters)
    np.testing.assert_allclose(value, scipy_log_density(action * LARGEST_TANH, 0.0, 0.0), rtol=1e-2)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    # The gradient pulls the mean towards the action.
    assert np.sign(gradients[0]) == np.sign(action)


def test_the_entropy_of_a_squashed_gaussian_is_an_unbiased_estimate() -> None:
    mean, log_std = 0.4, -0.5
    grid = np.tanh(np.linspace(-8.0, 8.0, 20_001))
    log_density = scipy_log_density(grid, mean, log_std)
    exact = np.trapezoid(-np.exp(log_density) * log_density, grid)
    distribution = gaussian(np.full((20_000, 2), mean), np.full((20_000, 2), log_std), shape=(2,))
    estimates = np.asarray(entropy_of(distribution))
    error = estimates.std() / np.sqrt(len(estimates))
    assert error < 0.02
    assert abs(estimates.mean() - 2.0 * exact) < 4.0 * error
    # A wider distribution inside of the box has more of it.
    narrow = gaussian(np.zeros((1000, 1)), np.full((1000, 1), -3.0), shape=(1,)).entropy(key=KEY)
    wide = gaussian(np.zeros((1000, 1)), np.full((1000, 1), -1.0), shape=(1,)).entropy(key=KEY)
    assert narrow.mean() < wide.mean() - 1.5


def test_the_mode_of_a_squashed_gaussian_is_its_median() -> None:
    distribution = gaussian(np.full((4001, 1), 0.8), np.full((4001, 1), 0.3), shape=(1,))
    np.testing.assert_allclose(mode_of(distribution)[0], np.tanh(0.8), rtol=1e-6)
    share_below = np.mean(np.asarray(sampled(distribution).action) < np.tanh(0.8))
    assert share_below == pytest.approx(0.5, abs=0.03)


def test_samples_are_differentiable_with_respect_to_the_parameters() -> None:
    def action(mean: Array, log_std: Array) -> Array:
        return jnp.asarray(SquashedGaussian(mean=mean, log_std=log_std, shape=()).sample(key=KEY))

    mean, log_std = floats(0.2), floats(-0.4)
    by_mean, by_log_std = jax.device_get(jax.jit(jax.grad(action, argnums=(0, 1)))(mean, log_std))
    noise = float(jax.random.normal(KEY, ()))
    slope = 1.0 - np.tanh(0.2 + np.exp(-0.4) * noise) ** 2
    np.testing.assert_allclose(by_mean, slope, rtol=1e-4)
    np.testing.assert_allclose(by_log_std, slope * np.exp(-0.4) * noise, rtol=1e-4)


# Categoricals


def test_trap_06_a_single_choice_equals_scipy() -> None:
    logits = np.array([0.3, -1.2, 2.0, 0.0])
    probabilities = np.exp(logits) / np.exp(logits).sum()
    distribution = Categorical(logits=jnp.asarray(np.tile(logits, (4, 1, 1)), jnp.float32), sizes=(4,), shape=())
    values = log_prob(distribution, np.arange(4, dtype=np.int32))
    expected = scipy.stats.rv_discrete(values=(range(4), probabilities)).logpmf(np.arange(4))
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert np.all(np.asarray(values) < 0.0)
    np.testing.assert_allclose(entropy_of(distribution), scipy.stats.entropy(probabilities), rtol=1e-5)
    np.testing.assert_array_equal(mode_of(distribution), [2, 2, 2, 2])
    uniform = Categorical(logits=floats(np.zeros((4, 1, 4))), sizes=(4,), shape=())
    np.testing.assert_allclose(entropy_of(uniform, KEY), np.log(4.0), rtol=1e-6)


def several(batch: int, *, shape: tuple[int, ...] = (3,)) -> Categorical:
    # Components of 2, 4 and 3 options; the padded options have the largest logits, and must not matter.
    logits = np.array([[0.5, -0.5, 9.0, 9.0], [0.0, 1.0, -1.0, 0.3], [-0.2, 0.1, 0.4, 9.0]], np.float32)
    return Categorical(logits=jnp.asarray(np.tile(logits, (batch, 1, 1))), sizes=(2, 4, 3), shape=shape)


def component_probabilities() -> list[np.ndarray[Any, Any]]:
    rows = ([0.5, -0.5], [0.0, 1.0, -1.0, 0.3], [-0.2, 0.1, 0.4])
    return [np.exp(row) / np.exp(row).sum() for row in rows]


def test_components_of_different_sizes_never_give_padded_options() -> None:
    distribution = several(20_000)
    sample = sampled(distribution)
    action = np.asarray(sample.action)
    assert action.shape == (20_000, 3)
    assert action.dtype == np.int32
    assert np.all(action < [2, 4, 3])
    for index, probabilities in enumerate(component_probabilities()):
        counts = np.bincount(action[:, index], minlength=len(probabilities))
        assert scipy.stats.chisquare(counts, 20_000 * probabilities).pvalue > 1e-4
    np.testing.assert_array_equal(mode_of(distribution)[0], [0, 1, 2])
    expected = sum(scipy.stats.entropy(probabilities) for probabilities in component_probabilities())
    np.testing.assert_allclose(entropy_of(distribution)[:3], expected, rtol=1e-5)
    np.testing.assert_allclose(
        sample.log_probability[:50],
        [
            sum(
                np.log(probabilities[choice])
                for probabilities, choice in zip(component_probabilities(), row, strict=True)
            )
            for row in action[:50]
        ],
        rtol=1e-4,
    )


def test_components_are_sampled_independently() -> None:
    action = np.asarray(sampled(several(20_000), KEY).action, np.float64)
    assert np.max(np.abs(np.asarray(np.corrcoef(action.T))[np.triu_indices(3, 1)])) < 0.03


@pytest.mark.parametrize("shape", [(3, 1)])
def test_choices_have_the_shape_of_their_leaf(shape: tuple[int, ...]) -> None:
    distribution = several(5, shape=shape)
    sample = sampled(distribution)
    assert sample.action.shape == mode_of(distribution).shape == (5, *shape)
    assert sample.log_probability.shape == entropy_of(distribution).shape == (5,)
    np.testing.assert_allclose(log_prob(distribution, sample.action), sample.log_probability)


def test_padded_options_have_finite_gradients_of_zero() -> None:
    def objective(logits: Array) -> Array:
        distribution = Categorical(logits=logits, sizes=(2, 4, 3), shape=(3,))
        likelihood = distribution.log_prob(action=jnp.asarray(np.array([[1, 3, 2], [0, 0, 0]], np.int32)))
        return jnp.sum(likelihood) + jnp.sum(distribution.entropy(key=KEY))

    gradient = np.asarray(jax.jit(jax.grad(objective))(several(2).logits))
    assert np.all(np.isfinite(gradient))
    padded = np.arange(4)[None, :] >= np.array([2, 4, 3])[:, None]
    assert np.all(gradient[:, padded] == 0.0)
    assert np.all(gradient[:, ~padded] != 0.0)
    # Each component's gradients sum to zero: shifting all of its logits changes nothing.
    np.testing.assert_allclose(gradient.sum(axis=-1), 0.0, atol=1e-6)


def test_very_unlikely_options_have_finite_entropies_and_gradients() -> None:
    def entropy(logits: Array) -> Array:
        return jnp.sum(Categorical(logits=logits, sizes=(2,), shape=()).entropy(key=KEY))

    value, gradient = jax.jit(jax.value_and_grad(entropy))(floats([[[200.0, -200.0]]]))
    assert value == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.isfinite(gradient))


# Bits


def test_trap_06_bits_equal_scipy() -> None:
    logits = np.array([[0.7, -1.1], [2.0, 0.0]])
    one = 1.0 / (1.0 + np.exp(-logits))
    bits = np.array([[1, 0], [1, 1]], np.int8)
    distribution = Bernoulli(logits=jnp.asarray(logits[None], jnp.float32), shape=(2, 2))
    value = log_prob(distribution, jnp.asarray(bits[None]))
    assert value.shape == (1,)
    np.testing.assert_allclose(value[0], scipy.stats.bernoulli.logpmf(bits, one).sum(), rtol=1e-5)
    np.testing.assert_allclose(entropy_of(distribution)[0], scipy.stats.bernoulli.entropy(one).sum(), rtol=1e-5)
    np.testing.assert_array_equal(mode_of(distribution)[0], [[1, 0], [1, 0]])
    # A bit that is likely to be 1 is more likely 1 than 0.
    single = Bernoulli(logits=floats([[3.0]]), shape=(1,))
    assert log_prob(single, np.array([[1]], np.int8)) > log_prob(single, np.array([[0]], np.int8))


def test_bits_are_sampled_with_their_probabilities() -> None:
    logits = np.array([-2.0, 0.0, 1.5])
    distribution = Bernoulli(logits=jnp.asarray(np.tile(logits, (20_000, 1)), jnp.float32), shape=(3,))
    sample = sampled(distribution)
    assert sample.action.dtype == jnp.int8
    frequencies = np.asarray(sample.action, np.float64).mean(axis=0)
    np.testing.assert_allclose(frequencies, 1.0 / (1.0 + np.exp(-logits)), atol=0.015)
    np.testing.assert_allclose(log_prob(distribution, sample.action), sample.log_probability)


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_certain_bits_have_finite_numbers(logit: float) -> None:
    def objective(logits: Array) -> Array:
        distribution = Bernoulli(logits=logits, shape=(1,))
        ones = jnp.asarray(np.array([[1]], np.int8))
        return jnp.sum(distribution.entropy(key=KEY) + distribution.log_prob(action=ones))

    value, gradient = jax.jit(jax.value_and_grad(objective))(floats([[logit]]))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


# Joints


def joint(batch: int) -> Joint:
    return Joint(
        parts={
            "move": (gaussian(np.full((batch, 2), 0.2), np.full((batch, 2), -1.0), shape=(2,)), several(batch)),
            "grip": {"bits": Bernoulli(logits=floats(np.tile([0.5, -0.5], (batch, 1))), shape=(2,))},
        }
    )


def parts(distribution: Joint) -> list[tuple[Distribution, Any]]:
    tree: Any = distribution.parts
    sample = sampled(distribution).action
    return [
        (tree["grip"]["bits"], sample["grip"]["bits"]),
        (tree["move"][0], sample["move"][0]),
        (tree["move"][1], sample["move"][1]),
    ]


def test_a_joint_is_the_sum_of_its_parts() -> None:
    distribution = joint(20_000)
    sample = sampled(distribution)
    assert sample.action["move"][0].shape == (20_000, 2)
    assert sample.action["move"][1].shape == (20_000, 3)
    assert sample.action["grip"]["bits"].shape == (20_000, 2)
    expected = sum(np.asarray(log_prob(part, action)) for part, action in parts(distribution))
    np.testing.assert_allclose(sample.log_probability, expected, atol=1e-3)
    np.testing.assert_allclose(log_prob(distribution, sample.action), expected, rtol=1e-6)
    mode = mode_of(distribution)
    np.testing.assert_allclose(mode["move"][0], np.tanh(0.2), rtol=1e-6)
    np.testing.assert_array_equal(mode["move"][1][0], [0, 1, 2])
    np.testing.assert_array_equal(mode["grip"]["bits"][0], [1, 0])
    jax.tree.map(lambda one, other: None, mode, sample.action)


def test_the_entropy_of_a_joint_is_the_sum_of_its_parts() -> None:
    many = joint(20_000)
    estimates = np.asarray(entropy_of(many, KEY))
    (bits, _), (continuous, _), (choices, _) = parts(many)
    exact = np.asarray(entropy_of(bits, KEY)[0] + entropy_of(choices, KEY)[0])
    expected = exact + np.asarray(entropy_of(continuous, jax.random.fold_in(KEY, 7))).mean()
    assert estimates.mean() == pytest.approx(float(expected), abs=0.04)


def test_trap_19_the_leaves_of_a_joint_are_sampled_independently() -> None:
    twin = gaussian(np.zeros((5000, 1)), np.zeros((5000, 1)), shape=(1,))
    sample = sampled(Joint(parts=(twin, twin)), KEY).action
    correlation = np.corrcoef(np.asarray(sample[0])[:, 0], np.asarray(sample[1])[:, 0])[0, 1]
    assert abs(correlation) < 0.07


def test_distributions_pass_through_scan_and_vmap() -> None:
    batch = Joint(parts=(gaussian(np.full((4, 1), 0.2), np.zeros((4, 1)), shape=(1,)), several(4)))
    action = (floats([[0.1], [0.2], [0.3], [0.4]]), jnp.asarray(np.zeros((4, 3), np.int32)))

    @jax.jit
    def compute(stacked: Joint) -> tuple[Array, Array]:
        def step(carry: Array, distribution: Joint) -> tuple[Array, Array]:
            return carry, distribution.log_prob(action=action)

        _, scanned = jax.lax.scan(step, jnp.zeros(()), stacked)

        def row(distribution: Joint, one: Any) -> Array:
            return distribution.log_prob(action=one)

        return scanned, jax.vmap(jax.vmap(row), in_axes=(0, None))(stacked, action)

    scanned, mapped = compute(jax.tree.map(lambda leaf: np.stack([leaf, leaf]), batch))
    assert scanned.shape == (2, 4)
    np.testing.assert_allclose(scanned, np.stack([log_prob(batch, action)] * 2), rtol=1e-5)
    np.testing.assert_allclose(mapped, scanned, rtol=1e-5)


def test_the_same_key_gives_the_same_sample_and_another_key_another() -> None:
    distribution = joint(20_000)
    one, same = sampled(distribution).action, sampled(distribution).action
    jax.tree.map(np.testing.assert_array_equal, one, same)
    other = sampled(distribution, jax.random.fold_in(KEY, 1)).action
    assert all(np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))

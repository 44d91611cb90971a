"""PPO's objectives, with numbers worked out by hand."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.averages import explained_variance, standardised, weighted_mean
from triax.objectives.policy_gradient import (
    approximate_kl,
    clip_fraction,
    clipped_surrogate_loss,
    importance_weighted_loss,
    log_ratio,
    reverse_kl,
    score_function_loss,
    value_loss,
)

ALL = jnp.array([True, True, True, True])
"""Four rows that count."""


def _unchecked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take the tests' annotation checker off, as users run the code."""
    unwrapped: Callable[..., Any] = getattr(function, "__wrapped__", function)
    return unwrapped


def test_clipped_surrogate_by_hand() -> None:
    # ε = 0.2.       r      Â    r Â    clipped r · Â    minimum
    #                1.5    1    1.5    1.2              1.2    the gain is clipped
    #                0.5    1    0.5    0.8              0.5    a loss is not
    #                1.5   −1   −1.5   −1.2             −1.5
    #                0.5   −1   −0.5   −0.8             −0.8
    # mean: (1.2 + 0.5 − 1.5 − 0.8) / 4 = −0.15, the loss is its negative
    ratio = jnp.log(jnp.array([1.5, 0.5, 1.5, 0.5]))
    advantage = jnp.array([1.0, 1.0, -1.0, -1.0])

    def loss_of(ratio: jax.Array, advantage: jax.Array) -> jax.Array:
        return clipped_surrogate_loss(log_ratio=ratio, advantage=advantage, clip_range=0.2, weight=ALL)

    np.testing.assert_allclose(loss_of(ratio, advantage), 0.15, rtol=1e-6)
    # d loss / d log r = −Â r / 4 where not clipped, else 0; nothing flows into the advantages.
    slopes, advantage_slopes = jax.grad(loss_of, argnums=(0, 1))(ratio, advantage)
    np.testing.assert_allclose(slopes, [0.0, -0.125, 0.375, 0.0], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(advantage_slopes, 0.0)


def test_ratio_one_has_the_gradient_of_reinforce() -> None:
    # At r = 1 the loss is −mean(Â), its gradient in log π is −Â / N.
    advantage = jnp.array([1.0, -2.0, 3.0, 4.0])

    def loss_of(log_probability: jax.Array) -> jax.Array:
        ratio = log_ratio(log_probability=log_probability, old_log_probability=jnp.full(4, -0.7), weight=ALL)
        return clipped_surrogate_loss(log_ratio=ratio, advantage=advantage, clip_range=0.2, weight=ALL)

    loss, slopes = jax.value_and_grad(loss_of)(jnp.full(4, -0.7))
    np.testing.assert_allclose(loss, -1.5, rtol=1e-6)
    np.testing.assert_allclose(slopes, -advantage / 4, rtol=1e-6)


def test_plain_and_importance_weighted_losses_by_hand() -> None:
    # log π = −1, −2, Â = 3, −4, the second row counting twice: −(3·(−1) + 2·(−4)·(−2)) / 3 = −13/3; slopes −Â w / 3.
    # r = 2, ½ with the same Â and weights: −(3·2 + 2·(−4)·½) / 3 = −2/3; slopes in log r: −Â r w / 3 = −2, 4/3.
    advantage, weight = jnp.array([3.0, -4.0]), jnp.array([1.0, 2.0])
    cases: tuple[tuple[Any, str, jax.Array, float, list[float]], ...] = (
        (score_function_loss, "log_probability", jnp.array([-1.0, -2.0]), -13 / 3, [-1.0, 8 / 3]),
        (importance_weighted_loss, "log_ratio", jnp.log(jnp.array([2.0, 0.5])), -2 / 3, [-2.0, 4 / 3]),
    )
    for loss_of, name, argument, expected, slopes in cases:

        def loss(argument: jax.Array, advantage: jax.Array, loss_of: Any = loss_of, name: str = name) -> jax.Array:
            value: jax.Array = loss_of(**{name: argument}, advantage=advantage, weight=weight)
            return value

        np.testing.assert_allclose(loss(argument, advantage), expected, rtol=1e-6)
        found, none = jax.grad(loss, argnums=(0, 1))(argument, advantage)
        np.testing.assert_allclose(found, slopes, rtol=1e-6)
        np.testing.assert_array_equal(none, 0.0)


def test_reverse_kl_by_hand_and_in_expectation() -> None:
    # r = 2: 2 log 2 − 1 = 0.3862944; r = ½: −½ log 2 + ½ = 0.1534264; r = 1 twice: 0. Mean: 0.5397208 / 4 = 0.1349302.
    ratio = jnp.log(jnp.array([2.0, 0.5, 1.0, 1.0]))
    np.testing.assert_allclose(reverse_kl(log_ratio=ratio, weight=ALL), 0.1349302, rtol=1e-5)
    # p = 0.3 acted, q = 0.4 learns: KL(q ‖ p) = 0.4 log(4/3) + 0.6 log(6/7) = 0.1150728 − 0.0924904 = 0.0225824; the
    # forward one is 0.0216009.
    ratio = jnp.log(jnp.array([0.4 / 0.3, 0.6 / 0.7]))
    np.testing.assert_allclose(reverse_kl(log_ratio=ratio, weight=jnp.array([0.3, 0.7])), 0.0225824, rtol=1e-4)


def test_value_loss_by_hand() -> None:
    # V = 1, 4; y = 3, 0; V_old = 0, 5. Squares: 4, 16; half the mean: ½ · 10 = 5.
    # Clipped to V_old ± 0.5: 0.5, 4.5; squares (0.5 − 3)² = 6.25, 4.5² = 20.25; maxima 6.25, 20.25: ½ · 13.25 = 6.625.
    arrays: dict[str, Any] = {
        "value": jnp.array([1.0, 4.0]),
        "target": jnp.array([3.0, 0.0]),
        "old_value": jnp.array([0.0, 5.0]),
        "weight": ALL[:2],
    }
    np.testing.assert_allclose(value_loss(**arrays, clip_range=None), 5.0, rtol=1e-6)
    np.testing.assert_allclose(value_loss(**arrays, clip_range=0.5), 6.625, rtol=1e-6)


def test_approximate_kl_and_clip_fraction_by_hand() -> None:
    # r = 2: 2 − 1 − log 2 = 0.3068528; r = ½: ½ − 1 + log 2 = 0.1931472; r = 1 twice: 0. Mean: 0.5 / 4 = 0.125.
    # |r − 1|: 1, ½, 0, 0: two of four above 0.2, one of four above 0.6.
    ratio = jnp.log(jnp.array([2.0, 0.5, 1.0, 1.0]))
    np.testing.assert_allclose(approximate_kl(log_ratio=ratio, weight=ALL), 0.125, rtol=1e-5)
    np.testing.assert_allclose(clip_fraction(log_ratio=ratio, clip_range=0.2, weight=ALL), 0.5)
    np.testing.assert_allclose(clip_fraction(log_ratio=ratio, clip_range=0.6, weight=ALL), 0.25)


def test_approximate_kl_is_the_expectation_of_the_true_one() -> None:
    # Two Bernoulli policies, p = 0.3 acted, q = 0.4 learns. Rows weighed by how often each action is taken:
    # KL = 0.3 log(0.3/0.4) + 0.7 log(0.7/0.6) = −0.0863046 + 0.1079055 = 0.0216009
    ratio = jnp.log(jnp.array([0.4 / 0.3, 0.6 / 0.7]))
    np.testing.assert_allclose(approximate_kl(log_ratio=ratio, weight=jnp.array([0.3, 0.7])), 0.0216009, rtol=1e-4)


def test_explained_variance_by_hand() -> None:
    # y = 0, 2, 4, 6: variance 5. v = y + 1, off by a constant: 1. v = 3: residual variance 5: 0.
    # v = −y: residuals 2y, variance 20: 1 − 4 = −3.
    target = jnp.array([0.0, 2.0, 4.0, 6.0])
    for values, expected in ((target + 1.0, 1.0), (jnp.full(4, 3.0), 0.0), (-target, -3.0)):
        np.testing.assert_allclose(explained_variance(values=values, target=target, weight=ALL), expected, atol=1e-6)
    assert float(explained_variance(values=target, target=jnp.ones(4), weight=ALL)) == 0.0


def test_standardised_leaves_out_rows_that_do_not_count() -> None:
    # 1 and 3 count: mean 2, standard deviation 1.
    values = standardised(values=jnp.array([1.0, 500.0, 3.0]), weight=jnp.array([True, False, True]))
    np.testing.assert_allclose(values, [-1.0, 0.0, 1.0], rtol=1e-5)
    np.testing.assert_array_equal(standardised(values=jnp.array([7.0, 1.0]), weight=jnp.array([True, False])), 0.0)


def test_weighted_mean_by_hand() -> None:
    # (1·2 + 3·4) / (1 + 3) = 3.5, and NaN where nothing counts is no matter.
    mean = weighted_mean(values=jnp.array([2.0, 4.0, jnp.nan]), weight=jnp.array([1.0, 3.0, 0.0]))
    np.testing.assert_allclose(mean, 3.5)


@pytest.mark.parametrize("weight", [[True, False], [False, False]])
def test_rows_that_do_not_count_give_neither_value_nor_gradient(weight: list[bool]) -> None:
    # The second row's ratio is e^200, which overflows.
    mask = jnp.asarray(weight)

    def loss_of(log_probability: jax.Array, value: jax.Array) -> jax.Array:
        ratio = log_ratio(log_probability=log_probability, old_log_probability=jnp.array([0.0, -200.0]), weight=mask)
        surrogate = clipped_surrogate_loss(
            log_ratio=ratio, advantage=jnp.array([2.0, jnp.inf]), clip_range=0.2, weight=mask
        )
        zeros = jnp.zeros(2)
        return surrogate + value_loss(value=value, target=zeros, old_value=zeros, clip_range=None, weight=mask)

    loss, slopes = jax.value_and_grad(loss_of, argnums=(0, 1))(jnp.zeros(2), jnp.array([4.0, 9.0]))
    # One row: −2 + ½ · 16 = 6, slopes −Â = −2 and V = 4. None: 0.
    np.testing.assert_allclose(loss, 6.0 if weight[0] else 0.0)
    np.testing.assert_allclose(slopes, [[-2.0, 0.0], [4.0, 0.0]] if weight[0] else [[0.0, 0.0], [0.0, 0.0]])


def test_trap_04_columns_against_rows_are_refused() -> None:
    row, column = jnp.zeros(3), jnp.zeros((3, 1))
    mask = jnp.ones(3, jnp.bool_)
    calls: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
        (log_ratio, {"log_probability": row, "old_log_probability": column, "weight": mask}),
        (clipped_surrogate_loss, {"log_ratio": row, "advantage": column, "clip_range": 0.2, "weight": mask}),
        (value_loss, {"value": row, "target": column, "old_value": row, "clip_range": None, "weight": mask}),
        (value_loss, {"value": column, "target": column, "old_value": column, "clip_range": None, "weight": mask}),
        (approximate_kl, {"log_ratio": column, "weight": mask}),
        (clip_fraction, {"log_ratio": column, "clip_range": 0.2, "weight": mask}),
        (explained_variance, {"values": row, "target": column, "weight": mask}),
        (standardised, {"values": column, "weight": mask}),
    )
    for function, arguments in calls:
        with pytest.raises(ValueError, match="has the shape"):
            _unchecked(function)(**arguments)

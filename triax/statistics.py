"""Statistics of returns: robust averages, and intervals that say how far they can be trusted."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic: TypeAlias = Literal["mean", "iqm"]
"""The mean, or the interquartile mean: that of the middle half of the values."""

RESAMPLES = 2000
_CHUNK = 4_000_000  # numbers that a chunk of resampled curves may hold: 32 MB


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval.

    :param low: its lower end.
    :param high: its upper end.
    """

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Band:
    """Confidence intervals at the points of a curve, each for itself.

    :param low: their lower ends, ``[T]``.
    :param high: their upper ends, ``[T]``.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def interquartile_mean(values: ArrayLike, *, axis: int = -1) -> NDArray[np.float64]:
    """Average the middle half of the values.

    A quarter of them, rounded down, is left out at either end, so that with fewer than four it is the mean. (Agarwal
    et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice", recommend it for few seeds.)

    :param values: the values.
    :param axis: the axis to average over.
    :return: the averages; an array without dimensions for a single one. NaN among the values makes NaN.
    """
    # Imported here: it takes a second, which a program that only trains need not spend.
    from scipy.stats import trim_mean

    array = np.asarray(values, np.float64)
    trimmed = trim_mean(array, 0.25, axis=axis)
    # Sorting puts NaN last, where it would be trimmed like a high value.
    return np.where(np.isnan(array).any(axis=axis), np.nan, trimmed)


def average(values: ArrayLike, *, statistic: Statistic, axis: int = -1) -> NDArray[np.float64]:
    """Average values by the statistic of this name.

    :param values: the values.
    :param statistic: the statistic.
    :param axis: the axis to average over.
    :return: the averages.
    """
    if statistic == "iqm":
        return interquartile_mean(values, axis=axis)
    return np.asarray(np.mean(np.asarray(values, np.float64), axis=axis), np.float64)


def bootstrap_interval(
    values: ArrayLike, *, statistic: Statistic = "mean", confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Estimate a confidence interval of a statistic by the bootstrap.

    The mean's is bias-corrected and accelerated (BCa); the interquartile mean's takes percentiles, since the
    acceleration of a trimmed mean is often 0/0.

    :param values: independent values, ``[N]``.
    :param statistic: the statistic.
    :param confidence: the share of intervals made like this one that hold the true value.
    :param seed: the seed of the resampling, so that the same values always give the same interval.
    :return: the interval. Values that are all the same give that value twice, a single one too; if a value is not
        finite, both ends are NaN.
    :raises ValueError: if there are no values.
    """
    array = np.asarray(values, np.float64).reshape(-1)
    if array.size == 0:
        raise ValueError("an interval of no values")
    if not np.isfinite(array).all():
        return Interval(low=np.nan, high=np.nan)
    if (array == array[0]).all():
        return Interval(low=float(array[0]), high=float(array[0]))
    from scipy.stats import bootstrap

    def of(sample: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return average(sample, statistic=statistic, axis=axis)

    # Around their centre and by their spread: values that differ in their last digits alone, or are huge, would give
    # 0/0 in the acceleration. The interval moves and scales with them.
    centre, spread = array.mean(), np.ptp(array)
    found: Any = bootstrap(
        ((array - centre) / spread,),
        of,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="BCa" if statistic == "mean" else "percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(low=float(found.low * spread + centre), high=float(found.high * spread + centre))


def bootstrap_band(curves: ArrayLike, *, statistic: Statistic = "iqm", confidence: float = 0.95, seed: int = 0) -> Band:
    """Estimate confidence intervals along the average of several curves, by the percentile bootstrap over the curves.

    Curves are drawn whole, so that one resample is a set of runs and not a patchwork of them.

    :param curves: a curve a row, ``[S, T]``.
    :param statistic: how the curves are averaged.
    :param confidence: the share of intervals made like these that hold the true value.
    :param seed: the seed of the resampling.
    :return: the band.
    :raises ValueError: if there are no curves, or they are no matrix.
    """
    array = np.asarray(curves, np.float64)
    if array.ndim != 2 or array.shape[0] == 0:
        raise ValueError(f"curves of shape {array.shape}; expected [curves, points], and one curve at least")
    count, points = array.shape
    drawn = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    tail = (1 - confidence) / 2
    low, high = np.empty(points), np.empty(points)
    width = max(1, _CHUNK // (RESAMPLES * count))
    for begin in range(0, points, width):
        part = slice(begin, begin + width)
        averages = average(array[:, part][drawn], statistic=statistic, axis=1)
        low[part], high[part] = np.quantile(averages, (tail, 1 - tail), axis=0)
    return Band(low=low, high=high)

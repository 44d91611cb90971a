"""Averages and intervals, against numbers worked out by hand and against what they promise."""

import numpy as np
import pytest

from triax.statistics import Interval, Statistic, average, bootstrap_band, bootstrap_interval, interquartile_mean


def test_the_interquartile_mean_by_hand() -> None:
    # 8 values: a quarter of 8 is 2, so 1 2 | 3 4 5 6 | 7 100 averages (3 + 4 + 5 + 6) / 4 = 4.5.
    assert interquartile_mean([100, 1, 7, 2, 6, 3, 5, 4]) == 4.5
    # 5 values: a quarter of 5, rounded down, is 1: 0 | 1 2 6 | 50 averages 3.
    assert interquartile_mean([50, 0, 1, 6, 2]) == 3
    # Fewer than 4: nothing is left out.
    assert interquartile_mean([1, 2, 6]) == 3
    assert interquartile_mean([[0.0, 8.0], [1.0, 9.0], [2.0, 10.0], [50.0, -99.0]], axis=0).tolist() == [1.5, 8.5]
    # A seed that diverged is not left out as if it were the best.
    assert np.isnan(interquartile_mean([1, 2, np.nan, 4, 5]))


def test_average_names_the_statistics() -> None:
    assert average([0, 1, 2, 50], statistic="mean") == 13.25
    assert average([0, 1, 2, 50], statistic="iqm") == 1.5


def test_two_values_by_hand() -> None:
    # Resampled means of {0, 1} are 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: the 2.5 % and 97.5 % points are 0 and 1.
    assert bootstrap_interval([0.0, 1.0]) == Interval(low=0.0, high=1.0)
    assert bootstrap_interval([0.0, 1.0], statistic="iqm") == Interval(low=0.0, high=1.0)
    # The 30 % and 70 % points are both 1/2.
    assert bootstrap_interval([0.0, 1.0], confidence=0.4, statistic="iqm") == Interval(low=0.5, high=0.5)


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
@pytest.mark.parametrize("values", [[3.5], [0.1] * 7, [-1e300, -1e300], [0.0] * 5])
def test_values_that_do_not_differ_give_themselves(values: list[float], statistic: Statistic) -> None:
    interval = bootstrap_interval(values, statistic=statistic)
    assert interval == Interval(low=values[0], high=values[0])


@pytest.mark.parametrize("values", [[1.0, np.nan, 2.0], [np.inf, 1.0]])
def test_values_that_are_not_finite_give_no_interval(values: list[float]) -> None:
    interval = bootstrap_interval(values)
    assert np.isnan([interval.low, interval.high]).all()


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        bootstrap_band(np.zeros((0, 3)))


def test_awkward_values_give_finite_intervals_without_warnings() -> None:
    generator = np.random.default_rng(0)
    awkward: list[list[float]] = [
        [1.0, np.nextafter(1.0, 2.0)],
        [1.0, 1.0, 1.0, np.nextafter(1.0, 2.0)],
        [0.0] * 19 + [1.0],
        [1e200, -1e200, 3.0],
        [1e-200, 2e-200, 4e-200],
        [200.0] * 9 + [-1e6],
        *[generator.integers(0, 2, size=size).tolist() for size in range(2, 12)],
        *[generator.standard_cauchy(size=size).tolist() for size in range(2, 12)],
    ]
    for values in awkward:
        for interval in (bootstrap_interval(values), bootstrap_interval(values, statistic="iqm")):
            tolerance = 1e-12 * np.abs(values).max()
            assert np.min(values) - tolerance <= interval.low <= interval.high <= np.max(values) + tolerance


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    # 200 samples of 20 normal values. BCa is known to fall somewhat short for few values; 95 % of 200 is 190, and the
    # standard deviation of the count is 3.1. An interval half as wide would hold the truth in 67 % of the cases: 134.
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        interval = bootstrap_interval(generator.normal(3.0, 2.0, size=20))
        held += interval.low <= 3.0 <= interval.high
    assert 175 <= held <= 198


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=10)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values)


def test_the_band_is_the_percentile_interval_at_each_point() -> None:
    # Curves {0, 1} at the first point as above, constant at the second, and ten times as far apart at the third.
    band = bootstrap_band([[0.0, 5.0, 0.0], [1.0, 5.0, 10.0]], statistic="mean")
    assert band.low.tolist() == [0.0, 5.0, 0.0]
    assert band.high.tolist() == [1.0, 5.0, 10.0]
    assert bootstrap_band([[1.0, 2.0]]).low.tolist() == [1.0, 2.0]


def test_the_band_does_not_depend_on_how_it_is_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = np.random.default_rng(3).normal(size=(6, 50))
    whole = bootstrap_band(curves)
    monkeypatch.setattr("triax.statistics._CHUNK", 1)
    parts = bootstrap_band(curves)
    assert np.array_equal(whole.low, parts.low)
    assert np.array_equal(whole.high, parts.high)
    assert (whole.low < interquartile_mean(curves, axis=0)).all()
    assert (whole.high > interquartile_mean(curves, axis=0)).all()

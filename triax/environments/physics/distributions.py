"""From what a physical parameter is drawn, as data: frozen, printable, stored with the run.

All are bounded, because a policy that is shown a parameter sees it scaled to [-1, 1], and because a model has to
simulate at both ends.
"""

import dataclasses
import math
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Distribution(Protocol):
    """A distribution over an interval."""

    @property
    def low(self) -> float:
        """The smallest value."""

    @property
    def high(self) -> float:
        """The largest value."""

    def draw(self, generator: np.random.Generator) -> float:
        """Draw a value.

        :param generator: where the randomness comes from; it is asked once, whatever the value.
        :return: in [low, high].
        """

    def to_unit(self, value: float) -> float:
        """Scale a value to where it lies between the bounds.

        :param value: a value.
        :return: −1 for low, 1 for high; 0 if there is one value only.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Uniform:
    """Every value between the bounds is equally likely.

    :raises ValueError: if the bounds are not finite, or not in order.
    """

    low: float
    """The smallest value, in the parameter's unit."""

    high: float
    """The largest value."""

    def __post_init__(self) -> None:
        _check_bounds(self)

    def draw(self, generator: np.random.Generator) -> float:
        """Draw a value; see :class:`Distribution`."""
        return min(max(self.low + generator.random() * (self.high - self.low), self.low), self.high)

    def to_unit(self, value: float) -> float:
        """Scale linearly; see :class:`Distribution`."""
        return _to_unit(value, low=self.low, high=self.high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogUniform:
    """The logarithm is uniform: as many values between 0.1 and 1 as between 1 and 10.

    :raises ValueError: if the bounds are not finite and positive, or not in order.
    """

    low: float
    """The smallest value, above 0, in the parameter's unit."""

    high: float
    """The largest value."""

    def __post_init__(self) -> None:
        _check_bounds(self)
        if self.low <= 0.0:
            raise ValueError(f"LogUniform: `low` has to be above 0, and is {self.low}. Take Uniform for bounds at 0.")

    def draw(self, generator: np.random.Generator) -> float:
        """Draw a value; see :class:`Distribution`."""
        value = math.exp(math.log(self.low) + generator.random() * (math.log(self.high) - math.log(self.low)))
        return min(max(value, self.low), self.high)

    def to_unit(self, value: float) -> float:
        """Scale the logarithm; see :class:`Distribution`."""
        return _to_unit(math.log(value), low=math.log(self.low), high=math.log(self.high))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values, all equally likely.

    :raises ValueError: if there are none, or one is not finite.
    """

    values: tuple[float, ...]
    """The values, in the parameter's unit."""

    def __post_init__(self) -> None:
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ValueError(f"Choice: `values` has to be some finite numbers, and is {self.values}.")

    @property
    def low(self) -> float:
        """The smallest value."""
        return float(min(self.values))

    @property
    def high(self) -> float:
        """The largest value."""
        return float(max(self.values))

    def draw(self, generator: np.random.Generator) -> float:
        """Draw a value; see :class:`Distribution`."""
        return float(self.values[int(generator.integers(len(self.values)))])

    def to_unit(self, value: float) -> float:
        """Scale linearly between the smallest and the largest; see :class:`Distribution`."""
        return _to_unit(value, low=self.low, high=self.high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fixed:
    """Always the same value.

    :raises ValueError: if it is not finite.
    """

    value: float
    """The value, in the parameter's unit."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"Fixed: `value` has to be finite, and is {self.value}.")

    @property
    def low(self) -> float:
        """The value."""
        return float(self.value)

    @property
    def high(self) -> float:
        """The value."""
        return float(self.value)

    def draw(self, generator: np.random.Generator) -> float:
        """Give the value; see :class:`Distribution`."""
        generator.random()
        return float(self.value)

    def to_unit(self, value: float) -> float:
        """Give 0; see :class:`Distribution`."""
        return 0.0


def _check_bounds(distribution: Uniform | LogUniform) -> None:
    low, high = distribution.low, distribution.high
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(
            f"{type(distribution).__name__}: `low` and `high` have to be finite and in order, and are {low} and {high}."
        )


def _to_unit(value: float, *, low: float, high: float) -> float:
    return 0.0 if low == high else 2.0 * (value - low) / (high - low) - 1.0

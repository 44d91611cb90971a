"""The rows of a run's logs: what one line of ``metrics.jsonl``, ``evaluations.jsonl`` and ``episodes.jsonl`` says.

The rows are strict JSON, which knows neither NaN nor infinity: a number that is not finite is written as ``null`` and
read as NaN. All other numbers are written with the digits that make them read back as the same number.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from triax.runs.files import JSON

_RESERVED = frozenset({"environment_steps", "updates", "policy_version", "wall_seconds"})


@dataclass(frozen=True, kw_only=True)
class MetricsRow:
    """The learner's metrics at one moment.

    :param environment_steps: the environment steps taken so far.
    :param updates: the gradient steps taken so far.
    :param policy_version: the number of the newest policy that was made for the fleet.
    :param wall_seconds: the time that the run has trained, over all its lives.
    :param metrics: the metrics by name. None may have the name of one of the fields above.
    """

    environment_steps: int
    updates: int
    policy_version: int
    wall_seconds: float
    metrics: Mapping[str, float]

    def __post_init__(self) -> None:
        taken = sorted(_RESERVED & self.metrics.keys())
        if taken:
            raise ValueError(f"a metric cannot be called {taken[0]!r}: a row has a number of this name")

    def to_json(self) -> dict[str, JSON]:
        """Turn into a row.

        :return: the object of one line.
        """
        return {
            "environment_steps": int(self.environment_steps),
            "updates": int(self.updates),
            "policy_version": int(self.policy_version),
            "wall_seconds": _number(self.wall_seconds),
            **{name: _number(value) for name, value in self.metrics.items()},
        }

    @staticmethod
    def from_json(row: Mapping[str, JSON]) -> "MetricsRow":
        """Read what :meth:`to_json` made.

        :param row: the object of one line.
        :return: the row.
        :raises KeyError: if a field is missing.
        :raises TypeError: if a value is not a number.
        """
        return MetricsRow(
            environment_steps=_integer(row, "environment_steps"),
            updates=_integer(row, "updates"),
            policy_version=_integer(row, "policy_version"),
            wall_seconds=_float(row["wall_seconds"]),
            metrics={name: _float(value) for name, value in row.items() if name not in _RESERVED},
        )


@dataclass(frozen=True, kw_only=True)
class EvaluationRow:
    """One evaluation of one policy version.

    :param environment_steps: the environment steps that training had taken when the policy was published.
    :param updates: the gradient steps that training had taken then.
    :param policy_version: the number of the policy.
    :param wall_seconds: the time that the run had trained, over all its lives.
    :param episodes: how many episodes were played.
    :param returns: the undiscounted return of each episode.
    :param lengths: the steps of each episode.
    :param mean: the mean return.
    :param interval_low: the lower end of the mean's confidence interval.
    :param interval_high: its upper end.
    :param physics: the values of each episode's randomised parameters, by their names; None if there are none.
    """

    environment_steps: int
    updates: int
    policy_version: int
    wall_seconds: float
    episodes: int
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    mean: float
    interval_low: float
    interval_high: float
    physics: tuple[Mapping[str, float], ...] | None = None

    def to_json(self) -> dict[str, JSON]:
        """Turn into a row.

        :return: the object of one line.
        """
        return {
            "environment_steps": int(self.environment_steps),
            "updates": int(self.updates),
            "policy_version": int(self.policy_version),
            "wall_seconds": _number(self.wall_seconds),
            "episodes": int(self.episodes),
            "returns": [_number(value) for value in self.returns],
            "lengths": [int(value) for value in self.lengths],
            "mean": _number(self.mean),
            "interval_low": _number(self.interval_low),
            "interval_high": _number(self.interval_high),
            **({} if self.physics is None else {"physics": [_numbers(values) for values in self.physics]}),
        }

    @staticmethod
    def from_json(row: Mapping[str, JSON]) -> "EvaluationRow":
        """Read what :meth:`to_json` made.

        :param row: the object of one line.
        :return: the row.
        :raises KeyError: if a field is missing.
        :raises TypeError: if a value is not a number.
        """
        return EvaluationRow(
            environment_steps=_integer(row, "environment_steps"),
            updates=_integer(row, "updates"),
            policy_version=_integer(row, "policy_version"),
            wall_seconds=_float(row["wall_seconds"]),
            episodes=_integer(row, "episodes"),
            returns=tuple(_float(value) for value in cast(list[JSON], row["returns"])),
            lengths=tuple(int(_float(value)) for value in cast(list[JSON], row["lengths"])),
            mean=_float(row["mean"]),
            interval_low=_float(row["interval_low"]),
            interval_high=_float(row["interval_high"]),
            physics=_physics(row.get("physics")),
        )


@dataclass(frozen=True, kw_only=True)
class EpisodeRow:
    """One episode of training.

    :param environment_steps: the environment steps that had been taken, over all environments, when it was taken in.
    :param environment: the number of its environment.
    :param undiscounted_return: the sum of its rewards.
    :param length: its steps.
    :param physics: the values of its randomised parameters, by their names; None if there are none.
    """

    environment_steps: int
    environment: int
    undiscounted_return: float
    length: int
    physics: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, JSON]:
        """Turn into a row.

        :return: the object of one line.
        """
        return {
            "environment_steps": int(self.environment_steps),
            "environment": int(self.environment),
            "return": _number(self.undiscounted_return),
            "length": int(self.length),
            **({} if self.physics is None else {"physics": _numbers(self.physics)}),
        }

    @staticmethod
    def from_json(row: Mapping[str, JSON]) -> "EpisodeRow":
        """Read what :meth:`to_json` made.

        :param row: the object of one line.
        :return: the row.
        :raises KeyError: if a field is missing.
        :raises TypeError: if a value is not a number.
        """
        physics = row.get("physics")
        return EpisodeRow(
            environment_steps=_integer(row, "environment_steps"),
            environment=_integer(row, "environment"),
            undiscounted_return=_float(row["return"]),
            length=_integer(row, "length"),
            physics=None if physics is None else _floats(cast(dict[str, JSON], physics)),
        )


def _numbers(values: Mapping[str, float]) -> dict[str, JSON]:
    return {name: _number(value) for name, value in values.items()}


def _physics(episodes: JSON) -> tuple[Mapping[str, float], ...] | None:
    if episodes is None:
        return None
    rows = cast(list[dict[str, JSON]], episodes)
    return tuple(_floats(row) for row in rows)


def _floats(values: Mapping[str, JSON]) -> dict[str, float]:
    return {name: _float(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    converted = float(value)  # a subclass of float, such as NumPy's, becomes Python's own
    return converted if math.isfinite(converted) else None


def _float(value: JSON) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _integer(row: Mapping[str, JSON], name: str) -> int:
    value = row[name]
    if not isinstance(value, int):
        raise TypeError(f"{name}: {value!r} is not an integer")
    return value

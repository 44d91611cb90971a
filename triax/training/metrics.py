"""What a run reports between two rows of its log: means of the learner's metrics and of the episodes."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from triax.training.loops import Iteration
from triax.trees import Tree


class Diverged(RuntimeError):
    """What a learner has come to are no finite numbers any more."""


class MetricMeans:
    """Means since the last row. Metrics stay on the device until a row, or a checkpoint, is due."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._maxima: dict[str, float] = {}
        self._rejected_steps = 0
        self._waiting: list[Tree] = []

    def add(self, *, iteration: Iteration) -> None:
        """Take in what an iteration reports.

        :param iteration: its metrics and episodes.
        """
        self._waiting.extend(iteration.metrics)
        for episode in iteration.episodes:
            self._add("episode_return", episode.undiscounted_return)
            self._add("episode_length", float(episode.length))
        for lag in iteration.policy_lags:
            self._add("policy_lag", float(lag))
            self._raise("policy_lag_maximum", to=float(lag))
        for ages in iteration.policy_ages:
            if ages.size:
                self._add("policy_age", float(ages.sum()), count=ages.size)
                self._raise("policy_age_maximum", to=float(ages.max()))
        self._rejected_steps += iteration.rejected_steps

    def check(self) -> None:
        """Look at what was taken in since the last row.

        :raises Diverged: if a metric is not finite, with its name.
        """
        self._bring_to_host()
        broken = [f"{name} = {total}" for name, total in sorted(self._sums.items()) if not math.isfinite(total)]
        if broken:
            raise Diverged(", ".join(broken))

    def take(self) -> dict[str, float]:
        """Compute the means, and begin anew.

        :return: by name, sorted.
        :raises Diverged: if a metric is not finite.
        """
        self.check()
        means = {name: self._sums[name] / self._counts[name] for name in sorted(self._sums)}
        means |= self._maxima
        if "policy_lag" in means:
            means["rejected_steps"] = float(self._rejected_steps)
        self._sums, self._counts, self._maxima, self._rejected_steps = {}, {}, {}, 0
        return means

    def state(self) -> dict[str, Any]:
        """Copy everything that changes.

        :return: JSON values.
        """
        self._bring_to_host()
        return {
            "sums": dict(self._sums),
            "counts": dict(self._counts),
            "maxima": dict(self._maxima),
            "rejected_steps": self._rejected_steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state` gave.

        :param state: JSON values.
        """
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])
        self._maxima, self._rejected_steps = dict(state["maxima"]), state["rejected_steps"]
        self._waiting = []

    def _bring_to_host(self) -> None:
        for metrics in jax.device_get(self._waiting):
            for name, values in _named(metrics).items():
                # In float64, one sum after the other: the same bits however often a checkpoint comes in between.
                flat = np.asarray(values, np.float64).ravel()
                if flat.size:
                    self._sums[name] = self._sums.get(name, 0.0) + float(np.sum(flat))
                    self._counts[name] = self._counts.get(name, 0) + flat.size
        self._waiting = []

    def _add(self, name: str, total: float, *, count: int = 1) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + total
        self._counts[name] = self._counts.get(name, 0) + count

    def _raise(self, name: str, *, to: float) -> None:
        self._maxima[name] = max(self._maxima.get(name, to), to)


def _named(metrics: Tree) -> dict[str, Any]:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    named = {field.name: getattr(metrics, field.name) for field in dataclasses.fields(metrics)}
    return {name: value for name, value in named.items() if value is not None}

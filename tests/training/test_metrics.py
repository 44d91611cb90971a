"""Means between two rows of the log."""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from triax.training.loops import Iteration
from triax.training.metrics import Diverged, MetricMeans
from triax.types import EpisodeSummary


def _iteration(*losses: float, episode: float | None = None) -> Iteration:
    summary = () if episode is None else (EpisodeSummary(undiscounted_return=episode, length=3, environment=0),)
    return Iteration(metrics=({"loss": jnp.asarray(losses, jnp.float32)},), episodes=summary)


def test_means_are_over_updates_and_over_episodes() -> None:
    means = MetricMeans()
    means.add(iteration=_iteration(1.0, 2.0, episode=-5.0))
    means.add(iteration=_iteration(6.0))
    # (1 + 2 + 6) / 3 = 3
    assert means.take() == {"episode_length": 3.0, "episode_return": -5.0, "loss": 3.0}
    assert means.take() == {}


def test_a_checkpoint_in_between_changes_no_bit() -> None:
    losses = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)

    def run(*, checkpoints: tuple[int, ...]) -> Any:
        means = MetricMeans()
        for index, row in enumerate(losses):
            means.add(iteration=_iteration(*row.tolist()))
            if index in checkpoints:
                state = json.loads(json.dumps(means.state()))
                means = MetricMeans()
                means.restore(state)
        return means.take()

    assert run(checkpoints=()) == run(checkpoints=(3, 4, 20)) == run(checkpoints=tuple(range(40)))


def test_ages_are_means_over_rows_with_their_maximum() -> None:
    means = MetricMeans()
    means.add(iteration=Iteration(policy_ages=(np.array([1, 3]), np.array([5]), np.array([], np.int64))))
    state = json.loads(json.dumps(means.state()))
    means = MetricMeans()
    means.restore(state)
    means.add(iteration=Iteration(policy_ages=(np.array([4, 2]),)))
    # (1 + 3 + 5 + 4 + 2) / 5 = 3
    assert means.take() == {"policy_age": 3.0, "policy_age_maximum": 5.0}
    assert means.take() == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_is_said(value: float) -> None:
    means = MetricMeans()
    means.add(iteration=_iteration(1.0, value))
    for look in (means.check, means.take):
        with pytest.raises(Diverged, match=r"^loss = (nan|inf)$"):
            look()

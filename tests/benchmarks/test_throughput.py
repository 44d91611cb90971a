"""What the script on throughput advises."""

import pytest
import throughput

WELL = {"waiting": 0.0, "share": 0.97, "environment": 10_000.0, "policy": 40_000.0}


@pytest.mark.parametrize(
    ("found", "limit", "setting"),
    [
        ({}, "Updates", "--learner.updates-per-step"),
        ({"share": 0.8}, "What goes on around", "--loop.updates-per-call"),
        ({"waiting": 0.3, "share": 0.7}, "The environment", "--rollout.workers"),
        ({"waiting": 0.3, "share": 0.7, "policy": 5_000.0}, "Acting", "--rollout.environments-per-worker"),
    ],
)
def test_the_advice_names_what_limits_and_a_setting(found: dict[str, float], limit: str, setting: str) -> None:
    said = throughput.advice(**{**WELL, **found})
    assert said.startswith(f"{limit} ")
    assert setting in said

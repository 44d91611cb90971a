"""Both sides of a comparison of speed have the same settings."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import speed
from seeds import read_rows
from settings import experiment_of

import triax

ROOT = Path(speed.ROOT)


def peer_settings(algorithm: str, *, environment: str) -> dict[str, Any]:
    """What the peer said of itself when it was last measured."""
    rows = [
        row
        for row in read_rows(ROOT / "results" / "speed.jsonl")
        if row["peer"]["algorithm"] == algorithm and row["environment"] == environment
    ]
    settings: dict[str, Any] = rows[-1]["peer"]["settings"]
    return settings


@pytest.mark.parametrize("name", ["sac_loop", "sac_updates", "ppo_loop", "sac_workers", "ppo_workers"])
def test_trap_43_both_sides_of_a_comparison_have_the_same_settings(name: str) -> None:
    experiment = speed.comparison_of(name, environment="HalfCheetah-v5").experiment
    algorithm = name.partition("_")[0]
    assert experiment.learner == experiment_of(ROOT / "experiments" / f"half_cheetah_{algorithm}.py").learner
    assert experiment.rollout.backend == ("processes" if name.endswith("workers") else "inline")
    peer = peer_settings(algorithm, environment="HalfCheetah-v5")
    speed.check_equal(experiment=experiment, peer=peer)
    for field in sorted(peer.keys() - {"seed", "vector"}):
        with pytest.raises(ValueError, match=f"^{field} is .* in our settings and 'starved' in the peer's"):
            speed.check_equal(experiment=experiment, peer={**peer, field: "starved"})


def test_each_environment_is_measured_with_the_settings_that_it_is_learned_with() -> None:
    measured = speed.comparison_of("sac_updates", environment="Hopper-v5").experiment
    learned = experiment_of(ROOT / "experiments" / "hopper_sac.py")
    assert measured.learner == learned.learner
    assert measured.loop == learned.loop
    assert measured.environment == learned.environment
    with pytest.raises(SystemExit, match="there are no learning results of ppo"):
        speed.comparison_of("ppo_loop", environment="Hopper-v5")


def test_trap_43_nothing_is_normalised_as_in_the_peer() -> None:
    ppo = speed.comparison_of("ppo_loop", environment="HalfCheetah-v5").experiment.learner
    assert isinstance(ppo, triax.PPOConfig)
    assert not ppo.normalise_observations
    assert not ppo.normalise_returns
    assert dataclasses.replace(ppo, normalise_returns=True) == triax.PPOConfig(steps=256, minibatch_size=256)

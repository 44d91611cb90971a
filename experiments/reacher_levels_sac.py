"""SAC reaches with an arm of two joints whose motors have five levels each: MultiDiscrete([5, 5]), 25 joint choices."""

import functools

import triax
from triax.environments import LevelAction

network = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(128, 128)))

experiment = triax.Experiment(
    name="reacher_levels_sac",
    learner=triax.SACConfig(actor=network, critic=network, initial_temperature=0.1, warmup_steps=1000),
    environment=triax.EnvironmentConfig(id="Reacher-v5", wrappers=(functools.partial(LevelAction, levels=5),)),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=30_000,
    evaluation=triax.EvaluationConfig(interval=2500, episodes=50, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)

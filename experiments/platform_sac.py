"""SAC on Platform: run, hop or leap (discrete), each with its own strength (continuous).

An environment of Masson et al. 2016 (arXiv:1509.01644), from the package hybrid-platform: `pip install
'triax[platform]'`. The return is the share of the way that was covered, 1 for all of it. A random policy has 0.15.
"""

import triax

network = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(128, 128)))
optimizer = triax.OptimizerConfig(learning_rate=1e-3)

experiment = triax.Experiment(
    name="platform_sac",
    learner=triax.SACConfig(
        actor=network,
        critic=network,
        actor_optimizer=optimizer,
        critic_optimizer=optimizer,
        discount=0.95,
        initial_temperature=0.02,
        warmup_steps=5000,
        updates_per_step=0.5,
    ),
    environment=triax.EnvironmentConfig(id="gym_platform:Platform-v0"),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=100_000,
    loop=triax.LoopConfig(video=False),
    evaluation=triax.EvaluationConfig(interval=10_000, episodes=200, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)

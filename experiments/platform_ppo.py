"""PPO on Platform, beside SAC (``platform_sac.py``, which says what it is)."""

import triax

experiment = triax.Experiment(
    name="platform_ppo",
    learner=triax.PPOConfig(
        steps=128,
        minibatch_size=512,
        epochs=10,
        discount=0.95,
        entropy_coefficient=0.01,
        normalise_observations=True,
        optimizer=triax.OptimizerConfig(learning_rate=1e-3, max_gradient_norm=0.5, epsilon=1e-5),
    ),
    environment=triax.EnvironmentConfig(id="gym_platform:Platform-v0"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=16),
    total_steps=200_000,
    loop=triax.LoopConfig(video=False),
    evaluation=triax.EvaluationConfig(interval=10_000, episodes=200, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)

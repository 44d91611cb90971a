"""SAC learns to balance two poles, one on the other, on a cart; needs the extra ``triax[mujoco]``."""

import triax

experiment = triax.Experiment(
    name="double_pendulum_sac",
    learner=triax.SACConfig(),
    environment=triax.EnvironmentConfig(id="InvertedDoublePendulum-v5"),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=30_000,
    evaluation=triax.EvaluationConfig(interval=5000, episodes=10, environments=10),
)

if __name__ == "__main__":
    triax.main(experiment)

"""SAC swings up a pendulum.

A random policy scores about −1,200 an episode, a good one −150.
"""

import triax

experiment = triax.Experiment(
    name="pendulum_sac",
    learner=triax.SACConfig(warmup_steps=500),
    environment=triax.EnvironmentConfig(id="Pendulum-v1"),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=10_000,
    evaluation=triax.EvaluationConfig(interval=1000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

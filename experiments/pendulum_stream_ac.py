"""Stream AC(λ) on a pendulum, each step seen once. A random policy scores about −1,200, a good one −150.

After 20,000 steps it is no better than a random one.
"""

import triax

experiment = triax.Experiment(
    name="pendulum_stream_ac",
    learner=triax.StreamACConfig(),
    environment=triax.EnvironmentConfig(id="Pendulum-v1"),
    total_steps=200_000,
    evaluation=triax.EvaluationConfig(interval=20_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

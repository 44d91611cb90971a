"""Stream AC(λ) on a pendulum, each step seen once. A random policy scores about −1,200, a good one −150.

In a single run with the paper's discount of 0.99 it had learned next to nothing after 200,000 steps.
"""

import triax

experiment = triax.Experiment(
    name="pendulum_stream_ac",
    learner=triax.StreamACConfig(discount=0.95, trace_lambda=0.5, entropy_coefficient=0.003),
    environment=triax.EnvironmentConfig(id="Pendulum-v1"),
    total_steps=300_000,
    evaluation=triax.EvaluationConfig(interval=30_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

"""Stream AC(λ) balances a pole on a cart, each step seen once.

A random policy scores about 22, the best possible is 500.
"""

import triax

experiment = triax.Experiment(
    name="cart_pole_stream_ac",
    learner=triax.StreamACConfig(),
    environment=triax.EnvironmentConfig(id="CartPole-v1"),
    total_steps=100_000,
    evaluation=triax.EvaluationConfig(interval=10_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

"""A2C balances a pole on a cart. A random policy scores about 22, the best possible is 500.

Long chunks: what ends an episode here, a slow drift, is decided a hundred steps before.
"""

import triax

experiment = triax.Experiment(
    name="cart_pole_a2c",
    learner=triax.A2CConfig(
        steps=512,
        normalise_advantages=True,
        normalise_returns=True,
        optimizer=triax.OptimizerConfig(
            learning_rate=5e-3, schedule="linear", schedule_updates=290, max_gradient_norm=0.5, epsilon=1e-5
        ),
    ),
    environment=triax.EnvironmentConfig(id="CartPole-v1"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=1),
    total_steps=150_000,
    evaluation=triax.EvaluationConfig(interval=15_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

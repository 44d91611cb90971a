"""A2C balances a pole on a cart from a stream: the same learner, with chunks of one step.

A random policy scores about 22, the best possible is 500.
"""

import triax

experiment = triax.Experiment(
    name="cart_pole_stream_a2c",
    learner=triax.A2CConfig(
        steps=1,
        discount=0.95,
        normalise_observations=True,
        optimizer=triax.OptimizerConfig(
            learning_rate=3e-4, schedule="linear", schedule_updates=37_500, max_gradient_norm=0.5, epsilon=1e-5
        ),
    ),
    environment=triax.EnvironmentConfig(id="CartPole-v1"),
    rollout=triax.RolloutConfig(environments_per_worker=8),
    total_steps=300_000,
    evaluation=triax.EvaluationConfig(interval=30_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

"""A2C balances a pole on a cart. A random policy scores about 22, the best possible is 500."""

import triax

experiment = triax.Experiment(
    name="cart_pole_a2c",
    learner=triax.A2CConfig(
        steps=16,
        advantages=triax.Generalised(gae_lambda=0.95),
        normalise_advantages=True,
        optimizer=triax.OptimizerConfig(
            learning_rate=3e-3,
            schedule="linear",
            schedule_updates=1200,
            max_gradient_norm=0.5,
            epsilon=1e-5,
        ),
    ),
    environment=triax.EnvironmentConfig(id="CartPole-v1"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=8),
    total_steps=150_000,
    evaluation=triax.EvaluationConfig(interval=15_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

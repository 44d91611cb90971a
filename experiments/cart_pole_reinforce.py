"""REINFORCE with a baseline balances a pole on a cart. A random policy scores about 22, the best possible is 500."""

import triax

experiment = triax.Experiment(
    name="cart_pole_reinforce",
    learner=triax.ReinforceConfig(
        steps=128,
        normalise_advantages=True,
        optimizer=triax.OptimizerConfig(
            learning_rate=1e-2, schedule="linear", schedule_updates=293, max_gradient_norm=0.5, epsilon=1e-5
        ),
    ),
    environment=triax.EnvironmentConfig(id="CartPole-v1"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=8),
    total_steps=300_000,
    evaluation=triax.EvaluationConfig(interval=30_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

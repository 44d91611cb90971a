"""PPO swings up a pendulum. A random policy scores about −1,200 an episode, a good one −150."""

import triax

experiment = triax.Experiment(
    name="pendulum_ppo",
    learner=triax.PPOConfig(
        discount=0.95,
        steps=256,
        minibatch_size=256,
        epochs=10,
        optimizer=triax.OptimizerConfig(learning_rate=1e-3, max_gradient_norm=0.5, epsilon=1e-5),
    ),
    environment=triax.EnvironmentConfig(id="Pendulum-v1"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=8),
    total_steps=200_000,
    evaluation=triax.EvaluationConfig(interval=20_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

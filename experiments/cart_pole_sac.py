"""SAC balances a pole on a cart: two choices, nothing continuous. A random policy scores about 22, the best is 500."""

import triax

network = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(128, 128)))
optimizer = triax.OptimizerConfig(learning_rate=1e-3)

experiment = triax.Experiment(
    name="cart_pole_sac",
    learner=triax.SACConfig(
        actor=network,
        critic=network,
        actor_optimizer=optimizer,
        critic_optimizer=optimizer,
        initial_temperature=0.1,
        warmup_steps=1000,
    ),
    environment=triax.EnvironmentConfig(id="CartPole-v1"),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=30_000,
    evaluation=triax.EvaluationConfig(interval=2500, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

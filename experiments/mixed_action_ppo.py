"""PPO in MixedAction2D as it is: which axis to move along or "done" (discrete), and by how much (continuous).

A random policy succeeds in 0.8 % of episodes. With too little entropy some runs unlearn "done", which costs 100
wherever the target is not, before they find out where it pays.
"""

import triax

experiment = triax.Experiment(
    name="mixed_action_ppo",
    learner=triax.PPOConfig(
        steps=256,
        minibatch_size=512,
        entropy_coefficient=0.03,
        normalise_observations=True,
        optimizer=triax.OptimizerConfig(learning_rate=1e-3, max_gradient_norm=0.5, epsilon=1e-5),
    ),
    environment=triax.EnvironmentConfig(id="triax/MixedAction2D-v0"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=16),
    total_steps=300_000,
    evaluation=triax.EvaluationConfig(interval=20_000, episodes=200, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)

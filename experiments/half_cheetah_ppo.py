"""PPO learns to run, with the settings of the comparison of speed: 8 environments, 256 steps, minibatches of 256, 10
epochs, nothing normalised; needs the extra ``triax[mujoco]``.
"""

import triax

experiment = triax.Experiment(
    name="half_cheetah_ppo",
    learner=triax.PPOConfig(steps=256, minibatch_size=256, epochs=10, normalise_returns=False),
    environment=triax.EnvironmentConfig(id="HalfCheetah-v5"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=8),
    total_steps=200_000,
    evaluation=triax.EvaluationConfig(interval=20_000, episodes=10, environments=10),
)

if __name__ == "__main__":
    triax.main(experiment)

"""SAC learns to hop, with the defaults of the literature; needs the extra ``triax[mujoco]``."""

import triax

experiment = triax.Experiment(
    name="hopper_sac",
    learner=triax.SACConfig(actor_head=triax.ActionHeadConfig(log_std_bounds="clip", lowest_log_std=-20.0)),
    environment=triax.EnvironmentConfig(id="Hopper-v5"),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=50_000,
    evaluation=triax.EvaluationConfig(interval=2500, episodes=10, environments=10),
)

if __name__ == "__main__":
    triax.main(experiment)

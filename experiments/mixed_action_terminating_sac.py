"""SAC on MixedAction2D made continuous, with "done": scores for the choices, then the amounts.

The agent must move into the target zone and then declare that it is done. A random policy succeeds in 0.9 % of
episodes, and "done" anywhere else costs 100: a policy that learns early never says it again. So it acts at random for
long enough to have seen successes, three-step returns and two updates a step spread them, and more entropy than usual
keeps it trying.
"""

import triax
from triax.environments import TerminatingContinuousAction

network = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(128, 128)))
optimizer = triax.OptimizerConfig(learning_rate=1e-3)

experiment = triax.Experiment(
    name="mixed_action_terminating_sac",
    learner=triax.SACConfig(
        actor=network,
        critic=network,
        actor_optimizer=optimizer,
        critic_optimizer=optimizer,
        reward_scale=0.05,
        target_entropy=-2.0,
        n_step=3,
        warmup_steps=10_000,
        updates_per_step=2.0,
    ),
    environment=triax.EnvironmentConfig(id="triax/MixedAction2D-v0", wrappers=(TerminatingContinuousAction,)),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=40_000,
    # SAC learns how to act with its noise. Without it the largest score wins always, and "done" may never be it.
    evaluation=triax.EvaluationConfig(interval=2500, episodes=200, environments=50, deterministic=False),
)

if __name__ == "__main__":
    triax.main(experiment)

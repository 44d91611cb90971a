"""SAC in the variant of MixedAction2D that has no "done": move to the target and stay, 100 steps.

A random policy scores about −54 an episode; moving straight to the target −2. Sizes and steps are those of
``mixed_action_sac.py``, with which it is compared.
"""

import triax
from triax.environments import ContinuingContinuousAction

network = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(128, 128)))
optimizer = triax.OptimizerConfig(learning_rate=1e-3)

experiment = triax.Experiment(
    name="mixed_action_continuing_sac",
    learner=triax.SACConfig(
        actor=network, critic=network, actor_optimizer=optimizer, critic_optimizer=optimizer, warmup_steps=5000
    ),
    environment=triax.EnvironmentConfig(id="triax/MixedAction2DContinuing-v0", wrappers=(ContinuingContinuousAction,)),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=40_000,
    evaluation=triax.EvaluationConfig(interval=2500, episodes=200, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)

"""SAC in the variant of MixedAction2D that has no "done": move to the target and stay, 100 steps.

A random policy scores about −56 an episode; moving straight to the target −2.
"""

import triax
from triax.environments import ContinuingContinuousAction

experiment = triax.Experiment(
    name="mixed_action_continuing_sac",
    learner=triax.SACConfig(),
    environment=triax.EnvironmentConfig(id="triax/MixedAction2DContinuing-v0", wrappers=(ContinuingContinuousAction,)),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=20_000,
    evaluation=triax.EvaluationConfig(interval=1000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

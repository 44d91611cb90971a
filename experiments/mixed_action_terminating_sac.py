"""SAC in MixedAction2D, its mixed actions mapped to a continuous space in which the largest of three scores decides.

The agent must move into the target zone and then declare that it is done. A random policy succeeds in 0.7 % of
episodes.
"""

import triax
from triax.environments import TerminatingContinuousAction

experiment = triax.Experiment(
    name="mixed_action_terminating_sac",
    learner=triax.SACConfig(),
    environment=triax.EnvironmentConfig(id="triax/MixedAction2D-v0", wrappers=(TerminatingContinuousAction,)),
    total_steps=40_000,
    evaluation=triax.EvaluationConfig(interval=2500, episodes=200, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)

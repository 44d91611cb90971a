"""Online supervised learning on Pendulum: an expert acts, and the learner watches each of its steps once.

Make the expert first::

    python experiments/pendulum_sac.py train --run-directory runs/expert
"""

from pathlib import Path

import triax

experiment = triax.Experiment(
    name="pendulum_online_supervised",
    learner=triax.OnlineSupervisedConfig(expert=triax.ExpertRun(run=Path("runs/expert")), steps=8, batch_size=64),
    environment=triax.EnvironmentConfig(id="Pendulum-v1"),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=8),
    total_steps=100_000,
    evaluation=triax.EvaluationConfig(interval=10_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

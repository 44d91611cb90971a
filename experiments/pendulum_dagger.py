"""DAgger on Pendulum: the learner acts, and an expert says in every step what it would have done.

Make the expert first::

    python experiments/pendulum_sac.py train --run-directory runs/expert
"""

from pathlib import Path

import triax

experiment = triax.Experiment(
    name="pendulum_dagger",
    learner=triax.DAggerConfig(expert=triax.ExpertRun(run=Path("runs/expert")), warmup_steps=200, updates_per_step=5.0),
    environment=triax.EnvironmentConfig(id="Pendulum-v1"),
    total_steps=2000,
    evaluation=triax.EvaluationConfig(interval=400, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

"""Behavioural cloning of a Pendulum expert from 20 recorded episodes.

Make the expert and its recording first::

    python experiments/pendulum_sac.py train --run-directory runs/expert
    triax record runs/expert --dataset pendulum/expert-v0 --episodes 20
"""

import triax

experiment = triax.Experiment(
    name="pendulum_bc",
    learner=triax.BCConfig(),
    environment=triax.EnvironmentConfig(id="Pendulum-v1"),
    dataset=triax.DatasetConfig(id="pendulum/expert-v0"),
    total_steps=20_000,
    evaluation=triax.EvaluationConfig(interval=2000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

"""Multi-task cloning: two experts for Pendulums of different gravity, a head each, and hidden layers that they share.

Make the experts and their recordings first, for g in 8 and 12::

    python experiments/pendulum_sac.py train --run-directory runs/expert-8 --environment.arguments g 8.0
    triax record runs/expert-8 --dataset pendulum/gravity-8-v0 --episodes 20 --task "gravity 8"

What the tasks share is loaded for a new one by ``load=(triax.LoadConfig(run=Path("runs/...")),)``.
"""

import triax

experiment = triax.Experiment(
    name="pendulum_mtbc",
    learner=triax.MTBCConfig(tasks=2),
    dataset=tuple(
        triax.DatasetConfig(id=f"pendulum/gravity-{gravity}-v0", task=task) for task, gravity in enumerate((8, 12))
    ),
    total_steps=20_000,
)

if __name__ == "__main__":
    triax.main(experiment)

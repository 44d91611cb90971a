"""Two learning rates of SAC on the pendulum, five seeds each: ten runs, two curves with bootstrap bands.

    python experiments/sweeps/pendulum_seeds.py run
    python experiments/sweeps/pendulum_seeds.py slurm --minutes 30
    python experiments/sweeps/pendulum_seeds.py collect

A random policy scores about −1,200 an episode, a good one −150.
"""

import itertools
from collections.abc import Iterator

import triax
from triax import launch

LEARNING_RATES = (3e-4, 1e-3)
SEEDS = range(5)


def jobs() -> Iterator[launch.Job]:
    """Yield a job for each learning rate and seed."""
    for rate, seed in itertools.product(LEARNING_RATES, SEEDS):
        optimizer = triax.OptimizerConfig(learning_rate=rate)
        yield launch.Job(
            name=f"rate-{rate:g}-seed-{seed}",
            group=f"learning rate {rate:g}",
            experiment=triax.Experiment(
                name="pendulum_seeds",
                learner=triax.SACConfig(warmup_steps=500, actor_optimizer=optimizer, critic_optimizer=optimizer),
                environment=triax.EnvironmentConfig(id="Pendulum-v1"),
                total_steps=10_000,
                seed=seed,
                evaluation=triax.EvaluationConfig(interval=1000, episodes=20, environments=20),
                loop=triax.LoopConfig(video=False),
            ),
        )


if __name__ == "__main__":
    launch.main(jobs=jobs)

"""SAC and PPO swing up a pendulum, five seeds each: ten runs, two curves with bootstrap bands.

    python experiments/sweeps/pendulum_seeds.py run
    python experiments/sweeps/pendulum_seeds.py slurm --minutes 30
    python experiments/sweeps/pendulum_seeds.py collect

A random policy scores about −1,200 an episode, a good one −150.
"""

import itertools
from collections.abc import Iterator

import triax
from triax import launch
from triax.learners.interface import LearnerConfig

LEARNERS: dict[str, LearnerConfig] = {
    "sac": triax.SACConfig(warmup_steps=500),
    "ppo": triax.PPOConfig(steps=256, gamma=0.9, normalise_observations=True),
}


def jobs() -> Iterator[launch.Job]:
    """Yield one job a learner and seed."""
    for learner, seed in itertools.product(LEARNERS, range(5)):
        yield launch.Job(
            name=f"{learner}-{seed}",
            group=learner,
            experiment=triax.Experiment(
                name=f"pendulum_{learner}",
                learner=LEARNERS[learner],
                environment=triax.EnvironmentConfig(id="Pendulum-v1"),
                rollout=triax.RolloutConfig(environments_per_worker=1 if learner == "sac" else 8),
                total_steps=10_000 if learner == "sac" else 200_000,
                seed=seed,
                loop=triax.LoopConfig(video=False),
            ),
        )


if __name__ == "__main__":
    launch.main(jobs=jobs)

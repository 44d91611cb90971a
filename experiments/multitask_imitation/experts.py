"""The experts: of each family one policy that sees the physics, and so is another expert in each variant.

    python experiments/multitask_imitation/experts.py small run

What follows the scale is that of any launch: ``run`` on this machine, ``slurm``, ``status``, with their options.
``pipeline.py`` calls it, and goes on when all are there.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from families import Family
from scales import SCALES, Scale

import triax
from triax import launch
from triax.launch.folder import JobState, LaunchFolder


def expert_run(*, scale: Scale, family: Family, seed: int) -> Path:
    """Say where the run of an expert lies.

    :param scale: of the study.
    :param family: of the expert.
    :param seed: of the expert.
    :return: the run directory.
    """
    return scale.expert_folder / "runs" / _name(family=family, seed=seed)


def expert_jobs(*, scale: Scale) -> Iterator[launch.Job]:
    """Yield an expert of each family and seed.

    :param scale: of the study.
    :return: jobs.
    """
    for family in scale.families:
        for seed in range(scale.expert_seeds):
            experiment = triax.Experiment(
                name=f"{family.name}_expert",
                learner=family.expert,
                environment=family.all_variants(),
                total_steps=family.expert_steps,
                seed=seed,
                evaluation=triax.EvaluationConfig(interval=1000, episodes=20, environments=20, at_start=False),
                loop=triax.LoopConfig(video=False),
                stop=triax.StopConfig(at_return=family.solved_return),
            )
            yield launch.Job(name=_name(family=family, seed=seed), experiment=experiment)


def missing_experts(*, scale: Scale) -> tuple[str, ...]:
    """List the experts that are not there.

    :param scale: of the study.
    :return: names of jobs that are not done.
    """
    folder = LaunchFolder(scale.expert_folder)
    names = (job.name for job in expert_jobs(scale=scale))
    return tuple(name for name in names if JobState.read(folder.state_path(name)).state != "done")


def _name(*, family: Family, seed: int) -> str:
    return f"{family.name}-seed-{seed}"


# A launch finds its jobs again by the name of a function: one for each scale.


def tiny() -> Iterator[launch.Job]:
    """Yield those of the tests."""
    return expert_jobs(scale=SCALES["tiny"])


def small() -> Iterator[launch.Job]:
    """Yield those of the small study, and of the choice of its settings."""
    return expert_jobs(scale=SCALES["small"])


def full() -> Iterator[launch.Job]:
    """Yield those of the full study."""
    return expert_jobs(scale=SCALES["full"])


JOBS = {function.__name__: function for function in (tiny, small, full)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in JOBS:
        sys.exit(f"{__doc__}\nThe first word has to be one of: {', '.join(JOBS)}.")
    experts = sys.argv.pop(1)
    sys.argv += ["--folder", str(SCALES[experts].expert_folder)]
    launch.main(jobs=JOBS[experts])

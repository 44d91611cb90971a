"""How many jobs fit on this machine at once, and which cores each of them gets."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from triax.launch.errors import LaunchError
from triax.launch.jobs import Job
from triax.replay.memory import available_bytes, format_bytes

Cores: TypeAlias = frozenset[int]
"""Numbers of cores, as the system counts them; empty where a job may use all that there are."""


def cores_of(jobs: Sequence[Job]) -> int:
    """Count the cores that a job takes: one for training, and one for each worker process beside it.

    :param jobs: the jobs.
    :return: the number for the job that takes most.
    """
    rollouts = [job.experiment.rollout for job in jobs]
    return max(1 if rollout.backend == "inline" else 1 + rollout.workers for rollout in rollouts)


def check_positive(**options: float | None) -> None:
    """Refuse options that are not above 0.

    :param options: by name; None where one is not given.
    :raises LaunchError: if one is 0 or less.
    """
    for name, value in options.items():
        if value is not None and value <= 0:
            raise LaunchError(f"--{name.replace('_', '-')} {value} must be more than 0.")


def slots(*, cores: int, memory_gb: float | None, jobs: int | None) -> tuple[Cores, ...]:
    """Divide the machine.

    As many jobs fit at once as the cores that this process may use, and the memory that is left, have room for; but one
    at least. Each gets cores of its own, so that none disturbs another and JAX starts no more threads than it can use.

    :param cores: what a job takes.
    :param memory_gb: what a job takes, in 10⁹ bytes; None to leave memory out of account.
    :param jobs: this many at once, whatever fits; they share all cores if there are too few for them.
    :return: the cores of each job that runs at once.
    :raises LaunchError: if a figure is out of range, or one job takes more memory than there is.
    """
    check_positive(cores=cores, memory_gb=memory_gb, jobs=jobs)
    free = sorted(os.sched_getaffinity(0))
    count = max(1, len(free) // cores) if jobs is None else jobs
    left = available_bytes()
    if memory_gb is not None and jobs is None and left is not None:
        fitting = int(left // (memory_gb * 1e9))
        if fitting == 0:
            raise LaunchError(
                f"--memory-gb {memory_gb:g}: there are only {format_bytes(left)} left on this machine. Say --jobs 1 to "
                "try all the same."
            )
        count = min(count, fitting)
    if count * cores > len(free):
        return (frozenset(),) * count
    return tuple(frozenset(free[index * cores : (index + 1) * cores]) for index in range(count))


@contextlib.contextmanager
def kept_to(cores: Cores) -> Iterator[None]:
    """Keep this thread, and processes that it starts meanwhile, to some cores.

    :param cores: which; all if there are none.
    :return: a context.
    """
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

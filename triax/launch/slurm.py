"""Jobs as one Slurm job array, by submitit.

The process that Slurm starts becomes the job's process: it is replaced (``exec``) and not a parent of it, so that
Slurm's signals reach the job directly, and nothing waits in between. Its result is the job's file, and not submitit's
pickle.
"""

import functools
import importlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triax.launch.errors import SlurmError, SubmititNotInstalled
from triax.launch.queue import has_slurm, largest_array


@dataclass(frozen=True, kw_only=True)
class Task:
    """One element of an array.

    :ivar command: what to run.
    :ivar log: the file that takes what it says; it is made, or added to.
    """

    command: Sequence[str]
    log: Path


def check_array(size: int) -> None:
    """Refuse an array that cannot be submitted, before anything is.

    :param size: how many jobs it is to have.
    :raises SlurmError: if there is no Slurm, or it allows fewer.
    """
    if not has_slurm():
        raise SlurmError("there is no Slurm on this machine: no `sbatch` in PATH. Call this on a login node, or `run`.")
    largest = largest_array()
    if largest is not None and size > largest:
        raise SlurmError(
            f"an array of {size:,} jobs is larger than the {largest:,} that this cluster allows (MaxArraySize). "
            f"Nothing was submitted. Submit in parts: --at-most {largest}, and again when they are done."
        )


def submit(*, tasks: Sequence[Task], parameters: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """Submit an array.

    :param tasks: its elements.
    :param parameters: as submitit's ``SlurmExecutor`` names them.
    :param folder: for submitit's files; nobody else may be able to write there, as jobs load pickles from it.
    :return: the number of each, ``123_4``; of a single one ``123``.
    :raises SubmititNotInstalled: if it is not there.
    :raises SlurmError: if Slurm refuses it; nothing is submitted then.
    """
    check_array(len(tasks))
    submitit = import_submitit()
    folder.mkdir(parents=True, exist_ok=True)
    executor = submitit.SlurmExecutor(folder=folder.absolute(), max_num_timeout=0)
    executor.update_parameters(**parameters)
    try:
        jobs = executor.submit_array([_becoming(task) for task in tasks])
    except submitit.core.utils.FailedJobError as error:
        refusal = next((line for line in str(error).splitlines() if "error" in line.lower()), str(error))
        raise SlurmError(f"Slurm refused the submission, and nothing was submitted: {refusal.strip()}") from error
    return tuple(str(job.job_id) for job in jobs)


def import_submitit() -> Any:
    """Import submitit.

    :return: the module.
    :raises SubmititNotInstalled: if it is not there.
    """
    try:
        return importlib.import_module("submitit")
    except ModuleNotFoundError as error:
        raise SubmititNotInstalled(
            "job arrays need submitit, which is not installed: pip install 'triax[slurm]'"
        ) from error


def _becoming(task: Task) -> functools.partial[Any]:
    here, log = shlex.quote(os.getcwd()), shlex.quote(str(task.log.absolute()))
    line = f"cd {here} && exec {shlex.join(task.command)} >>{log} 2>&1"
    return functools.partial(os.execv, "/bin/sh", ["sh", "-c", line])

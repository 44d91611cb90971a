"""What Slurm says: which jobs it still has, why others ended, how large an array may be.

Its commands are asked. ``sacct`` is a luxury: many clusters, and every one without a database, have no accounting.
"""

import shutil
import subprocess
from collections.abc import Collection, Mapping

from triax.launch.errors import SlurmError

_SECONDS = 60.0


def has_slurm() -> bool:
    """Tell whether this machine can submit jobs.

    :return: whether ``sbatch`` is there.
    """
    return shutil.which("sbatch") is not None


def queued_jobs(numbers: Collection[str]) -> Mapping[str, str] | None:
    """Ask which jobs wait, run or are being ended.

    :param numbers: jobs as Slurm counts them, ``123`` or ``123_4``.
    :return: the state of those that Slurm still has, such as PENDING or RUNNING, by number; None where there is no
        Slurm to ask.
    :raises SlurmError: if it does not answer, so that nobody knows.
    """
    if shutil.which("squeue") is None:
        return None
    arrays = ",".join(sorted({number.partition("_")[0] for number in numbers}))
    asked = _run("squeue", "--noheader", "--array", "--format=%i|%T", f"--jobs={arrays}")
    if asked.returncode != 0:
        if "Invalid job id" in asked.stderr:  # forgotten, some minutes after its end
            return {}
        raise SlurmError(f"squeue does not say which jobs still run: {asked.stderr.strip()}. Try again later.")
    return {number: state for number, state in _pairs(asked.stdout) if number in numbers}


def ended_jobs(numbers: Collection[str]) -> Mapping[str, str]:
    """Ask how jobs ended.

    :param numbers: jobs as Slurm counts them.
    :return: such as TIMEOUT, PREEMPTED or OUT_OF_MEMORY, by number; those that Slurm keeps no account of are left out.
    """
    if not numbers or shutil.which("sacct") is None:
        return {}
    asked = _run(
        "sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State", f"--jobs={','.join(numbers)}"
    )
    return {} if asked.returncode != 0 else dict(_pairs(asked.stdout))


def largest_array() -> int | None:
    """Ask how many jobs an array may have.

    :return: the number; None where Slurm does not say.
    """
    if shutil.which("scontrol") is None:
        return None
    for line in _run("scontrol", "show", "config").stdout.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "MaxArraySize" and value.strip().isdigit():
            return int(value)
    return None


def _pairs(table: str) -> list[tuple[str, str]]:
    rows = (line.strip().partition("|") for line in table.splitlines())
    return [(number, state.split(" ")[0]) for number, _, state in rows if state]  # "CANCELLED by 1000"


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"Slurm does not answer: {error}. Try again later.") from error

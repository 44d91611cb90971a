"""What is launched: jobs, and the function of a user's file that yields them.

A job travels to the process that runs it as a name and not as a pickle: the process imports the user's file by its
path, calls the function, and takes the job of this name. What it takes must be what was launched, which a digest tells.
"""

import dataclasses
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from triax.launch.errors import LaunchError
from triax.runs import can_name_folder
from triax.training import Experiment
from triax.training.description import Description, describe
from triax.training.importing import importable_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One experiment among many."""

    name: str
    """Names the job's state, log and run directory; each name stands for one job."""
    experiment: Experiment
    """What is trained."""
    group: str = ""
    """Jobs of one group are one curve of the plot, as seeds of the same thing; by default the experiment's name."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not can_name_folder(self.name):
            raise ValueError(f"Job.name={self.name!r} must be usable as the name of a folder.")
        object.__setattr__(self, "group", self.group or self.experiment.name)

    def description(self) -> Description:
        """Describe the experiment as the run directory does.

        :return: JSON values.
        """
        return describe(self.experiment, path=f"the experiment of job {self.name!r}")

    def digest(self) -> str:
        """Compute what tells the experiment from others.

        :return: a SHA-256 in hexadecimal.
        """
        return hashlib.sha256(json.dumps(self.description(), sort_keys=True).encode()).hexdigest()


JobFunction: TypeAlias = Callable[[], Iterable[Job]]
"""What a user writes: a generator function at the top level of a file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """Where the jobs come from.

    :ivar script: the user's file.
    :ivar function: the name of the function, ``module:qualified name``.
    """

    script: Path
    function: str

    @staticmethod
    def of(jobs: JobFunction) -> "Sweep":
        """Find where a function is defined.

        :param jobs: the function.
        :return: where.
        :raises LaunchError: if other processes could not find it.
        """
        try:
            function = importable_name(jobs)
        except ValueError as error:
            raise LaunchError(f"launch.main(jobs=…): {error}") from None
        file = getattr(sys.modules[jobs.__module__], "__file__", None)
        if file is None:
            raise LaunchError(f"launch.main(jobs=…): {function} has to be defined in a file, not in a session.")
        return Sweep(script=Path(file).resolve(), function=function)

    @property
    def name(self) -> str:
        """The name of the file, without its folder and suffix."""
        return self.script.stem

    def load(self) -> tuple[Job, ...]:
        """Import the file under its name, unless this is done, and ask the function for the jobs.

        :return: the jobs, in order.
        :raises LaunchError: if two have the same name, or are the same experiment; or if the function does not yield
            the same twice.
        """
        module_name, _, path = self.function.partition(":")
        if module_name not in sys.modules:
            specification = importlib.util.spec_from_file_location(module_name, self.script)
            assert specification is not None
            assert specification.loader is not None
            module = importlib.util.module_from_spec(specification)
            # What lies beside the file can be imported, as if Python had been started with it.
            sys.path.insert(0, str(self.script.parent))
            sys.modules[module_name] = module
            specification.loader.exec_module(module)
        found: Any = sys.modules[module_name]
        for part in path.split("."):
            found = getattr(found, part)
        jobs = checked(found())
        if [(job.name, job.digest()) for job in jobs] != [(job.name, job.digest()) for job in found()]:
            raise LaunchError(
                f"{self.function} yields other jobs when it is called again, as the process of each job does: give "
                "its random generator a seed, inside the function."
            )
        return jobs


def checked(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Take the jobs out of a user's iterable.

    :param jobs: the jobs.
    :return: the same.
    :raises LaunchError: if there are none, if one is no job, or if two have the same name or are the same experiment.
    """
    taken = tuple(jobs)
    if not taken:
        raise LaunchError("there are no jobs: the function yields nothing.")
    by_name: dict[str, Job] = {}
    by_digest: dict[str, Job] = {}
    for number, job in enumerate(taken, start=1):
        if not isinstance(job, Job):
            raise LaunchError(f"number {number} of what the function yields is {job!r}, which is no triax.launch.Job.")
        if job.name in by_name:
            raise LaunchError(
                f"two jobs have the name {job.name!r}: put what tells them apart into it, such as the seed."
            )
        twin = by_digest.get(job.digest())
        if twin is not None:
            raise LaunchError(
                f"the jobs {twin.name!r} and {job.name!r} are the same experiment with the same seed, and would count "
                "twice in every average: give each an Experiment.seed of its own."
            )
        by_name[job.name] = by_digest[job.digest()] = job
    return taken


def differences(*, before: Description, now: Description, path: str = "experiment") -> Iterator[str]:
    """List where two descriptions of experiments differ; a field that one of them lacks is "not there" in it.

    :param before: one.
    :param now: the other.
    :param path: names the place in what is yielded.
    :return: a clause each, such as ``experiment.seed was 1 and is 2``.
    """
    if isinstance(before, dict) and isinstance(now, dict) and before.get("$type") == now.get("$type"):
        for key in before | now:
            inner = path if key == "fields" else f"{path}.{key}"
            yield from differences(before=before.get(key, "not there"), now=now.get(key, "not there"), path=inner)
    elif before != now:
        yield f"{path} was {json.dumps(before)} and is {json.dumps(now)}"

"""The folder of a launch: where what lies, and the state of each job as a small file that people can read.

jobs/NAME.json       the state of a job
logs/NAME.log        what its process said
runs/NAME/           its run directory
slurm/               what was submitted to Slurm
results/             the table and the plot of all jobs

A job's state is written by the process that runs it, which holds the job's lock for as long as it lives; only where no
process has begun it is it written by the launch.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from triax.launch.errors import FolderInUse, LaunchError
from triax.runs.files import encode_json, read_json_object, write_atomically
from triax.runs.locks import Locked, exclusive, is_held

StateName: TypeAlias = Literal["pending", "running", "done", "failed"]

_STATES = get_args(StateName)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobState:
    """What the file of a job says.

    :ivar state: "running" was true when it was written; whether the process lives is told by the lock, or by Slurm.
    :ivar note: why, if there is something to be said.
    :ivar error: the last lines of the traceback of a failed job.
    :ivar lives: how often a process has begun or resumed it.
    :ivar process: the last of these, in words.
    :ivar slurm: its number at Slurm; None if it ran on this machine.
    :ivar changed: when this was written.
    """

    state: StateName = "pending"
    note: str = ""
    error: tuple[str, ...] = ()
    lives: int = 0
    process: str = ""
    slurm: str | None = None
    changed: str = ""

    @staticmethod
    def read(path: Path) -> "JobState":
        """Read a job's file.

        :param path: the file. One that does not exist is that of a pending job.
        :return: the state.
        :raises LaunchError: if it is not a job's file.
        """
        try:
            document: Any = read_json_object(path)
            state = JobState(**document | {"error": tuple(document.get("error", ()))})
        except FileNotFoundError:
            return JobState()
        except (ValueError, TypeError) as error:
            raise LaunchError(f"{path} is not the state of a job ({error}): mend it, or remove it.") from error
        if state.state not in _STATES:
            raise LaunchError(f"{path} says state={state.state!r}, which is none of {', '.join(_STATES)}.")
        return state

    def write(self, path: Path) -> None:
        """Write a job's file, atomically.

        :param path: the file.
        :raises OSError: if it cannot be written.
        """
        stamped = dataclasses.replace(self, changed=datetime.now().astimezone().isoformat(timespec="seconds"))
        document = dataclasses.asdict(stamped) | {"error": list(self.error)}
        write_atomically(path=path, content=encode_json(document, path=path.name))


@dataclasses.dataclass(frozen=True)
class LaunchFolder:
    """The folder of a launch.

    :param path: where it is.
    """

    path: Path

    def state_path(self, name: str) -> Path:
        """Name the file of a job's state.

        :param name: of the job.
        :return: the file.
        """
        return self.path / "jobs" / f"{name}.json"

    def log_path(self, name: str) -> Path:
        """Name the file that takes what a job's process says.

        :param name: of the job.
        :return: the file.
        """
        return self.path / "logs" / f"{name}.log"

    def run_path(self, name: str) -> Path:
        """Name a job's run directory.

        :param name: of the job.
        :return: the directory.
        """
        return self.path / "runs" / name

    @property
    def slurm_path(self) -> Path:
        """The folder of what was submitted to Slurm."""
        return self.path / "slurm"

    @property
    def results_path(self) -> Path:
        """The folder of the table and the plot of all jobs."""
        return self.path / "results"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Make the folder, and hold it, so that no two launches start the same jobs.

        :return: a context in which the folder is held.
        :raises FolderInUse: if another launch holds it; the message says which.
        :raises OSError: if the folder cannot be made.
        """
        for folder in ("jobs", "logs", "runs", "slurm"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(exclusive(self.path / ".lock"))
            except Locked as error:
                raise FolderInUse(
                    f"{self.path} is in use by another launch, {error.holder}: wait for its end, or choose another "
                    "--folder. `status` shows how far it is."
                ) from None
            yield

    @contextlib.contextmanager
    def lock_job(self, name: str, *, wait_seconds: float) -> Iterator[None]:
        """Hold a job, as the one process that runs it.

        :param name: of the job.
        :param wait_seconds: how long to wait for a former process of it to end.
        :return: a context in which the job is held.
        :raises FolderInUse: if it does not end.
        """
        deadline = time.monotonic() + wait_seconds
        with contextlib.ExitStack() as held:
            while True:
                try:
                    held.enter_context(exclusive(self._job_lock(name)))
                    break
                except Locked as error:
                    if time.monotonic() >= deadline:
                        raise FolderInUse(f"job {name!r} is run by {error.holder} already.") from None
                    time.sleep(0.2)
            yield

    def is_run(self, name: str) -> bool:
        """Tell whether a process on this machine runs a job; where locks reach over the network, on any.

        :param name: of the job.
        :return: whether.
        """
        return is_held(self._job_lock(name))

    def _job_lock(self, name: str) -> Path:
        return self.path / "jobs" / f".{name}.lock"

"""Jobs on this machine: as many processes at once as there is room for, until all have ended.

Each process is a session of its own, so that Ctrl-C reaches the launch alone, which then asks each job once to end. The
other way round, each job has the end of a pipe whose other end dies with the launch, however that dies.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from triax.launch.jobs import Job
from triax.launch.resources import Cores, kept_to
from triax.training.interrupts import StopRequest

_POLL_SECONDS = 0.1


@runtime_checkable
class PoolView(Protocol):
    """Is told what happens."""

    def began(self, job: Job) -> None:
        """Show that a job's process was started."""

    def ended(self, job: Job, *, exit_code: int) -> None:
        """Show that a job's process has ended."""

    def refresh(self) -> None:
        """Show how far all are, if it is time to."""

    def ending(self, running: int) -> None:
        """Show that all running jobs were asked to end."""


class JobProcess:
    """The process of a job.

    :ivar job: the job.
    :ivar cores: the cores that it is kept to.

    :param job: the job.
    :param command: what to run.
    :param log: the file that takes what the process says; it is made, or added to.
    :param cores: the cores to keep it to.
    """

    def __init__(self, *, job: Job, command: Sequence[str], log: Path, cores: Cores) -> None:
        self.job = job
        self.cores = cores
        with log.open("ab") as file, kept_to(cores):
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=file, stderr=file, start_new_session=True
            )

    def exit_code(self) -> int | None:
        """Look whether it has ended.

        :return: its exit code, negative for a signal; None while it runs.
        """
        return self._process.poll()

    def ask_to_end(self) -> None:
        """Ask it to make a checkpoint and end."""
        self._process.terminate()

    def close(self) -> None:
        """Let go of it. If it still runs, it takes that for the death of its launch, and ends with a checkpoint."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def run_pool(
    *,
    jobs: Sequence[Job],
    slots: Sequence[Cores],
    command: Callable[[Job], Sequence[str]],
    log: Callable[[Job], Path],
    view: PoolView,
    stop: StopRequest,
) -> None:
    """Run jobs until all have ended, or until asked to end.

    :param jobs: what to run, in this order.
    :param slots: the cores of each job that runs at once.
    :param command: what to run for a job.
    :param log: the file that takes what its process says.
    :param view: is told what happens.
    :param stop: says when to end. Nothing is begun any more then, and what runs is asked to end, which is waited for.
    """
    waiting, free, running = list(jobs), list(slots), list[JobProcess]()
    is_ending = False
    try:
        while waiting or running:
            if stop.interrupted and not is_ending:
                is_ending = True
                waiting.clear()
                view.ending(len(running))
                for process in running:
                    process.ask_to_end()
            while waiting and free:
                job = waiting.pop(0)
                running.append(JobProcess(job=job, command=command(job), log=log(job), cores=free.pop(0)))
                view.began(job)
            for process in list(running):
                exit_code = process.exit_code()
                if exit_code is not None:
                    running.remove(process)
                    free.insert(0, process.cores)
                    process.close()
                    view.ended(process.job, exit_code=exit_code)
            view.refresh()
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:  # pressed again
        for process in running:
            process.kill()
        raise
    finally:
        for process in running:
            process.close()

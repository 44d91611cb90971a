"""The process of one job: ``python -m triax.launch.worker``. Started by the local pool and by Slurm, not by people.

It holds the job's lock while it lives, begins or resumes the run, and writes into the job's file how it ended. Slurm asks
it to end by SIGUSR2 some time before the time limit, and by SIGTERM at it; the local pool by SIGTERM. All of these end
the run in order, with a checkpoint. If its launch dies, so that the pipe from it breaks, it ends in the same way.
"""

import argparse
import dataclasses
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from triax.exits import EXPECTED_ERRORS, INTERRUPTED
from triax.launch.errors import FolderInUse, LaunchError
from triax.launch.folder import JobState, LaunchFolder
from triax.launch.jobs import Job, Sweep
from triax.runs import RunDirectory
from triax.training import resume, train

_WAIT_SECONDS = 60.0
"""How long a former process of the job may take to end."""
_ERROR_LINES = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerArguments:
    """What the process of a job is told.

    :ivar sweep: where the job comes from.
    :ivar name: the job's name.
    :ivar digest: of the experiment that was launched under this name.
    :ivar folder: of the launch.
    :ivar allow_changed_source: whether to resume although Python sources have changed.
    :ivar lifeline: whether standard input is a pipe that breaks when the launch dies.
    """

    sweep: Sweep
    name: str
    digest: str
    folder: Path
    allow_changed_source: bool = False
    lifeline: bool = False

    def command(self) -> list[str]:
        """Write the command that starts the process.

        :return: the words.
        """
        words = [sys.executable, "-u", "-m", "triax.launch.worker"]
        words += ["--script", str(self.sweep.script), "--function", self.sweep.function]
        words += ["--job", self.name, "--digest", self.digest, "--folder", str(self.folder.absolute())]
        words += ["--allow-changed-source"] if self.allow_changed_source else []
        return words + (["--lifeline"] if self.lifeline else [])

    @staticmethod
    def parse(words: Sequence[str]) -> "WorkerArguments":
        """Read what :meth:`command` wrote.

        :param words: without the interpreter and the module.
        :return: the arguments.
        """
        parser = argparse.ArgumentParser(description="The process of one job of a launch.")
        for name in ("script", "folder"):
            parser.add_argument(f"--{name}", type=Path, required=True)
        for name in ("function", "job", "digest"):
            parser.add_argument(f"--{name}", required=True)
        for name in ("allow-changed-source", "lifeline"):
            parser.add_argument(f"--{name}", action="store_true")
        read = parser.parse_args(words)
        return WorkerArguments(
            sweep=Sweep(script=read.script, function=read.function),
            name=read.job,
            digest=read.digest,
            folder=read.folder,
            allow_changed_source=read.allow_changed_source,
            lifeline=read.lifeline,
        )


def run_job(arguments: WorkerArguments) -> int:
    """Begin or resume a job, and write down how it ended.

    :param arguments: which, and where.
    :return: the exit code.
    """
    folder = LaunchFolder(arguments.folder)
    path = folder.state_path(arguments.name)
    try:
        with folder.lock_job(arguments.name, wait_seconds=_WAIT_SECONDS):
            state = JobState.read(path)
            if state.state == "done":
                return 0
            state = _begun(state)
            state.write(path)
            try:
                _train(job=_job(arguments), arguments=arguments)
            except KeyboardInterrupt:
                _ignore_signals()
                dataclasses.replace(state, state="pending", note="was asked to end").write(path)
                return INTERRUPTED
            except (Exception, SystemExit) as error:
                _ignore_signals()
                traceback.print_exc()
                dataclasses.replace(state, state="failed", error=_last_lines(error)).write(path)
                return 1
            _ignore_signals()
            dataclasses.replace(state, state="done").write(path)
            return 0
    except FolderInUse as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before there was anything to write down
        return INTERRUPTED


def _begun(state: JobState) -> JobState:
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return JobState(
        state="running",
        lives=state.lives + 1,
        process=f"process {os.getpid()} on {socket.gethostname()}",
        slurm=f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID"),
    )


def _job(arguments: WorkerArguments) -> Job:
    job = next((job for job in arguments.sweep.load() if job.name == arguments.name), None)
    if job is None or job.digest() != arguments.digest:
        what = "no job of this name any more" if job is None else "another experiment under this name than was launched"
        raise LaunchError(f"job {arguments.name!r}: {arguments.sweep.script} yields {what}. Launch it again.")
    return job


def _train(*, job: Job, arguments: WorkerArguments) -> None:
    run = RunDirectory(LaunchFolder(arguments.folder).run_path(job.name))
    if run.experiment_path.exists():
        resume(run_directory=run.path, allow_changed_source=arguments.allow_changed_source)
    else:
        train(experiment=job.experiment, run_directory=run.path)


def _last_lines(error: BaseException) -> tuple[str, ...]:
    if isinstance(error, EXPECTED_ERRORS):
        return tuple(f"{type(error).__name__}: {error}".splitlines())
    return tuple("".join(traceback.format_exception(error)).splitlines()[-_ERROR_LINES:])


def _listen() -> None:
    """Take the signals that ask for an end; while it trains, the run itself listens."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def pass_on(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGUSR2, pass_on)


def _ignore_signals() -> None:
    # What is left to be done is to write a line or two, and Slurm says everything twice.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _watch_launch() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the other end is closed, which its death does
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the job that the command line names, and end the process."""
    _listen()
    arguments = WorkerArguments.parse(sys.argv[1:])
    if arguments.lifeline:
        threading.Thread(target=_watch_launch, daemon=True).start()
    sys.exit(run_job(arguments))


if __name__ == "__main__":
    main()

"""The process of one job: ``python -m triax.launch.worker``. Started by the local pool and by Slurm, not by people.

It holds the job's lock while it lives, begins or resumes the run, and writes into the job's file how it ended. Slurm
asks it to end by SIGUSR2 some time before the time limit, and by SIGTERM at it; the local pool by SIGTERM. All of these
end the run in order, with a checkpoint. If its launch dies, so that the pipe from it breaks, it ends in the same way.
"""

import dataclasses
import os
import signal
import socket
import sys
import threading
import traceback
from types import FrameType

from triax.exits import INTERRUPTED
from triax.launch.arguments import WorkerArguments
from triax.launch.errors import FolderInUse, LaunchError
from triax.launch.folder import JobState, LaunchFolder
from triax.launch.jobs import Job
from triax.runs import RunDirectory
from triax.training import resume, train

_WAIT_SECONDS = 60.0
"""How long a former process of the job may take to end."""
_ERROR_LINES = 8


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
    """Write where an error came from at first, and what became of it."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    lines = "".join(traceback.format_exception(root, chain=False)).splitlines()[-_ERROR_LINES:]
    if root is not error:
        lines += "".join(traceback.format_exception_only(error)).splitlines()
    return tuple(lines)


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

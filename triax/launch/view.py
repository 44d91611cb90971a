"""What a local launch shows: a table that is kept up to date, or plain lines where there is no terminal."""

import signal
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live

from triax.launch.folder import JobState, LaunchFolder
from triax.launch.jobs import Job
from triax.launch.progress import Line, make_table, read_progress
from triax.launch.survey import Standing

_LIVE_SECONDS = 1.0
_LOG_LINES = 8


class TerminalView:
    """Shows the pool's jobs, as a context manager.

    :ivar cut_off: the jobs whose process ended before they were done, without having failed.
    :ivar failed: the jobs that failed.

    :param folder: of the launch.
    :param standings: how all jobs stand at the beginning.
    :param console: where to write.
    :param plain_seconds: the time between two lines of progress where the output is no terminal.
    """

    def __init__(
        self,
        *,
        folder: LaunchFolder,
        standings: Sequence[Standing],
        console: Console,
        plain_seconds: float = 30.0,
    ) -> None:
        self.cut_off: list[str] = []
        self.failed: list[str] = []
        self._folder = folder
        self._console = console
        self._is_live = console.is_terminal
        self._interval = _LIVE_SECONDS if self._is_live else plain_seconds
        self._jobs = {standing.job.name: standing for standing in standings}
        self._lines = {
            name: Line.of(standing, progress=read_progress(folder=folder, job=standing.job))
            for name, standing in self._jobs.items()
        }
        self._running: list[str] = []
        self._ending = False
        self._due = time.monotonic() + self._interval
        self._live = Live(console=console, auto_refresh=False)

    def began(self, job: Job) -> None:
        """Show that a job's process was started.

        :param job: the job.
        """
        self._running.append(job.name)
        self._show(job.name, JobState(state="running"))
        if not self._is_live:
            self.say(f"{job.name}: {'resumed' if self._jobs[job.name].has_begun else 'started'}")

    def ended(self, job: Job, *, exit_code: int) -> None:
        """Show that a job's process has ended, and why.

        :param job: the job.
        :param exit_code: of the process, negative for a signal.
        """
        self._running.remove(job.name)
        state = JobState.read(self._folder.state_path(job.name))
        log = self._folder.log_path(job.name)
        if state.state == "failed":
            self.failed.append(job.name)
            self.say(
                "\n".join([f"{job.name} failed:", *(f"    {line}" for line in state.error), f"    all of it: {log}"])
            )
        elif state.state != "done":
            self.cut_off.append(job.name)
            if not self._ending:
                self.say(
                    "\n".join([f"{job.name} was cut off: {_how(exit_code)}", *_tail(log), f"    all of it: {log}"])
                )
            state = JobState(state="pending", note=state.note or _how(exit_code))
        self._show(job.name, state, has_begun=True)
        if not self._is_live and state.state != "failed":
            self.say(self._lines[job.name].text())

    def refresh(self) -> None:
        """Show how far all are, if it is time to."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._interval
        for name in self._running:
            self._show(name, JobState(state="running", note="is to end" if self._ending else ""))
            if not self._is_live:
                self.say(self._lines[name].text())
        if self._is_live:
            room = max(5, self._console.height - 6)
            self._live.update(make_table(list(self._lines.values()), height=room), refresh=True)

    def ending(self, running: int) -> None:
        """Show that all running jobs were asked to end.

        :param running: how many.
        """
        self._ending = True
        self.say(f"{running} running jobs make their checkpoints and end; Ctrl-C again ends them at once.")

    def say(self, message: str) -> None:
        """Print a message above the table.

        :param message: printed as it is.
        """
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> "TerminalView":
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_live:
            self._due = 0.0
            self.refresh()
            self._live.stop()

    def _show(self, name: str, state: JobState, *, has_begun: bool = False) -> None:
        job = self._jobs[name].job
        standing = Standing(job=job, state=state, on_slurm=False, has_begun=has_begun)
        self._lines[name] = Line.of(standing, progress=read_progress(folder=self._folder, job=job))


def _how(exit_code: int) -> str:
    return f"killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"its process ended with {exit_code}"


def _tail(log: object) -> list[str]:
    try:
        with open(str(log), errors="replace") as file:
            return [f"    {line.rstrip()}" for line in file.readlines()[-_LOG_LINES:]]
    except OSError:
        return []

"""The commands of a launch: a dataclass of options each, and what it does."""

import abc
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from triax.launch.arguments import WorkerArguments
from triax.launch.collecting import collect
from triax.launch.folder import JobState, LaunchFolder
from triax.launch.jobs import Job, Sweep
from triax.launch.progress import Line, count_states, make_table, read_progress
from triax.launch.survey import Standing, survey
from triax.programs import installed
from triax.statistics import Statistic


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchCommand(abc.ABC):
    """A command on the folder of a launch."""

    folder: Path | None = None
    """Where states, logs and runs lie; by default runs/ and the name of the file."""

    @abc.abstractmethod
    def run(self, *, sweep: Sweep) -> int:
        """Do it.

        :param sweep: where the jobs come from.
        :return: the exit code.
        """

    def launch_folder(self, sweep: Sweep) -> LaunchFolder:
        """Choose the folder.

        :param sweep: where the jobs come from.
        :return: the folder.
        """
        return LaunchFolder(self.folder or Path("runs") / sweep.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start(LaunchCommand):
    """A command that starts jobs."""

    dry_run: bool = False
    """Say what would be done, and do nothing."""
    retry_failed: bool = False
    """Start failed jobs, too: from their last checkpoints, if they have any."""
    allow_changed_source: bool = False
    """Resume although Python sources that an experiment names have changed."""

    def missing(self, standings: Sequence[Standing]) -> list[Standing]:
        """Choose what to start.

        :param standings: how all jobs stand.
        :return: those to start, in order.
        """
        return [it for it in standings if it.is_missing or (self.retry_failed and it.state.state == "failed")]

    def worker(self, *, job: Job, sweep: Sweep, folder: LaunchFolder, lifeline: bool) -> list[str]:
        """Write the command that runs a job.

        :param job: the job.
        :param sweep: where it comes from.
        :param folder: of the launch.
        :param lifeline: whether its standard input is a pipe that breaks when the launch dies.
        :return: the words.
        """
        return WorkerArguments(
            sweep=sweep,
            name=job.name,
            digest=job.digest(),
            folder=folder.path,
            allow_changed_source=self.allow_changed_source,
            lifeline=lifeline,
        ).command()

    def write_pending(self, *, folder: LaunchFolder, missing: Sequence[Standing]) -> None:
        """Write down what is to be done where nothing is written, and that failed jobs are to be tried again.

        :param folder: of the launch.
        :param missing: what is to be started.
        """
        for standing in missing:
            path = folder.state_path(standing.job.name)
            if standing.state.state == "failed" or not path.exists():
                JobState(lives=standing.state.lives).write(path)

    def say_plan(self, *, missing: Sequence[Standing], standings: Sequence[Standing]) -> None:
        """Print what would be started.

        :param missing: this.
        :param standings: how all jobs stand.
        """
        for standing in missing:
            print(f"{'resume' if standing.has_begun else 'start'} {standing.job.name} ({standing.job.group})")
        print(f"{counted(standings)}; {len(missing)} to be started or resumed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShowStatus(LaunchCommand):
    """Show all jobs: how far they are, and why they stopped."""

    def run(self, *, sweep: Sweep) -> int:
        """Show them."""
        folder = self.launch_folder(sweep)
        standings = survey(folder=folder, jobs=sweep.load())
        lines = [Line.of(it, progress=read_progress(folder=folder, job=it.job)) for it in standings]
        console = Console()
        if console.is_terminal:
            console.print(make_table(lines))
        else:
            print("\n".join([*(line.text() for line in lines), counted(standings)]))
        for standing in standings:
            if standing.state.state == "failed":
                print("\n".join([f"\n{standing.job.name} failed:", *(f"    {it}" for it in standing.state.error)]))
                print(f"    all of it: {folder.log_path(standing.job.name)}")
        return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collect(LaunchCommand):
    """Write a table of all evaluations, and plot the groups of jobs that are done."""

    statistic: Statistic = "iqm"
    """Over the jobs of a group: the interquartile mean, or the mean."""

    def run(self, *, sweep: Sweep) -> int:
        """Collect, print a summary of each group, and say where all is."""
        folder = self.launch_folder(sweep)
        collected = collect(folder=folder, standings=survey(folder=folder, jobs=sweep.load()), statistic=self.statistic)
        for group in collected.groups:
            print(group.sentence(statistic=self.statistic))
        for note in collected.notes:
            print(f"note: {note}")
        for path in collected.files:
            print(f"  {path}")
        return 0


def counted(standings: Sequence[Standing]) -> str:
    """Count jobs by state.

    :param standings: the jobs.
    :return: for example ``12 jobs: 3 pending, 9 done``.
    """
    return count_states([standing.state.state for standing in standings])


def call_of(sweep: Sweep) -> str:
    """Write how the user's file is run, for messages.

    :param sweep: the file.
    :return: the beginning of a command.
    """
    here = Path.cwd()
    script = sweep.script.relative_to(here) if sweep.script.is_relative_to(here) else sweep.script
    return f"{installed('python') or shlex.quote(sys.executable)} {shlex.quote(str(script))}"

"""The command that runs jobs on this machine."""

import dataclasses
from collections.abc import Sequence

from rich.console import Console

from triax.exits import INTERRUPTED
from triax.launch.commands import Start, call_of, counted
from triax.launch.folder import LaunchFolder
from triax.launch.jobs import Job, Sweep
from triax.launch.pool import run_pool
from triax.launch.resources import check_positive, cores_of, slots
from triax.launch.survey import survey
from triax.launch.view import TerminalView
from triax.training.interrupts import StopRequest


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunHere(Start):
    """Run what is missing on this machine, as many jobs at once as fit."""

    jobs: int | None = None
    """How many at once; by default as many as cores and memory have room for."""
    cores: int | None = None
    """That a job takes; by default one, and one for each worker process of the experiment that has most."""
    memory_gb: float | None = None
    """That a job takes; by default memory is not asked about."""

    def __post_init__(self) -> None:
        """Check the values."""
        check_positive(jobs=self.jobs, cores=self.cores, memory_gb=self.memory_gb)

    def run(self, *, sweep: Sweep) -> int:
        """Run them, and wait for all."""
        folder, jobs = self.launch_folder(sweep), sweep.load()
        places = slots(cores=self.cores or cores_of(jobs), memory_gb=self.memory_gb, jobs=self.jobs)
        if self.dry_run:
            standings = survey(folder=folder, jobs=jobs)
            self.say_plan(missing=self.missing(standings), standings=standings)
            print(f"dry run: nothing was started. {len(places)} at once would run in {folder.path}.")
            return 0
        stop = StopRequest()
        with folder.lock(), stop.listening():
            standings = survey(folder=folder, jobs=jobs)
            missing = self.missing(standings)
            self.write_pending(folder=folder, missing=missing)
            with TerminalView(folder=folder, standings=standings, console=Console()) as view:
                run_pool(
                    jobs=[standing.job for standing in missing],
                    slots=places,
                    command=lambda job: self.worker(job=job, sweep=sweep, folder=folder, lifeline=True),
                    log=lambda job: folder.log_path(job.name),
                    view=view,
                    stop=stop,
                )
            return self._say_end(sweep=sweep, folder=folder, jobs=jobs, stop=stop)

    def _say_end(self, *, sweep: Sweep, folder: LaunchFolder, jobs: Sequence[Job], stop: StopRequest) -> int:
        standings = survey(folder=folder, jobs=jobs)
        print(f"\n{counted(standings)}")
        again = f"{call_of(sweep)} run --folder {folder.path}"
        if stop.interrupted:
            print(f"{stop.reason}; go on with: {again}")
            return INTERRUPTED
        cut_off = [it.job.name for it in standings if it.is_missing]
        failed = [it.job.name for it in standings if it.state.state == "failed"]
        if cut_off:
            print(f"cut off: {', '.join(cut_off)}; resume with: {again}")
        if failed:
            print(f"failed: {', '.join(failed)}; when this is mended: {again} --retry-failed")
        if not cut_off and not failed:
            print(f"next: {call_of(sweep)} collect --folder {folder.path}")
        return 1 if cut_off or failed else 0

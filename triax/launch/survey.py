"""How all jobs stand: what their files say, held against what really lives."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from triax.launch.errors import LaunchError
from triax.launch.folder import JobState, LaunchFolder
from triax.launch.jobs import Job, differences
from triax.launch.queue import ended_jobs, queued_jobs
from triax.launch.submissions import read_submissions
from triax.runs import RunDirectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """How a job stands.

    :ivar job: the job.
    :ivar state: pending, running, done or failed, as it is now: a job whose process is gone is not running.
    :ivar on_slurm: whether Slurm has it: waiting, running, or being ended.
    :ivar has_begun: whether there is something to resume.
    """

    job: Job
    state: JobState
    on_slurm: bool
    has_begun: bool

    @property
    def is_missing(self) -> bool:
        """Whether a launch that holds the folder has to start it.

        One that runs on this machine then does so without a launch, and is about to end.
        """
        return self.state.state in ("pending", "running") and not self.on_slurm


def survey(*, folder: LaunchFolder, jobs: Sequence[Job]) -> tuple[Standing, ...]:
    """Find out how all jobs stand. Nothing is changed.

    :param folder: of the launch.
    :param jobs: the jobs.
    :return: a standing for each.
    :raises LaunchError: if a file is damaged, or a job has begun with another experiment.
    :raises SlurmError: if jobs were submitted to Slurm, and it does not answer.
    """
    states = {job.name: JobState.read(folder.state_path(job.name)) for job in jobs}
    known = {name: state.slurm for name, state in states.items() if state.slurm} | read_submissions(folder)
    numbers = {
        name: known[name] for name, state in states.items() if name in known and state.state in ("pending", "running")
    }
    queue = queued_jobs(numbers.values()) if numbers else {}
    ends = ended_jobs([number for number in numbers.values() if queue is not None and number not in queue])
    standings = []
    for job in jobs:
        number = numbers.get(job.name)
        run = RunDirectory(folder.run_path(job.name))
        has_begun = run.experiment_path.exists()
        if has_begun:
            _require_same(job=job, run=run)
        on_slurm = number is not None and (queue is None or number in queue)
        state = states[job.name]
        if number is not None and on_slurm:
            said = "there is no Slurm here to ask" if queue is None else queue[number].lower()
            state = dataclasses.replace(state, note=f"Slurm job {number}: {said}")
        elif state.state == "running" and not folder.is_run(job.name):
            end = f" (Slurm: {ends[state.slurm].lower()})" if state.slurm and state.slurm in ends else ""
            state = dataclasses.replace(state, state="pending", note=f"its process died{end}")
        standings.append(Standing(job=job, state=state, on_slurm=on_slurm, has_begun=has_begun))
    return tuple(standings)


def _require_same(*, job: Job, run: RunDirectory) -> None:
    """Refuse a job whose run was made with other settings: its results would stand under a wrong name."""
    document: Any = run.document()
    found = list(differences(before=document["experiment"], now=job.description()))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise LaunchError(
            f"job {job.name!r} has begun with other settings: {found[0]}{more}. Give the new one another "
            "name, or choose another --folder."
        )

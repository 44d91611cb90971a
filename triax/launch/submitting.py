"""The command that submits jobs to Slurm."""

import dataclasses
from typing import Any

from triax.launch.commands import Start, call_of, counted
from triax.launch.errors import LaunchError
from triax.launch.jobs import Sweep
from triax.launch.resources import check_positive, cores_of
from triax.launch.slurm import Task, check_array, submit
from triax.launch.submissions import write_submission
from triax.launch.survey import survey


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubmitToSlurm(Start):
    """Submit what is missing to Slurm as one job array, and return."""

    partition: str | None = None
    """Of the cluster; by default the cluster's default."""
    account: str | None = None
    """That is charged."""
    minutes: int = 60
    """The time limit of a job. One that reaches it is resumed by the next call."""
    cpus: int | None = None
    """Of a job; by default one, and one for each worker process of the experiment that has most."""
    memory_gb: float | None = None
    """Of a job; by default the cluster's default."""
    gpus: int = 0
    """Of a job."""
    at_once: int = 256
    """How many jobs of the array may run at once."""
    at_most: int | None = None
    """How many jobs to submit in this call; by default all that are missing."""
    grace_seconds: int = 90
    """How long before its time limit a job is asked to make a checkpoint and end. Slurm may ask a minute earlier."""
    setup: tuple[str, ...] = ()
    """Lines of shell that come first, such as 'module load cuda'."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, such as qos=long constraint=a100."""

    def __post_init__(self) -> None:
        """Check the values."""
        check_positive(
            minutes=self.minutes,
            at_once=self.at_once,
            at_most=self.at_most,
            cpus=self.cpus,
            memory_gb=self.memory_gb,
        )
        if not 0 <= self.grace_seconds < 60 * self.minutes:
            raise LaunchError(
                f"--grace-seconds {self.grace_seconds} must be less than the time limit, --minutes {self.minutes}."
            )
        for option in self.extra:
            if "=" not in option:
                raise LaunchError(f"--extra {option!r} must be of the form option=value.")

    def run(self, *, sweep: Sweep) -> int:
        """Submit, and say what."""
        folder, jobs = self.launch_folder(sweep), sweep.load()
        parameters = self.parameters(name=sweep.name, cpus=self.cpus or cores_of(jobs))
        if self.dry_run:
            standings = survey(folder=folder, jobs=jobs)
            missing = self.missing(standings)[: self.at_most]
            self.say_plan(missing=missing, standings=standings)
            print("dry run: nothing was submitted. Slurm would be asked for an array with")
            print("\n".join(f"  {key} = {value}" for key, value in parameters.items()))
            return 0
        with folder.lock():
            standings = survey(folder=folder, jobs=jobs)
            missing = self.missing(standings)[: self.at_most]
            if missing:
                check_array(len(missing))
                self.write_pending(folder=folder, missing=missing)
                numbers = submit(
                    tasks=[
                        Task(
                            command=self.worker(job=it.job, sweep=sweep, folder=folder, lifeline=False),
                            log=folder.log_path(it.job.name),
                        )
                        for it in missing
                    ],
                    parameters=parameters,
                    folder=folder.slurm_path / "submitit",
                )
                names = [it.job.name for it in missing]
                write_submission(folder=folder, numbers=dict(zip(names, numbers, strict=True)))
                print(f"submitted {len(missing)} jobs as Slurm job {numbers[0].partition('_')[0]}")
        print(counted(survey(folder=folder, jobs=jobs)))
        print(f"next: {call_of(sweep)} status --folder {folder.path}")
        return 0

    def parameters(self, *, name: str, cpus: int) -> dict[str, Any]:
        """Write the options as submitit's ``SlurmExecutor`` names them.

        :param name: of the array.
        :param cpus: of a job.
        :return: the options that are set.
        """
        memory = None if self.memory_gb is None else f"{round(self.memory_gb * 1000)}M"
        options: dict[str, Any] = {
            "job_name": name,
            "partition": self.partition,
            "account": self.account,
            "time": self.minutes,
            "cpus_per_task": cpus,
            "mem": memory,
            "gpus_per_node": self.gpus or None,
            "array_parallelism": self.at_once,
            "signal_delay_s": self.grace_seconds,
            "stderr_to_stdout": True,
            "setup": list(self.setup) or None,
            "additional_parameters": dict(option.split("=", 1) for option in self.extra) or None,
        }
        return {key: value for key, value in options.items() if value is not None}

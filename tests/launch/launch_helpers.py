"""What the tests of launches share: small experiments, files that yield them, and calls of these files."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import triax
from triax.environments.probes import ActionProbe
from triax.launch import Job
from triax.launch.folder import JobState, LaunchFolder
from triax.runs import EvaluationRow, RunDirectory, RunLogs

ROOT = Path(__file__).parents[2]


class GatedProbe(ActionProbe):
    """A probe whose steps take as many seconds as stand in a file, while it exists, and fail while another exists."""

    def __init__(self, *, slow: str, broken: str) -> None:
        super().__init__(actions="continuous")
        self._slow, self._broken = Path(slow), Path(broken)

    def step(self, action: Any) -> Any:
        if self._slow.exists():
            time.sleep(float(self._slow.read_text()))
        if self._broken.exists():
            raise RuntimeError(f"{self._broken.name} is broken")
        return super().step(action)


def small_experiment(*, place: Path, name: str, seed: int) -> triax.Experiment:
    """Build an experiment of 200 steps, which take less than a second.

    While ``place/NAME.slow`` exists, each takes as many seconds as stand in it; while ``place/NAME.broken`` exists,
    they fail.

    :param place: a folder.
    :param name: of the job.
    :param seed: of the run.
    """
    small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(8,)))
    arguments = {"slow": str(place / f"{name}.slow"), "broken": str(place / f"{name}.broken")}
    return triax.Experiment(
        name="small",
        learner=triax.SACConfig(actor=small, critic=small, batch_size=16, warmup_steps=20),
        environment=triax.EnvironmentConfig(factory=GatedProbe, arguments=arguments),
        total_steps=200,
        seed=seed,
        evaluation=triax.EvaluationConfig(interval=100, episodes=2, environments=2),
        checkpoint=triax.CheckpointConfig(interval=20),
        loop=triax.LoopConfig(log_interval=20, video=False),
    )


def write_sweep(*, place: Path, jobs: int) -> Path:
    """Write a file that launches small experiments, in two groups.

    :param place: a folder, for it and for what makes its jobs slow or broken.
    :param jobs: how many; they are named ``job-0`` and so on.
    :return: the file.
    """
    script = place / "small_sweep.py"
    script.write_text(
        f"""\
from pathlib import Path

from launch_helpers import small_experiment

from triax import launch


def jobs():
    for seed in range({jobs}):
        name = f"job-{{seed}}"
        experiment = small_experiment(place=Path(__file__).parent, name=name, seed=seed)
        yield launch.Job(name=name, group="even" if seed % 2 == 0 else "odd", experiment=experiment)


if __name__ == "__main__":
    launch.main(jobs=jobs)
"""
    )
    return script


def call(script: Path, *words: str) -> "subprocess.Popen[str]":
    """Call a file that launches, from its folder.

    :param script: the file.
    :param words: the command and its options.
    :return: the process; its output is to be read.
    """
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
        "JAX_COMPILATION_CACHE_DIR": str(script.parent / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(
        [sys.executable, str(script), *words],
        cwd=script.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def states(folder: LaunchFolder, *, jobs: int) -> list[JobState]:
    """Read the states of the small jobs."""
    return [JobState.read(folder.state_path(f"job-{number}")) for number in range(jobs)]


def checkpoints(folder: LaunchFolder, name: str) -> set[int]:
    """List the checkpoints of a job."""
    path = folder.run_path(name) / "checkpoints"
    return {int(it.name) for it in path.iterdir() if it.name.isdigit()} if path.is_dir() else set()


def wait_until(condition: Callable[[], Any], *, seconds: float, what: str) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to pass within {seconds} s"
        time.sleep(0.1)


def small_jobs(place: Path, *, jobs: int) -> tuple[Job, ...]:
    """Make the jobs that the file of :func:`write_sweep` yields."""
    return tuple(
        Job(
            name=f"job-{seed}",
            group="even" if seed % 2 == 0 else "odd",
            experiment=small_experiment(place=place, name=f"job-{seed}", seed=seed),
        )
        for seed in range(jobs)
    )


def prepared_folder(path: Path) -> LaunchFolder:
    """Make an empty folder of a launch."""
    folder = LaunchFolder(path)
    with folder.lock():
        return folder


def make_run(*, folder: LaunchFolder, job: Job, means: Sequence[float]) -> RunDirectory:
    """Make a run directory as training does, evaluated every 100 steps, without training."""
    run = RunDirectory.create(folder.run_path(job.name), {"name": job.experiment.name, "experiment": job.description()})
    with RunLogs(run) as logs:
        for index, mean in enumerate(means):
            row = EvaluationRow(
                environment_steps=100 * index,
                updates=80 * index,
                policy_version=index,
                wall_seconds=2.0 * index,
                episodes=1,
                returns=(mean,),
                lengths=(5,),
                mean=mean,
                interval_low=mean - 1,
                interval_high=mean + 1,
            )
            logs.append_evaluation(row)
    return run


def fake_command(*, place: Path, name: str, script: str) -> None:
    """Put a shell script into a folder of commands."""
    place.mkdir(exist_ok=True)
    path = place / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)

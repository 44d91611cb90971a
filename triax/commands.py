"""The commands of the command line that work on a run directory: a dataclass of options each, and what it does."""

import abc
import dataclasses
import functools
import shlex
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import tyro

from triax.datasets import DatasetNotes
from triax.evaluation import EvaluationConfig, Evaluator, render_episode
from triax.programs import installed, triax_command
from triax.runs import RunDirectory, compare_runs, plot_run, write_video
from triax.training.agent import load_agent
from triax.training.recording import RecordingLimits, record_dataset
from triax.training.session import TrainingResult, resume, stored_environment

CheckpointChoice: TypeAlias = Literal["last", "best"] | int


class RunCommand(abc.ABC):
    """A command on one run directory."""

    @abc.abstractmethod
    def run(self, *, run_directory: Path) -> None:
        """Do it.

        :param run_directory: of the run.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resume(RunCommand):
    """Go on with a run that was stopped."""

    checkpoint: Literal["last"] | int = "last"
    """The newest complete one, or the one of these steps; later ones are discarded."""
    allow_changed_source: bool = False
    """Go on although the experiment's Python source has changed."""
    device: str | None = None
    """Where to go on: cpu, gpu, gpu:0,1; None: where the experiment says."""

    def run(self, *, run_directory: Path) -> None:
        """Train on, and say what came of it."""
        report(
            resume(
                run_directory=run_directory,
                checkpoint=self.checkpoint,
                allow_changed_source=self.allow_changed_source,
                device=self.device,
            )
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watch(RunCommand):
    """Film episodes of the trained agent; needs no display."""

    checkpoint: CheckpointChoice = "last"
    """The newest, the one with the best evaluation, or the one of these steps."""
    episodes: int = 3
    """How many."""
    seed: int = 0
    """Of the starts."""
    stochastic: bool = False
    """Sample actions instead of taking the policy's mode."""
    video: Path | None = None
    """Where to write, .mp4 or .gif; by default into the run directory."""

    def __post_init__(self) -> None:
        """Check the values."""
        _check_at_least(episodes=(self.episodes, 1), seed=(self.seed, 0))

    def run(self, *, run_directory: Path) -> None:
        """Play, film, and say where the film is."""
        run = RunDirectory.open(run_directory)
        agent = load_agent(run_directory=run_directory, checkpoint=self.checkpoint)
        make = functools.partial(stored_environment(run=run).make, render_mode="rgb_array")
        films = []
        for episode in range(self.episodes):
            film = render_episode(
                make_rendering=make,
                policy=agent.learner.policy,
                parameters=agent.parameters,
                observation_spec=agent.spec.observation,
                action_spec=agent.spec.action,
                seed=self.seed + episode,
                deterministic=not self.stochastic,
            )
            if film is None:
                raise ValueError("the environment cannot render pictures (render_mode='rgb_array').")
            print(f"episode {episode}: return {film.undiscounted_return:.5g} in {film.length} steps", flush=True)
            films.append(film)
        path = self.video or run.videos_path / f"watch-{self.checkpoint}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(frames=np.concatenate([film.frames for film in films]), path=path, fps=films[0].fps)
        print(f"video: {path}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(RunCommand):
    """Play episodes and print the mean return with its 95 % interval."""

    checkpoint: CheckpointChoice = "last"
    """The newest, the one with the best evaluation, or the one of these steps."""
    episodes: int = 100
    """How many. The starts are the same for the same seed."""
    environments: int = 20
    """How many are stepped side by side."""
    seed: int = 0
    """Of the starts."""
    stochastic: bool = False
    """Sample actions instead of taking the policy's mode."""

    def __post_init__(self) -> None:
        """Check the values."""
        _check_at_least(episodes=(self.episodes, 1), environments=(self.environments, 1), seed=(self.seed, 0))

    def run(self, *, run_directory: Path) -> None:
        """Play, and print."""
        run = RunDirectory.open(run_directory)
        agent = load_agent(run_directory=run_directory, checkpoint=self.checkpoint)
        evaluator = Evaluator(
            make=stored_environment(run=run).make,
            policy=agent.learner.policy,
            observation_spec=agent.spec.observation,
            action_spec=agent.spec.action,
            config=EvaluationConfig(
                episodes=self.episodes, environments=self.environments, deterministic=not self.stochastic
            ),
        )
        try:
            result = evaluator.evaluate(parameters=agent.parameters, evaluation_seed=self.seed)
        finally:
            evaluator.close()
        assert result is not None
        print(
            f"mean return {result.mean:.6g}, 95 % interval [{result.interval_low:.6g}, {result.interval_high:.6g}], "
            f"over {self.episodes} episodes of {np.mean(result.lengths):.4g} steps on average"
        )
        if result.successes is not None:
            print(f"success in {np.mean(result.successes):.1%} of the episodes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot(RunCommand):
    """Plot the run's returns and metrics into its directory."""

    def run(self, *, run_directory: Path) -> None:
        """Plot, and say where."""
        for path in plot_run(RunDirectory.open(run_directory)):
            print(f"plot: {path}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(RunCommand):
    """Record episodes of the trained agent as a Minari dataset."""

    dataset: str
    """The dataset's id, such as pendulum/expert-v0."""
    episodes: int = 20
    """So many at most."""
    steps: int | None = None
    """So many steps of all episodes together; by default as many as they have."""
    episode_steps: int | None = None
    """Cut each episode off after so many steps."""
    piece_steps: int | None = None
    """Record of each episode a piece of so many successive steps, at a random place."""
    task: str | None = None
    """What is to be done, in words, for the metadata."""
    checkpoint: CheckpointChoice = "best"
    """The newest, the one with the best evaluation, or the one of these steps."""
    seed: int = 0
    """Of the starts."""
    stochastic: bool = False
    """Sample actions instead of taking the policy's mode."""
    root: Path | None = None
    """The folder of all datasets; by default MINARI_DATASETS_PATH, or Minari's own."""

    def __post_init__(self) -> None:
        """Check the values."""
        _check_at_least(episodes=(self.episodes, 1), seed=(self.seed, 0))

    def run(self, *, run_directory: Path) -> None:
        """Play, record, and say what was recorded."""
        run = RunDirectory.open(run_directory)
        agent = load_agent(run_directory=run_directory, checkpoint=self.checkpoint)
        returns = record_dataset(
            agent=agent,
            environment=stored_environment(run=run),
            dataset=self.dataset,
            limits=RecordingLimits(
                episodes=self.episodes,
                steps=self.steps,
                episode_steps=self.episode_steps,
                piece_steps=self.piece_steps,
            ),
            seed=self.seed,
            deterministic=not self.stochastic,
            root=self.root,
            notes=DatasetNotes(
                task=self.task,
                algorithm=type(agent.learner).__name__,
                description=f"{'Sampled' if self.stochastic else 'Deterministic'} actions, recorded by Triax.",
            ),
        )
        print(f"recorded {len(returns)} episodes as {self.dataset}, mean return {np.mean(returns):.5g}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlotRuns:
    """Plot a run into its directory, or compare several in one picture."""

    run_directories: tyro.conf.Positional[tuple[Path, ...]]
    """One, or several; those of one experiment count as its seeds."""
    statistic: Literal["mean", "iqm"] = "iqm"
    """Over seeds: the mean, or the interquartile mean."""
    output: Path | None = None
    """The picture; by default comparison.png for several runs. One run has plots in its directory by default."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.run_directories:
            raise ValueError("name the run directory to plot, or several to compare.")

    def __call__(self) -> None:
        """Plot, print a table, and say where the plot is."""
        # One that is named twice, as by two patterns of a shell, is one seed.
        paths = list({path.resolve(): path for path in self.run_directories}.values())
        if len(paths) == 1 and self.output is None:
            Plot().run(run_directory=paths[0])
            return
        output = self.output or Path("comparison.png")
        runs = [RunDirectory.open(path) for path in paths]
        for row in compare_runs(runs, statistic=self.statistic, output=output):
            print(row.sentence(statistic=self.statistic))
        print(f"plot: {output}")


def _check_at_least(**values: tuple[int, int]) -> None:
    """Refuse values below the least that makes sense, both by the option's name."""
    for name, (value, least) in values.items():
        if value < least:
            raise ValueError(f"{name}={value} must be at least {least}.")


def report(result: TrainingResult) -> None:
    """Say what came of a training run, and what to try next.

    :param result: of the run.
    """
    print(f"\n{result.reason}")
    if result.evaluations:
        last = result.evaluations[-1]
        print(
            f"final mean return {last.mean:.5g} [{last.interval_low:.5g}, {last.interval_high:.5g}] over "
            f"{last.episodes} episodes, after {last.environment_steps:,} steps and {last.updates:,} updates"
        )
    path = result.run_directory
    for picture in sorted([*path.glob("plots/*"), *path.glob("videos/*")], key=lambda file: file.stat().st_mtime):
        print(f"  {picture}")
    following = [
        triax_command("watch", path),
        triax_command("evaluate", path, "--episodes", "100"),
        triax_command("plot", path, "OTHER_RUN", "..."),
    ]
    if tensorboard := installed("tensorboard"):
        following.append(f"{tensorboard} --logdir {shlex.quote(str(path))}")
    print("\n  ".join(["next:", *following]))


def newest_run(*, name: str, root: Path = Path("runs")) -> Path:
    """Find the newest run of an experiment.

    :param name: the experiment's name.
    :param root: the folder of all runs.
    :return: its directory.
    :raises ValueError: if there is none.
    """
    newest_first = sorted(root.glob("*/experiment.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for run in (RunDirectory.open(path.parent) for path in newest_first):
        if run.document().get("name") == name:
            return run.path
    raise ValueError(f"no run of {name} lies under {root}/; name one with --run-directory, or train first.")

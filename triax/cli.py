"""The command line: of every experiment file, and of the installed ``triax`` command for run directories.

``python experiments/NAME.py COMMAND`` knows the experiment; ``triax COMMAND RUN`` reads it from the run directory. Exit
codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from triax import commands
from triax.environments import MissingDependency
from triax.rollout import EnvironmentFailed, NonFiniteExperience
from triax.runs import RunError
from triax.training.experiment import Experiment
from triax.training.importing import CannotImport
from triax.training.interrupts import TrainingInterrupted
from triax.training.metrics import Diverged
from triax.training.session import train

CONFIG = (tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed)

EXPECTED_ERRORS = (
    ValueError,
    CannotImport,
    Diverged,
    EnvironmentFailed,
    MissingDependency,
    NonFiniteExperience,
    RunError,
)
"""Errors whose message tells the user what to do. All others show where they came from."""

RUN_COMMANDS: dict[str, type[commands.RunCommand]] = {
    "resume": commands.Resume,
    "watch": commands.Watch,
    "evaluate": commands.Evaluate,
    "record": commands.Record,
}


def main(experiment: Experiment | None = None) -> None:
    """Run the command line, and end the process.

    :param experiment: what an experiment file describes; None for the installed command, which takes run directories.
    """
    warnings.showwarning = _show_warning
    if experiment is None:
        subcommands, description = _installed_commands(), "Go on with, look at and compare training runs."
    else:
        subcommands, description = _experiment_commands(experiment), f"The experiment {experiment.name}."
    try:
        tyro.extras.subcommand_cli_from_dict(subcommands, description=description, config=CONFIG)
    except TrainingInterrupted as interruption:
        _fail(str(interruption), code=130)
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    except BrokenPipeError:
        # Whoever read our output has closed it (head, a pager).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except EXPECTED_ERRORS as error:
        if os.environ.get("TRIAX_TRACEBACK"):
            raise
        _fail(f"error: {error}", code=1)


def _installed_commands() -> dict[str, Callable[..., Any]]:
    def plot(
        run_directories: Annotated[tuple[Path, ...], tyro.conf.Positional],
        statistic: Literal["mean", "iqm"] = "iqm",
        output: Path = Path("comparison.png"),
    ) -> None:
        """Plot a run into its directory, or compare several in one picture.

        :param run_directories: one, or several; those of one experiment count as its seeds.
        :param statistic: over seeds: the mean, or the interquartile mean.
        :param output: the picture, for several runs.
        """
        if len(run_directories) == 1:
            commands.Plot().run(run_directory=run_directories[0])
        else:
            commands.compare(run_directories=run_directories, statistic=statistic, output=output)

    return {name: _positional(kind) for name, kind in RUN_COMMANDS.items()} | {"plot": plot}


def _experiment_commands(experiment: Experiment) -> dict[str, Callable[..., Any]]:
    def train_command(
        experiment: Annotated[Experiment, tyro.conf.arg(name="")] = experiment, run_directory: Path | None = None
    ) -> None:
        """Train from the beginning.

        :param experiment: what to do.
        :param run_directory: a new or empty folder; by default one under runs/, named by the experiment and the time.
        """
        commands.report(train(experiment=experiment, run_directory=run_directory))

    kinds = RUN_COMMANDS | {"plot": commands.Plot}
    return {"train": train_command} | {name: _with_default(kind, experiment=experiment) for name, kind in kinds.items()}


def _positional(kind: type[commands.RunCommand]) -> Callable[..., None]:
    """Make a subcommand that is told its run directory first."""

    def command(run_directory: Any, options: Any) -> None:
        options.run(run_directory=run_directory)

    return _annotated(command, kind=kind, run_directory=Annotated[Path, tyro.conf.Positional])


def _with_default(kind: type[commands.RunCommand], *, experiment: Experiment) -> Callable[..., None]:
    """Make a subcommand that takes the experiment's newest run unless it is told another."""

    def command(options: Any, run_directory: Any = None) -> None:
        options.run(run_directory=run_directory or commands.newest_run(name=experiment.name))

    return _annotated(command, kind=kind, run_directory=Path | None)


def _annotated(
    command: Callable[..., None], *, kind: type[commands.RunCommand], run_directory: Any
) -> Callable[..., None]:
    command.__annotations__ = {
        "run_directory": run_directory,
        "options": Annotated[kind, tyro.conf.arg(name="")],
        "return": None,
    }
    command.__doc__ = f"{kind.__doc__}\n\n:param run_directory: of the run; by default the newest of the experiment."
    return command


def _fail(message: str, *, code: int) -> None:
    print(f"\n{message}", file=sys.stderr)
    sys.exit(code)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    print(f"warning: {message}", file=sys.stderr)

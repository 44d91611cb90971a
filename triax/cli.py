"""The command line: of every experiment file, and of the installed ``triax`` command for run directories.

``python experiments/NAME.py COMMAND`` knows the experiment; ``triax COMMAND RUN`` reads it from the run directory. Exit
codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import tyro

from triax import commands
from triax.datasets import DatasetConfig
from triax.environments import EnvironmentConfig
from triax.exits import WRONG_USAGE, orderly_end, reading_usage
from triax.options import TYPES, code_only
from triax.training.experiment import Experiment
from triax.training.session import train

Subcommand: TypeAlias = Callable[..., Callable[[], None]]
"""A dataclass of arguments; calling an instance does the work."""

CONFIG = (tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed)

RUN_COMMANDS: dict[str, type[commands.RunCommand]] = {
    "resume": commands.Resume,
    "watch": commands.Watch,
    "evaluate": commands.Evaluate,
    "record": commands.Record,
}


BY_ID: dict[str, Callable[..., Any]] = {
    "environment": EnvironmentConfig,
    "dataset": DatasetConfig,
    "prefill": DatasetConfig,
}
"""What an experiment whose file has none of it can be given by its id."""


def main(experiment: Experiment | None = None) -> None:
    """Run the command line, and end the process.

    :param experiment: what an experiment file describes; None for the installed command, which takes run directories.
    """
    if experiment is None:
        program, subcommands = "triax", _installed_commands()
        description = "Go on with, look at and compare training runs."
    else:
        program, subcommands = None, _experiment_commands(experiment)
        description = f"The experiment {experiment.name}."
    with orderly_end():
        if name := code_only(sys.argv[1:]):
            print(f"{name} is no option: it holds what is made in Python. Set it in the file.", file=sys.stderr)
            sys.exit(WRONG_USAGE)
        with reading_usage(), TYPES:
            chosen = tyro.extras.subcommand_cli_from_dict(
                subcommands, prog=program, description=description, config=CONFIG
            )
        chosen()


def _installed_commands() -> dict[str, Subcommand]:
    return {name: _positional(kind) for name, kind in RUN_COMMANDS.items()} | {"plot": commands.PlotRuns}


def _experiment_commands(experiment: Experiment) -> dict[str, Subcommand]:
    missing = [name for name in BY_ID if getattr(experiment, name) is None]

    def do(self: Any) -> None:
        given = {name: BY_ID[name](id=getattr(self, name)) for name in missing if getattr(self, name) is not None}
        told = dataclasses.replace(self.experiment, **given)
        commands.report(train(experiment=with_arguments(told, of=experiment), run_directory=self.run_directory))

    by_id = Annotated[str | None, tyro.conf.arg(help="Its id; the experiment's file has none.")]
    place = "A new or empty folder; by default one under runs/, named by the experiment and the time."
    train_command = dataclasses.make_dataclass(
        "Train",
        [
            ("experiment", Annotated[Experiment, tyro.conf.arg(name="")], dataclasses.field(default=experiment)),
            ("run_directory", Annotated[Path | None, tyro.conf.arg(help=place)], dataclasses.field(default=None)),
            *((name, by_id, dataclasses.field(default=None)) for name in missing),
        ],
        kw_only=True,
        namespace={"__doc__": "Train from the beginning.", "__call__": do},
    )
    kinds = RUN_COMMANDS | {"plot": commands.Plot}
    return {"train": train_command} | {name: _with_default(kind, experiment=experiment) for name, kind in kinds.items()}


def with_arguments(told: Experiment, *, of: Experiment) -> Experiment:
    """Keep the arguments of the file's environment that the command line does not name.

    :param told: what the command line says.
    :param of: what the file says.
    :return: the experiment of both.
    """
    if told.environment is None or of.environment is None:
        return told
    arguments = {**of.environment.arguments, **told.environment.arguments}
    return dataclasses.replace(told, environment=dataclasses.replace(told.environment, arguments=arguments))


def _positional(kind: type[commands.RunCommand]) -> Subcommand:
    """Make a subcommand that is told its run directory first."""
    place = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(help="Of the run.")]
    return _subcommand(kind=kind, arguments=[("run_directory", place)], default_run=None)


def _with_default(kind: type[commands.RunCommand], *, experiment: Experiment) -> Subcommand:
    """Make a subcommand that takes the experiment's newest run unless it is told another."""
    place = Annotated[Path | None, tyro.conf.arg(help="Of the run; by default the newest of the experiment.")]
    default_run = functools.partial(commands.newest_run, name=experiment.name)
    return _subcommand(
        kind=kind,
        arguments=[("run_directory", place, dataclasses.field(default=None))],
        default_run=default_run,
    )


def _subcommand(
    *, kind: type[commands.RunCommand], arguments: list[Any], default_run: Callable[[], Path] | None
) -> Subcommand:
    """Make a subcommand whose arguments are a run directory and a command's options."""

    def do(self: Any) -> None:
        run_directory = default_run() if self.run_directory is None and default_run else self.run_directory
        self.options.run(run_directory=run_directory)

    return dataclasses.make_dataclass(
        kind.__name__,
        [*arguments, ("options", Annotated[kind, tyro.conf.arg(name="")])],
        kw_only=True,
        namespace={"__doc__": kind.__doc__, "__call__": do},
    )

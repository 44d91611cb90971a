"""The command line of a file that launches many experiments: ``python FILE run | slurm | status | collect``.

Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
"""

import sys
from collections.abc import Callable

import tyro

from triax.exits import orderly_end, reading_usage
from triax.launch.commands import Collect, LaunchCommand, ShowStatus
from triax.launch.jobs import JobFunction, Sweep
from triax.launch.running import RunHere
from triax.launch.submitting import SubmitToSlurm

COMMANDS: dict[str, Callable[..., LaunchCommand]] = {
    "run": RunHere,
    "slurm": SubmitToSlurm,
    "status": ShowStatus,
    "collect": Collect,
}


def main(*, jobs: JobFunction) -> None:
    """Run the command line, and end the process.

    :param jobs: a function at the top level of the file, usually a generator, that yields the jobs. It is called in
        each job's process, too, and has to yield the same there.
    """
    with orderly_end():
        sweep = Sweep.of(jobs)
        with reading_usage():
            command = tyro.extras.subcommand_cli_from_dict(
                COMMANDS, description=f"Many experiments: {sweep.name}.", config=(tyro.conf.AvoidSubcommands,)
            )
        sys.exit(command.run(sweep=sweep))

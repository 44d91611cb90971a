"""What the process of a job is told, as the words of a command line."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from triax.launch.jobs import Sweep


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerArguments:
    """What the process of a job is told.

    :ivar sweep: where the job comes from.
    :ivar name: the job's name.
    :ivar digest: of the experiment that was launched under this name.
    :ivar folder: of the launch.
    :ivar allow_changed_source: whether to resume although Python sources have changed.
    :ivar lifeline: whether standard input is a pipe that breaks when the launch dies.
    """

    sweep: Sweep
    name: str
    digest: str
    folder: Path
    allow_changed_source: bool = False
    lifeline: bool = False

    def command(self) -> list[str]:
        """Write the command that starts the process.

        :return: the words.
        """
        words = [sys.executable, "-u", "-m", "triax.launch.worker"]
        words += ["--script", str(self.sweep.script), "--function", self.sweep.function]
        words += ["--job", self.name, "--digest", self.digest, "--folder", str(self.folder.absolute())]
        words += ["--allow-changed-source"] if self.allow_changed_source else []
        return words + (["--lifeline"] if self.lifeline else [])

    @staticmethod
    def parse(words: Sequence[str]) -> "WorkerArguments":
        """Read what :meth:`command` wrote.

        :param words: without the interpreter and the module.
        :return: the arguments.
        """
        parser = argparse.ArgumentParser(description="The process of one job of a launch.")
        for name in ("script", "folder"):
            parser.add_argument(f"--{name}", type=Path, required=True)
        for name in ("function", "job", "digest"):
            parser.add_argument(f"--{name}", required=True)
        for name in ("allow-changed-source", "lifeline"):
            parser.add_argument(f"--{name}", action="store_true")
        read = parser.parse_args(words)
        return WorkerArguments(
            sweep=Sweep(script=read.script, function=read.function),
            name=read.job,
            digest=read.digest,
            folder=read.folder,
            allow_changed_source=read.allow_changed_source,
            lifeline=read.lifeline,
        )

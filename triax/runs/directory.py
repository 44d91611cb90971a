"""The directory of a run: what lies where in it, how it is made, found and held.

experiment.json      what the run is: resolved configuration, versions, machine
metrics.jsonl        one row of the learner's metrics a line
evaluations.jsonl    one evaluation a line
episodes.jsonl       one episode of training a line
tensorboard/         metrics and evaluations for TensorBoard
checkpoints/<steps>/
plots/  videos/
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from triax.runs.errors import RunDirectoryError
from triax.runs.files import JSON, aside_of, encode_json, read_json_object, write_atomically
from triax.runs.locks import Locked, exclusive

_EXPERIMENT, _LOCK, _REACHED = "experiment.json", ".lock", ".reached"


@dataclass(frozen=True)
class RunDirectory:
    """A directory that holds a run. Made by :meth:`create` or :meth:`open`.

    :param path: where it is.
    """

    path: Path

    @property
    def experiment_path(self) -> Path:
        """The document that says what the run is."""
        return self.path / _EXPERIMENT

    @property
    def metrics_path(self) -> Path:
        """The rows of metrics."""
        return self.path / "metrics.jsonl"

    @property
    def evaluations_path(self) -> Path:
        """The rows of evaluations."""
        return self.path / "evaluations.jsonl"

    @property
    def episodes_path(self) -> Path:
        """The rows of the episodes of training."""
        return self.path / "episodes.jsonl"

    @property
    def reached_path(self) -> Path:
        """How many environment steps the run has taken in."""
        return self.path / _REACHED

    @property
    def tensorboard_path(self) -> Path:
        """The folder of TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def checkpoints_path(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def plots_path(self) -> Path:
        """The folder of the plots."""
        return self.path / "plots"

    @property
    def videos_path(self) -> Path:
        """The folder of the videos."""
        return self.path / "videos"

    @staticmethod
    def create(path: Path, document: Mapping[str, JSON]) -> "RunDirectory":
        """Make the directory of a new run.

        :param path: where; it may exist if it is empty.
        :param document: what the run is.
        :return: the directory.
        :raises RunDirectoryError: if it holds a run already, or anything else, or cannot be made.
        """
        run = RunDirectory(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(f"the run directory {path} cannot be made: {error.strerror}") from error
        # Under the lock, so that of two processes that make the same directory one is refused.
        with run.lock():
            if run.experiment_path.exists():
                raise RunDirectoryError(f"{path} holds a run already: resume it, or choose another directory")
            ours = {_LOCK, aside_of(run.experiment_path).name}
            strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in ours)
            if strangers:
                raise RunDirectoryError(
                    f"{path} is not empty ({_listed(strangers)}) and holds no run: choose another directory"
                )
            run.write_document(document)
        return run

    @staticmethod
    def open(path: Path) -> "RunDirectory":
        """Open the directory of a run that exists. Nothing in it is changed.

        :param path: where it is.
        :return: the directory.
        :raises RunDirectoryError: if it is not a run directory; the message names those that lie directly below.
        """
        run = RunDirectory(path)
        if not path.is_dir():
            what = "is not a directory" if path.exists() else "does not exist"
            raise RunDirectoryError(f"{path} is not a run directory: it {what}")
        if not run.experiment_path.is_file():
            below = sorted(entry.name for entry in path.iterdir() if (entry / _EXPERIMENT).is_file())
            hint = f"; run directories below it: {_listed(below)}" if below else ""
            raise RunDirectoryError(f"{path} is not a run directory: it has no {_EXPERIMENT}{hint}")
        return run

    def document(self) -> dict[str, JSON]:
        """Read what the run is.

        :return: the document.
        :raises RunDirectoryError: if it cannot be read.
        """
        try:
            return read_json_object(self.experiment_path)
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"{self.experiment_path} cannot be read: {error}") from error

    def write_document(self, document: Mapping[str, JSON]) -> None:
        """Write what the run is, atomically.

        :param document: the document.
        :raises TypeError: if a value is not JSON.
        :raises OSError: if it cannot be written.
        """
        write_atomically(path=self.experiment_path, content=encode_json(document, path=_EXPERIMENT))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for writing, so that no two processes train in it at once.

        The kernel releases the lock when the process dies, however it dies. A forked child does not inherit it.

        :return: a context in which the directory is held.
        :raises RunDirectoryError: if another process holds it; the message says which.
        """
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(exclusive(self.path / _LOCK))
            except Locked as error:
                raise RunDirectoryError(
                    f"{self.path} is in use by {error.holder}: wait for its end, or choose another directory"
                ) from None
            except OSError as error:
                raise RunDirectoryError(f"{self.path} cannot be locked: {error.strerror}") from error
            yield


def can_name_folder(name: str) -> bool:
    """Tell whether a name can be that of a folder that is seen.

    :param name: the name.
    :return: whether.
    """
    return bool(name) and not name.startswith(".") and not any(character in name for character in "/\\\0")


def default_run_directory(name: str, root: Path = Path("runs")) -> Path:
    """Choose the directory of a new run, and claim it by making it.

    :param name: the experiment's name.
    :param root: the folder of all runs.
    :return: ``<root>/<name>-<date>-<time>``, with a number behind it if that is taken; an empty directory, so that
        another process that asks in the same second gets another one.
    :raises RunDirectoryError: if it cannot be made.
    """
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    stem = f"{safe}-{datetime.now():%Y%m%d-%H%M%S}"
    number = 1
    while True:
        path = root / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise RunDirectoryError(f"the run directory {path} cannot be made: {error.strerror}") from error
        else:
            return path


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"

"""How a command ends: its exit code, and what the person at the terminal is told.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import triax
from triax.environments import EnvironmentNotMade, MissingDependency
from triax.replay import ReplayTooLarge
from triax.rollout import EnvironmentFailed, NonFiniteAction, NonFiniteExperience, WorkersFailed
from triax.rollout.cluster import RayNotInstalled
from triax.runs import RunError
from triax.training.importing import CannotImport, is_installed
from triax.training.interrupts import TrainingInterrupted
from triax.training.metrics import Diverged
from triax.training.wandb import WandbNotInstalled

INTERRUPTED = 130
"""The exit code after Ctrl-C or ``kill``."""

WRONG_USAGE = 2
"""The exit code where a command line asks for what there is not."""

EXPECTED_ERRORS = (
    ValueError,
    OSError,
    CannotImport,
    Diverged,
    EnvironmentFailed,
    MissingDependency,
    NonFiniteAction,
    NonFiniteExperience,
    RayNotInstalled,
    ReplayTooLarge,
    RunError,
    WandbNotInstalled,
    WorkersFailed,
)
"""Errors whose message tells the user what to do. All others show where they came from."""


@contextlib.contextmanager
def orderly_end() -> Iterator[None]:
    """Turn errors and signals into a message and an exit code; warnings into a line each.

    :return: a context for a whole command.
    :raises SystemExit: if the command did not get to its end.
    """
    warnings.showwarning = _show_warning
    try:
        yield
    except TrainingInterrupted as interruption:
        _end(str(interruption), code=INTERRUPTED)
    except KeyboardInterrupt:
        _end("interrupted", code=INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has closed it (head, a pager).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except EXPECTED_ERRORS as error:
        if os.environ.get("TRIAX_TRACEBACK"):
            raise
        _end(f"error: {error}{_frames(error)}{_hint(error)}", code=1)


@contextlib.contextmanager
def reading_usage() -> Iterator[None]:
    """Turn a refused value into a message and the exit code of wrong usage.

    :return: a context for the reading of a command line.
    :raises SystemExit: if a value was refused.
    """
    try:
        yield
    except ValueError as error:
        if os.environ.get("TRIAX_TRACEBACK"):
            raise
        _end(f"error: {error}{_hint(error)}", code=WRONG_USAGE)


def _frames(error: Exception) -> str:
    """Write where the user's own code failed, as a traceback does.

    :param error: what ends the command.
    :return: a line break and two lines a frame; of an environment that is not the user's, the last frame.
    """
    if error.__cause__ is None or not isinstance(error, EnvironmentFailed | EnvironmentNotMade):
        return ""
    frames = traceback.extract_tb(error.__cause__.__traceback__)
    shown = [frame for frame in frames if not is_installed(Path(frame.filename).resolve())]
    if isinstance(error, EnvironmentFailed):
        shown = shown or [frame for frame in frames if not _is_own(frame)][-1:]
    return "\n" + "".join(traceback.format_list(shown)).rstrip() if shown else ""


def _hint(error: Exception) -> str:
    """Say how to see where an error comes from that is not one of Triax's, with a message for the user."""
    origin = traceback.extract_tb(error.__traceback__)[-1]
    if _is_own(origin) and (origin.line or "").startswith("raise "):
        return ""
    return f"\n({type(error).__name__}; with TRIAX_TRACEBACK=1 in the environment, all of its traceback is shown)"


def _is_own(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).resolve().is_relative_to(Path(triax.__file__).resolve().parent)


def _end(message: str, *, code: int) -> NoReturn:
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

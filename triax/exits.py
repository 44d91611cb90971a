"""How a command ends: its exit code, and what the person at the terminal is told.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

from triax.environments import MissingDependency
from triax.replay import ReplayTooLarge
from triax.rollout import EnvironmentFailed, NonFiniteAction, NonFiniteExperience, WorkersFailed
from triax.rollout.cluster import RayNotInstalled
from triax.runs import RunError
from triax.training.importing import CannotImport
from triax.training.interrupts import TrainingInterrupted
from triax.training.metrics import Diverged
from triax.training.wandb import WandbNotInstalled

INTERRUPTED = 130
"""The exit code after Ctrl-C or ``kill``."""

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
        _end(f"error: {error}", code=1)


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

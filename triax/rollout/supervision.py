"""What all fleets of workers share in watching them: limits, the budget of restarts, and how it ends."""

import collections
import dataclasses
import pickle
import time
from collections.abc import Callable
from typing import Any


class CannotSendToWorkers(ValueError):
    """The environment or the policy cannot be pickled."""


class WorkersFailed(RuntimeError):
    """Workers failed more often than the budget allows, or one could not even start."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupervisionConfig:
    """How workers are watched.

    :raises ValueError: if a field is out of its range.
    """

    start_seconds: float = 180.0
    """A worker that has not begun its first episodes after this long is killed."""
    reset_seconds: float = 60.0
    """Likewise one whose reset lasts this long."""
    step_seconds: float = 60.0
    """Likewise one whose step lasts this long."""
    restarts: int = 5
    """So many workers are started again within the window; one more ends the run, with a checkpoint."""
    window_seconds: float = 600.0
    """The window."""
    patience_seconds: float = 30.0
    """If the trainer waits longer than this for experience, it says for whom."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("start_seconds", "reset_seconds", "step_seconds", "window_seconds", "patience_seconds"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"SupervisionConfig.{name}={getattr(self, name)} must be above 0.")
        if self.restarts < 0:
            raise ValueError(f"SupervisionConfig.restarts={self.restarts} must be at least 0.")


class RestartBudget:
    """So many restarts within a window of time.

    :param config: how many, and how long the window is.
    """

    def __init__(self, *, config: SupervisionConfig) -> None:
        self._config = config
        self._times: collections.deque[float] = collections.deque()

    def take(self) -> bool:
        """Take one.

        :return: whether there was one left.
        """
        now = time.monotonic()
        while self._times and now - self._times[0] > self._config.window_seconds:
            self._times.popleft()
        if len(self._times) >= self._config.restarts:
            return False
        self._times.append(now)
        return True


class WatchClock:
    """A clock that goes while processes are watched.

    Who was stopped together with those it watches (Ctrl-Z) cannot tell what they did meanwhile: the time between two
    looks counts as half of the shortest limit at most. So nobody is overdue by one such break alone, and whoever hangs
    is found also by someone who looks seldom.

    :param config: the limits.
    """

    def __init__(self, *, config: SupervisionConfig) -> None:
        self._most = min(config.start_seconds, config.reset_seconds, config.step_seconds) / 2
        self._seconds = 0.0
        self._last = time.monotonic()

    def look(self) -> float:
        """Look at them now.

        :return: seconds on this clock.
        """
        now = time.monotonic()
        self._seconds += min(now - self._last, self._most)
        self._last = now
        return self._seconds


class Watch:
    """How long a process has been seen at one thing, on such a clock."""

    def __init__(self) -> None:
        self._thing: object = None
        self._since = 0.0

    def seconds(self, *, thing: object, now: float) -> float:
        """See what it is at.

        :param thing: equal to that of the last time if it is the same.
        :param now: on the clock.
        :return: seconds since it was first seen at it.
        """
        if thing != self._thing:
            self._thing, self._since = thing, now
        return now - self._since


def pickled_for_workers(
    setup: object, *, environment: object, policy: object, dumps: Callable[[Any], bytes] = pickle.dumps
) -> bytes:
    """Pickle what another process is to be told, and say which part of it cannot be.

    :param setup: all of it.
    :param environment: what makes the environment.
    :param policy: what makes the policy.
    :param dumps: pickles one thing.
    :return: the pickle.
    :raises CannotSendToWorkers: if the environment or the policy cannot be pickled.
    """
    for what, value in (("environment", environment), ("policy", policy)):
        try:
            dumps(value)
        except Exception as error:
            raise CannotSendToWorkers(
                f"the {what} cannot be sent to worker processes: {error}. Functions and classes that it is made of "
                "must stand at the top level of a module (no lambdas), and hold nothing that belongs to this process, "
                'such as an open file or a lock; or use rollout.backend="inline" (if workers take it and the evaluator '
                'does not, evaluation.backend="inline").'
            ) from error
    return dumps(setup)

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
    """How long processes have been watched without a break.

    Who was stopped together with those it watches (Ctrl-Z), or was busy otherwise, cannot tell what they did meanwhile:
    that time does not count against them.

    :param config: a break is longer than the shortest of its limits.
    """

    def __init__(self, *, config: SupervisionConfig) -> None:
        self._break = min(config.start_seconds, config.reset_seconds, config.step_seconds)
        self._began = self._last = time.monotonic()

    def look(self) -> float:
        """Look at them now.

        :return: seconds since the watch began, or since its last break.
        """
        now = time.monotonic()
        if now - self._last > self._break:
            self._began = now
        self._last = now
        return now - self._began


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

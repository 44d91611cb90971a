"""What all fleets of workers share in watching them: limits, the budget of restarts, and how it ends."""

import collections
import dataclasses
import time


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

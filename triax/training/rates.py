"""How fast a run goes, and who waits for whom."""

import dataclasses

from triax.rollout import FleetReport
from triax.training.loops import Counters


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Reading:
    wall_seconds: float
    environment_steps: int
    updates: int
    trainer_waited: float
    workers_waited: float


class Rates:
    """Rates since the last row of the log.

    :param workers: how many workers there are.
    """

    NAMES = (
        "environment_steps_per_second",
        "updates_per_second",
        "trainer_waiting_share",
        "worker_waiting_share",
    )
    """What :meth:`take` may give; all of these depend on the machine and on what else it does."""

    def __init__(self, *, workers: int) -> None:
        self._workers = workers
        self._last = _Reading(wall_seconds=0.0, environment_steps=0, updates=0, trainer_waited=0.0, workers_waited=0.0)

    def begin(self, *, wall_seconds: float, counters: Counters, report: FleetReport | None) -> None:
        """Count from here.

        :param wall_seconds: of the run, now.
        :param counters: likewise.
        :param report: of the fleet; None without one.
        """
        self._last = _reading(wall_seconds=wall_seconds, counters=counters, report=report)

    def take(self, *, wall_seconds: float, counters: Counters, report: FleetReport | None) -> dict[str, float]:
        """Compute the rates since the last call, and count from here.

        :param wall_seconds: of the run, now.
        :param counters: likewise.
        :param report: of the fleet; None without one.
        :return: by name; the shares of time lie in [0, 1], the workers' is the mean over them.
        """
        before, now = self._last, _reading(wall_seconds=wall_seconds, counters=counters, report=report)
        self._last = now
        seconds = now.wall_seconds - before.wall_seconds
        if seconds <= 0.0:
            return {}
        rates = {"updates_per_second": (now.updates - before.updates) / seconds}
        if report is not None:
            rates |= {
                "environment_steps_per_second": (now.environment_steps - before.environment_steps) / seconds,
                "trainer_waiting_share": _share(now.trainer_waited - before.trainer_waited, of=seconds),
                "worker_waiting_share": _share(now.workers_waited - before.workers_waited, of=seconds * self._workers),
            }
        return rates


def _reading(*, wall_seconds: float, counters: Counters, report: FleetReport | None) -> _Reading:
    return _Reading(
        wall_seconds=wall_seconds,
        environment_steps=counters.environment_steps,
        updates=counters.updates,
        trainer_waited=0.0 if report is None else report.seconds_waited,
        workers_waited=0.0 if report is None else report.worker_seconds_waited,
    )


def _share(seconds: float, *, of: float) -> float:
    # Workers write their times down while they are read, so that a little may count in the row before or after.
    return min(1.0, max(0.0, seconds / of))

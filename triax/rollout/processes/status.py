"""What a worker is at, told by its stepping loop itself: a helper thread would say that the process lives, not that it
makes progress.
"""

import enum
import math
import time

from triax.rollout.processes.memory import SharedMemory
from triax.rollout.supervision import SupervisionConfig

_PHASE, _SINCE, _WAITED, _RESETS, _STEPS, _STOP = range(6)


class Phase(enum.IntEnum):
    """What a worker can be at."""

    START = 0
    RESET = 1
    STEP = 2
    WAITING = 3


def overdue(*, phase: Phase, seconds: float, supervision: SupervisionConfig) -> str | None:
    """Say what takes too long.

    :param phase: what a worker is at.
    :param seconds: for how long.
    :param supervision: the limits.
    :return: what it has done, for the user; None if it does not take too long.
    """
    limits = {
        Phase.START: ("start", supervision.start_seconds),
        Phase.RESET: ("reset", supervision.reset_seconds),
        Phase.STEP: ("step", supervision.step_seconds),
        Phase.WAITING: ("wait", math.inf),
    }
    name, limit = limits[phase]
    if seconds <= limit:
        return None
    return f"has been at one {name} for more than {limit:g} s (rollout.supervision.{name}_seconds)"


class WorkerStatus:
    """Numbers that one side writes and the other reads. Sent to the worker while it is being spawned."""

    def __init__(self) -> None:
        """Begin in the phase START, now."""
        self._memory = SharedMemory(size=64)
        self.enter(Phase.START)

    @property
    def phase(self) -> Phase:
        """What the worker is at."""
        return Phase(self._memory.words[_PHASE])

    @property
    def since(self) -> int:
        """When the worker entered the phase, in nanoseconds on the clock of ``time.monotonic_ns``."""
        return self._memory.words[_SINCE]

    @property
    def seconds_in_phase(self) -> float:
        """How long ago that was."""
        return (time.monotonic_ns() - self.since) / 1e9

    @property
    def seconds_waited(self) -> float:
        """How long the worker has waited for the trainer in all, the wait of now included."""
        now = self.seconds_in_phase if self.phase is Phase.WAITING else 0.0
        return self._memory.words[_WAITED] / 1e9 + now

    @property
    def resets(self) -> int:
        """How many episodes the worker has begun."""
        return self._memory.words[_RESETS]

    @property
    def steps(self) -> int:
        """How many steps the worker has begun, over all its environments."""
        return self._memory.words[_STEPS]

    @property
    def stop_requested(self) -> bool:
        """Whether the worker is to end."""
        return bool(self._memory.words[_STOP])

    def enter(self, phase: Phase) -> None:
        """Begin something; by the worker.

        :param phase: what. The same again counts as new: each step has its own time.
        """
        now = time.monotonic_ns()
        words = self._memory.words
        if words[_PHASE] == Phase.WAITING:
            words[_WAITED] += now - words[_SINCE]
        words[_SINCE] = now
        words[_PHASE] = phase
        if phase == Phase.RESET:
            words[_RESETS] += 1
        elif phase == Phase.STEP:
            words[_STEPS] += 1

    def resetting(self) -> None:
        """An environment is about to be reset; see :class:`~triax.rollout.environments.Watcher`."""
        self.enter(Phase.RESET)

    def stepping(self) -> None:
        """An environment is about to be stepped."""
        self.enter(Phase.STEP)

    def request_stop(self) -> None:
        """Ask the worker to end; by the trainer."""
        self._memory.words[_STOP] = 1

    def close(self) -> None:
        """Let go of it. Closing twice does nothing more."""
        self._memory.close()

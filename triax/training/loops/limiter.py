"""The ratio of updates to environment steps, whichever side is faster."""

import dataclasses
import math

from triax.training.loops.base import Counters


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """How many environment steps an iteration takes in.

    :ivar needed: so many must come before the next updates may be made.
    :ivar welcome: so many may come before updates must be made.
    """

    needed: int
    welcome: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RateLimiter:
    """Says when updates may be made, and when experience may come in.

    It decides by the counters alone, which are part of every checkpoint: after resuming it wants what it wanted
    before, and one that wants experience never has to wait for updates as well, so that it cannot block.

    :ivar updates_per_step: updates for each environment step after the warm-up.
    :ivar warmup_steps: environment steps before the first update.
    :ivar tolerance: how many updates either side may be ahead of the other, beyond the updates of one call.
    :ivar updates_per_call: updates are made so many at a time.
    """

    updates_per_step: float
    warmup_steps: int
    tolerance: int
    updates_per_call: int

    def warming_up(self, counters: Counters) -> bool:
        """Tell whether it is too early for updates.

        :param counters: how far the run is.
        :return: whether steps of the warm-up are missing.
        """
        return counters.environment_steps < self.warmup_steps

    def calls_due(self, counters: Counters) -> int:
        """Count the calls of updates to make now.

        :param counters: how far the run is.
        :return: those that the ratio asks for; where it asks for none, one if that is within the tolerance.
        """
        if self.warming_up(counters):
            return 0
        behind = self._updates_behind(counters)
        if behind >= self.updates_per_call:
            return behind // self.updates_per_call
        # Before the first step there is nothing to learn from, whatever the tolerance.
        return int(behind + self.tolerance >= self.updates_per_call and counters.environment_steps > 0)

    def wanted(self, counters: Counters) -> Wanted:
        """Say how much experience to take in now.

        :param counters: how far the run is.
        :return: the least and the most.
        """
        if self.warming_up(counters):
            missing = self.warmup_steps - counters.environment_steps
            return Wanted(needed=missing, welcome=missing)
        missing_updates = self.updates_per_call - self._updates_behind(counters)
        return Wanted(
            needed=max(self._steps_for(missing_updates - self.tolerance), int(counters.environment_steps == 0)),
            welcome=self._steps_for(missing_updates + self.tolerance),
        )

    def _updates_behind(self, counters: Counters) -> int:
        learning_steps = counters.environment_steps - self.warmup_steps
        return math.floor(learning_steps * self.updates_per_step) - counters.updates

    def _steps_for(self, updates: int) -> int:
        return 0 if updates <= 0 else math.ceil(updates / self.updates_per_step)

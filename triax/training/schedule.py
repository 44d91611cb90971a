"""When something is due."""

import dataclasses
from typing import Any


@dataclasses.dataclass(kw_only=True)
class Schedule:
    """Something that is due every so many steps.

    :ivar interval: in steps.
    :ivar next: the steps at which it is due next.
    :ivar last: the steps at which it was done last; −1 before.
    """

    interval: int
    next: int
    last: int = -1

    def due(self, *, steps: int, at_end: bool) -> bool:
        """Tell whether it is due.

        :param steps: the steps now.
        :param at_end: whether the run ends here, where everything is due that was not just done.
        :return: whether the steps have reached the next point.
        """
        return steps >= self.next or (at_end and self.last != steps)

    def points(self, *, steps: int) -> int:
        """Count the points that are reached, and at which nothing has been done yet.

        :param steps: the steps now.
        :return: how many; what is done now stands for all of them.
        """
        return 0 if steps < self.next else (steps - self.next) // self.interval + 1

    def done(self, *, steps: int) -> None:
        """Move to the next point.

        :param steps: the steps now.
        """
        self.skip(steps=steps)
        self.last = steps

    def skip(self, *, steps: int) -> None:
        """Move to the next point, with nothing done.

        :param steps: the steps now.
        """
        self.next = (steps // self.interval + 1) * self.interval

    def state(self) -> dict[str, int]:
        """Describe where it stands.

        :return: JSON values.
        """
        return {"next": self.next, "last": self.last}

    def restore(self, state: Any) -> None:
        """Take over what :meth:`state` gave.

        :param state: JSON values.
        """
        self.next, self.last = state["next"], state["last"]

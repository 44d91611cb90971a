"""The progress of a run on the terminal: a line that is kept up to date, or plain lines where there is no terminal."""

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.progress import Task as BarTask
from rich.text import Text

_LIVE_SECONDS = 0.2
_WINDOW_SECONDS = 30.0


class Progress:
    """A line of progress, as a context manager.

    An update costs well under a microsecond while nothing is due to be shown. No thread is involved: what is shown is
    as old as the last update.

    :param total: how many steps there are to be; ``None`` if nobody knows.
    :param unit: what is counted, in the plural.
    :param description: what is going on, in a word or two.
    :param plain_seconds: the time between two lines where the output is not a terminal.
    :param console: where to write; standard output by default.
    :param clock: the time in seconds, for tests.
    """

    def __init__(
        self,
        total: int | None,
        *,
        unit: str = "steps",
        description: str = "",
        plain_seconds: float = 30.0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.unit = unit
        self.description = description
        self._console = console if console is not None else Console(file=sys.stdout)
        self._live = self._console.is_terminal
        self._interval = _LIVE_SECONDS if self._live else plain_seconds
        self._clock = clock
        self._steps = 0
        self._shown_steps: int | None = None
        self._note = ""
        self._recent: deque[tuple[float, int]] = deque()
        self._due = clock() + self._interval
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _LineColumn(self.line),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._bar.add_task(description, total=total)

    def begin_at(self, *, steps: int) -> None:
        """Say how far former lives have come; the rate does not count from here, since compiling comes first.

        :param steps: the steps taken by them.
        """
        self._steps = steps
        self._bar.update(self._task, completed=steps)

    def update(self, *, steps: int, note: str | None = None) -> None:
        """Say how far it is.

        :param steps: the steps taken so far, those of former lives included.
        :param note: a word on the result, such as the last return; the former one stays if there is none.
        """
        self._steps = steps
        if note is not None:
            self._note = note
        now = self._clock()
        if now >= self._due:
            self._show(now)
        elif not self._recent:
            # The rate counts from here: not the steps of former lives, and not the time that compiling took.
            self._recent.append((now, steps))

    def say(self, message: str) -> None:
        """Print a message above the line.

        :param message: the message, printed as it is.
        """
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def line(self) -> str:
        """Write the line: steps, share, rate, time left, note.

        :return: the text, such as ``12,000 / 100,000 steps (12 %), 850 steps/s, 1 min 43 s left, return 120.5``.
        """
        steps = f"{self._steps:,} {self.unit}"
        if self.total is not None:
            share = 100 * self._steps / self.total if self.total else 100
            steps = f"{self._steps:,} / {self.total:,} {self.unit} ({share:.0f} %)"
        pieces = [steps]
        rate = self.rate()
        if rate is not None:
            pieces.append(f"{_rounded(rate)} {self.unit}/s")
            if self.total is not None and rate > 0 and self._steps < self.total:
                pieces.append(f"{duration((self.total - self._steps) / rate)} left")
        return ", ".join([*pieces, self._note] if self._note else pieces)

    def rate(self) -> float | None:
        """Compute the steps per second over about the last half minute.

        :return: the rate, or ``None`` before there is one.
        """
        if not self._recent:
            return None
        (then, steps_then), (now, steps_now) = self._recent[0], self._recent[-1]
        return (steps_now - steps_then) / (now - then) if now > then else None

    def __enter__(self) -> "Progress":
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live or self._steps != self._shown_steps:
            self._show(self._clock())
        if self._live:
            self._bar.stop()

    def _show(self, now: float) -> None:
        self._due = now + self._interval
        self._recent.append((now, self._steps))
        # The window keeps two points at least, however long ago the first of them was.
        while len(self._recent) > 2 and self._recent[1][0] <= now - _WINDOW_SECONDS:
            self._recent.popleft()
        self._shown_steps = self._steps
        if self._live:
            self._bar.update(self._task, completed=self._steps, refresh=True)
        else:
            self.say(f"{self.description}: {self.line()}" if self.description else self.line())


class _LineColumn(ProgressColumn):
    """The column that shows our own line."""

    def __init__(self, line: Callable[[], str]) -> None:
        super().__init__()
        self._line = line

    def render(self, task: BarTask) -> Text:
        """Show the line.

        :param task: rich's record of the progress, which knows less than we do.
        :return: the line.
        """
        return Text(self._line())


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def duration(seconds: float) -> str:
    """Write a time for people.

    :param seconds: the time.
    :return: for example ``1 min 43 s``.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

"""The line of progress: what it says, when it says it, and what an update costs."""

import io
import time

from rich.console import Console

from triax.runs.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def plain_console() -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(file=output, force_terminal=False, width=80), output


def test_plain_lines_come_every_half_minute() -> None:
    console, output = plain_console()
    clock = Clock()
    with Progress(total=100_000, description="pendulum", console=console, clock=clock) as progress:
        for second in range(61):
            clock.now = 1000.0 + second
            progress.update(steps=100 * second, note=f"return {second}")
    # 100 steps a second; after 30 s 97,000 are left, which take 970 s = 16 min 10 s.
    assert output.getvalue().splitlines() == [
        "pendulum: 3,000 / 100,000 steps (3 %), 100 steps/s, 16 min 10 s left, return 30",
        "pendulum: 6,000 / 100,000 steps (6 %), 100 steps/s, 15 min 40 s left, return 60",
    ]


def test_the_end_is_shown_once() -> None:
    console, output = plain_console()
    clock = Clock()
    with Progress(total=10, console=console, clock=clock) as progress:
        progress.update(steps=0)
        clock.now += 5
        progress.update(steps=10)
    assert output.getvalue() == "10 / 10 steps (100 %), 2 steps/s\n"


def test_the_rate_forgets_former_lives_and_old_times() -> None:
    console, _ = plain_console()
    clock = Clock()
    with Progress(total=None, unit="updates", console=console, clock=clock, plain_seconds=1.0) as progress:
        clock.now += 0.5
        progress.update(steps=50_000)  # a resumed run
        assert progress.rate() is None
        for _ in range(100):
            clock.now += 1
            progress.update(steps=progress._steps + 7)
        assert progress.rate() == 7.0
        for _ in range(40):  # slower now
            clock.now += 1
            progress.update(steps=progress._steps + 1)
        assert progress.rate() == 1.0
        assert progress.line() == "50,740 updates, 1 updates/s"


def test_a_note_stays_until_the_next() -> None:
    console, _ = plain_console()
    with Progress(total=4, console=console) as progress:
        progress.update(steps=1, note="return 5")
        progress.update(steps=2)
        assert progress.line().endswith("return 5")


def test_messages_are_printed_as_they_are() -> None:
    console, output = plain_console()
    message = "checkpoint [bold]5000[/bold] in /a/very/long/path" + "/x" * 100
    with Progress(total=4, console=console) as progress:
        progress.say(message)
        progress.update(steps=4)
    assert output.getvalue().splitlines()[0] == message


def test_a_terminal_has_a_live_line_and_messages_above_it() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120, color_system=None)
    clock = Clock()
    with Progress(total=100, description="pendulum", console=console, clock=clock) as progress:
        progress.update(steps=1)
        clock.now += 1
        progress.update(steps=50)
        progress.say("a message")
        progress.update(steps=100, note="return 7")
    shown = output.getvalue()
    assert "50 / 100 steps (50 %), 49 steps/s" in shown
    assert "a message\n" in shown
    assert shown.rindex("100 / 100 steps (100 %)") > shown.rindex("a message")
    assert "return 7" in shown


def test_an_update_costs_microseconds() -> None:
    console, _ = plain_console()
    best = float("inf")
    with Progress(total=None, console=console) as progress:
        for _ in range(5):
            begin = time.perf_counter()
            for steps in range(2000):
                progress.update(steps=steps)
            best = min(best, (time.perf_counter() - begin) / 2000)
    assert best < 50e-6  # 0.5 µs without the type checks of the tests

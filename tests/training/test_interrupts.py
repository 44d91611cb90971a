"""Requests to end, by signals."""

import signal

import pytest

from triax.training.interrupts import StopRequest


def test_a_second_sigterm_changes_nothing_and_a_second_ctrl_c_ends_at_once() -> None:
    # A shell that starts the tests in the background has them ignore Ctrl-C.
    original = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop = StopRequest()
    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
        assert (stop.interrupted, stop.reason) == (True, "interrupted by SIGTERM")
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert {number: signal.getsignal(number) for number in before} == before
    signal.signal(signal.SIGINT, original)

"""The channel from a worker to the trainer."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from triax.rollout.processes import Channel, ChannelDamaged


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel(capacity=1000)
    yield channel
    channel.close()


def never() -> None:
    raise AssertionError("the writer had to wait")


def test_records_come_back_in_order_around_the_end_of_the_ring(channel: Channel) -> None:
    generator = np.random.default_rng(0)
    for number in range(300):
        records = [generator.bytes(int(generator.integers(200))) for _ in range(1 + number % 3)]
        for record in records:
            channel.write(record, wait=never)
        assert [channel.take() for _ in records] == records
        assert channel.take() is None
    assert channel.written == channel.read > 300


def test_trap_24_a_full_channel_makes_the_writer_wait_and_drops_nothing(channel: Channel) -> None:
    waits: list[bytes | None] = []
    for number in range(10):
        channel.write(bytes([number]) * 300, wait=lambda: waits.append(channel.take()))
    rest = [channel.take() for _ in range(10 - len(waits))]
    assert waits + rest == [bytes([number]) * 300 for number in range(10)]
    assert len(waits) == 7  # three fit


def test_a_record_that_can_never_fit_is_refused(channel: Channel) -> None:
    with pytest.raises(ValueError, match="does not fit a channel of 1,000 bytes"):
        channel.write(bytes(1001), wait=never)


@pytest.mark.parametrize("byte", [64, 72, 80, 88, 100])
def test_a_damaged_record_is_refused(channel: Channel, byte: int) -> None:
    channel.write(b"experience" * 5, wait=never)
    channel._memory.data[byte] ^= 1
    with pytest.raises(ChannelDamaged):
        channel.take()


def test_a_record_counts_only_once_it_is_committed(channel: Channel) -> None:
    channel.write(b"first", wait=never)
    channel._put(channel._memory.words[0], bytes(range(100)))  # what a writer that was killed leaves
    assert channel.take() == b"first"
    assert channel.take() is None


def write_for_ever(channel: Channel) -> None:
    number = 0
    while True:
        channel.write(number.to_bytes(8, "little") * 20, wait=lambda: time.sleep(0.0001))
        number += 1


def test_trap_35_a_writer_killed_at_any_moment_leaves_whole_records_only() -> None:
    for trial in range(2):
        channel = Channel(capacity=5000)
        process = multiprocessing.get_context("spawn").Process(target=write_for_ever, args=(channel,), daemon=True)
        process.start()
        number, killed = 0, False
        deadline = time.monotonic() + 600.0
        while time.monotonic() < deadline:
            record = channel.take()
            if record is not None:
                assert record == number.to_bytes(8, "little") * 20
                number += 1
            elif killed:
                break
            if number == 500 + 37 * trial and not killed:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                killed = True
        assert killed
        assert channel.written == channel.read == number
        channel.close()

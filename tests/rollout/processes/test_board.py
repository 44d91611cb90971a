"""The board on which workers find the newest policy."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from triax.rollout.processes import PolicyBoard


@pytest.fixture
def board() -> Iterator[PolicyBoard]:
    board = PolicyBoard(slot_size=100)
    yield board
    board.close()


def test_the_newest_wins(board: PolicyBoard) -> None:
    assert board.read(newer_than=0) is None
    for number in range(1, 8):
        board.publish(bytes([number]) * number)
        assert board.read(newer_than=number - 1) == (number, bytes([number]) * number)
    assert board.read(newer_than=2) == (7, bytes([7]) * 7)
    assert board.read(newer_than=7) is None


def test_a_policy_that_does_not_fit_is_refused(board: PolicyBoard) -> None:
    with pytest.raises(ValueError, match="101 bytes does not fit a slot of 100 bytes"):
        board.publish(bytes(101))


def test_trap_41_a_policy_that_is_not_whole_is_never_given_out(board: PolicyBoard) -> None:
    board.publish(b"policy")
    slot = board._start(1)
    board._memory.data[slot] ^= 1
    with pytest.raises(RuntimeError, match="could not be read whole"):
        board.read(newer_than=0)
    board._memory.data[slot] ^= 1
    assert board.read(newer_than=0) == (1, b"policy")


def read_for_ever(board: PolicyBoard, results: Connection) -> None:
    number, whole = 0, 0
    while whole < 300:
        found = board.read(newer_than=number)
        if found is None:
            continue
        number, content = found
        if len(set(content)) != 1 or content[0] != number % 251:
            results.send(f"publication {number} was torn")
            return
        whole += 1
    results.send(whole)


def test_trap_41_a_reader_beside_a_fast_writer_sees_whole_policies_only() -> None:
    board = PolicyBoard(slot_size=200_000)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=read_for_ever, args=(board, theirs), daemon=True)
    process.start()
    number = 0
    while not ours.poll() and number < 1_000_000:
        number += 1
        board.publish(bytes([number % 251]) * 200_000)
    found = ours.recv()
    process.join()
    board.close()
    assert found == 300

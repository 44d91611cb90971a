"""The rings: what a chunk may be, and that wrapping, long chunks and several streams at once give the same rows."""

import dataclasses

import gymnasium
import numpy as np
import pytest
from replay_helpers import ACTION, OBSERVATION, Row, draw, insert_stream, make_chunk, make_replay, make_stream

from triax.replay import RECORDED, Replay, ReplayConfig
from triax.spaces import space_spec
from triax.trees import replace
from triax.types import Chunk, Trajectory, TransitionUnit

ENDLESS = [Row(number=n, reward=1.0 + n, is_first=n == 0) for n in range(40)]


def numbers(replay: Replay, *, stream: int = 0) -> set[int]:
    """The numbers of the rows that are experience."""
    batch = draw(replay, unit=TransitionUnit(discount=0.9), count=1024)
    observation = np.reshape(batch.observation, (-1, 2))
    return {int(number) for number, environment in observation if environment == stream}


def test_the_newest_transition_can_be_drawn_at_once() -> None:
    replay = make_replay()
    replay.insert(make_chunk([ENDLESS[:2]]))
    batch = draw(replay, unit=TransitionUnit(discount=0.9), count=8)
    np.testing.assert_array_equal(batch.observation[..., 0], np.zeros((2, 4)))
    np.testing.assert_array_equal(batch.next_observation[..., 0], np.ones((2, 4)))


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 7, 11, 39])
def test_a_ring_keeps_the_newest_steps_however_they_come(chunk_rows: int) -> None:
    # Rows 0 … 39, of which 39 is the newest observation; a capacity of 10 keeps the steps 29 … 38.
    replay = make_replay(capacity=10)
    insert_stream(replay, ENDLESS, chunk_rows=chunk_rows)
    assert numbers(replay) == set(range(29, 39))
    assert len(replay) == 10


def test_streams_are_written_side_by_side() -> None:
    # Two environments in one chunk, of which the second ended an episode where the first did not.
    other = make_stream(lengths=[2, 2], terminated=[True, True])
    together, apart = make_replay(capacity=20, streams=2), make_replay(capacity=20, streams=2)
    together.insert(make_chunk([ENDLESS[:4], other[:4]]))
    together.insert(make_chunk([ENDLESS[3:6], other[3:6]]))
    for stream, rows in enumerate((ENDLESS[:6], other[:6])):
        for part in (rows[:4], rows[3:6]):
            chunk = make_chunk([part], first_environment=stream)
            chunk.trajectory.observation[..., 1] = stream
            apart.insert(chunk)
    assert numbers(together) == numbers(apart) == {0, 1, 2, 3, 4}
    assert numbers(together, stream=1) == numbers(apart, stream=1) == {0, 1, 3, 4}


def test_one_stream_may_break_while_its_neighbour_goes_on() -> None:
    replay = make_replay(capacity=20, streams=2)
    replay.insert(make_chunk([ENDLESS[:3], ENDLESS[:3]]))
    fresh = [Row(number=20 + n, is_first=n == 0) for n in range(3)]
    replay.insert(make_chunk([ENDLESS[2:5], fresh]))
    assert numbers(replay) == {0, 1, 2, 3}
    assert numbers(replay, stream=1) == {0, 1, 20, 21}
    batch = draw(replay, unit=TransitionUnit(discount=0.9), count=512)
    pairs = {
        (int(stream), int(number), int(following))
        for (number, stream), following in zip(
            np.reshape(batch.observation, (-1, 2)), np.reshape(batch.next_observation, (-1, 2))[:, 0], strict=True
        )
    }
    assert {(0, 1, 2), (0, 2, 3), (1, 1, 2), (1, 20, 21)} <= pairs
    assert not any(number == 2 for stream, number, _ in pairs if stream == 1)  # the last of the old life


def test_a_first_observation_that_nothing_followed_is_replaced_by_the_new_life() -> None:
    # The worker died between a reset and the first step. No row of an episode without steps remains.
    replay = make_replay(capacity=20)
    insert_stream(replay, [*make_stream(lengths=[2], terminated=[True]), Row(number=3, is_first=True)])
    insert_stream(replay, [Row(number=20, is_first=True), Row(number=21)])
    assert numbers(replay) == {0, 1, 20}
    assert [episode.steps for episode in replay.episodes()] == [2]


def test_what_is_inserted_is_copied() -> None:
    replay, chunk = make_replay(), make_chunk([ENDLESS[:3]])
    replay.insert(chunk)
    chunk.trajectory.observation[:] = -1.0
    assert numbers(replay) == {0, 1}


def test_trees_and_tasks_come_back_as_they_were() -> None:
    observation = space_spec(
        space=gymnasium.spaces.Dict(
            {"image": gymnasium.spaces.Box(0, 255, (4, 4, 1), np.uint8), "mode": gymnasium.spaces.Discrete(3)}
        ),
        role="observation",
    )
    action = space_spec(
        space=gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(-1.0, 1.0, (2,)))),
        role="action",
    )
    carry = space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (3,)), role="observation")
    replay = Replay(
        config=ReplayConfig(capacity=10),
        observation_spec=observation,
        action_spec=action,
        extras_spec={"carry": carry},
        streams=1,
        tasks=[5],
    )
    trajectory = Trajectory(
        observation={
            "image": np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4, 1),
            "mode": np.array([[1], [2]], np.int32),
        },
        action=(np.array([[1]], np.int32), np.array([[[0.5, -0.5]]], np.float32)),
        reward=np.array([[2.0]], np.float32),
        terminated=np.array([[False]]),
        truncated=np.array([[False]]),
        is_first=np.array([[True], [False]]),
        is_last=np.array([[False], [False]]),
        extras={"carry": np.array([[[1.0, 2.0, 3.0]]], np.float32)},
    )
    replay.insert(Chunk(trajectory=trajectory, first_environment=0, policy_version=0, steps=1, episodes=()))
    batch = draw(replay, unit=TransitionUnit(discount=0.9), count=1)
    np.testing.assert_array_equal(batch.observation["image"][0, 0], trajectory.observation["image"][0, 0])
    np.testing.assert_array_equal(batch.next_observation["image"][0, 0], trajectory.observation["image"][1, 0])
    assert batch.next_observation["mode"].tolist() == [[2]]
    assert batch.action[0].tolist() == [[1]]
    assert batch.action[1].tolist() == [[[0.5, -0.5]]]
    assert batch.extras["carry"].tolist() == [[[1.0, 2.0, 3.0]]]
    assert batch.origin.task.tolist() == [[5]]
    assert batch.observation["image"].dtype == np.uint8


def test_each_row_says_which_version_of_the_policy_made_it() -> None:
    replay = make_replay(capacity=6)
    for version, start in ((3, 0), (5, 2), (8, 4), (9, 6)):
        replay.insert(dataclasses.replace(make_chunk([ENDLESS[start : start + 3]]), policy_version=version))
    trajectory = make_chunk([ENDLESS[8:10]]).trajectory
    replay.insert_rows(trajectory=trajectory, first_stream=0, task=np.zeros(1, np.int32))
    batch = draw(replay, unit=TransitionUnit(discount=0.9), count=64)
    found = {
        (int(row), int(version))
        for row, version in zip(np.ravel(batch.observation[..., 0]), np.ravel(batch.origin.policy_version), strict=True)
    }
    assert found == {(3, 5), (4, 8), (5, 8), (6, 9), (7, 9), (8, RECORDED)}


def test_chunks_of_another_shape_are_refused() -> None:
    replay, chunk = make_replay(), make_chunk([ENDLESS[:3]])
    rows = chunk.trajectory

    def insert(**changes: object) -> None:
        replay.insert_rows(trajectory=replace(rows, **changes), first_stream=0, task=np.zeros(1, np.int32))

    with pytest.raises(ValueError, match=r"observation is float64\(3, 1, 2\)"):
        insert(observation=rows.observation.astype(np.float64))
    with pytest.raises(ValueError, match=r"action is float32\(2, 1, 2\)"):
        insert(action=np.repeat(rows.action, 2, axis=-1))
    with pytest.raises(ValueError, match="structure"):
        insert(observation={"position": rows.observation})
    with pytest.raises(ValueError, match="extras has the structure"):
        insert(extras={"value": rows.reward})
    with pytest.raises(ValueError, match="environments 1 to 1"):
        replay.insert(replace(chunk, first_environment=1))
    assert len(replay) == 0


@pytest.mark.parametrize("stream", [-1, 2])
def test_chunks_of_environments_that_it_has_not_are_refused_among_others_that_are_alike(stream: int) -> None:
    replay = make_replay(capacity=20, streams=2)
    chunk = make_chunk([make_stream(lengths=[3], terminated=[False])])
    for environment in (0, 1):
        replay.insert(replace(chunk, first_environment=environment))
    with pytest.raises(ValueError, match="a replay of 2 streams"):
        replay.insert(replace(chunk, first_environment=stream))


def test_a_replay_that_cannot_serve_its_environments_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity=3 cannot serve 4 environments"):
        make_replay(capacity=3, streams=4)
    with pytest.raises(ValueError, match="tasks names 1 tasks for 2"):
        Replay(config=ReplayConfig(capacity=10), observation_spec=OBSERVATION, action_spec=ACTION, streams=2, tasks=[0])

"""Made-up experience whose rows tell where they come from."""

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from triax.replay import Replay, ReplayConfig, SamplerFactory, UniformSampler
from triax.spaces import SpaceSpec, space_spec
from triax.types import Chunk, Trajectory, Transitions, TransitionUnit

OBSERVATION: SpaceSpec = space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (2,)), role="observation")
ACTION: SpaceSpec = space_spec(space=gymnasium.spaces.Box(-1.0, 1.0, (1,)), role="action")
ENVIRONMENT_ROWS = 60
"""Rows of ten episodes of five steps, with their final rows."""


@dataclasses.dataclass(kw_only=True)
class Row:
    """One row of a stream; ``number`` is unique in it."""

    number: int
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    is_first: bool = False
    is_last: bool = False


def make_stream(*, lengths: list[int], terminated: list[bool]) -> list[Row]:
    """Rows of whole episodes, one after the other, with their final rows; reward = 1 + the row's number."""
    rows: list[Row] = []
    for length, ends in zip(lengths, terminated, strict=True):
        for step in range(length):
            number, last = len(rows), step == length - 1
            rows.append(
                Row(
                    number=number,
                    reward=1.0 + number,
                    terminated=last and ends,
                    truncated=last and not ends,
                    is_first=step == 0,
                )
            )
        rows.append(Row(number=len(rows), is_last=True))
    return rows


def make_trajectory(streams: list[list[Row]]) -> Trajectory:
    """B streams of T + 1 rows each; observation = (number, stream), action = number / 1000."""

    def grid(name: str, dtype: Any) -> npt.NDArray[Any]:
        return np.array([[getattr(row, name) for row in rows] for rows in streams], dtype).T

    numbers = grid("number", np.float32)
    environments = np.broadcast_to(np.arange(len(streams), dtype=np.float32), numbers.shape)
    return Trajectory(
        observation=np.stack([numbers, environments], axis=-1),
        action=(numbers[:-1] / 1000)[..., np.newaxis],
        reward=grid("reward", np.float32)[:-1],
        terminated=grid("terminated", np.bool_)[:-1],
        truncated=grid("truncated", np.bool_)[:-1],
        is_first=grid("is_first", np.bool_),
        is_last=grid("is_last", np.bool_),
    )


def make_chunk(streams: list[list[Row]], *, first_environment: int = 0) -> Chunk:
    trajectory = make_trajectory(streams)
    return Chunk(
        trajectory=trajectory,
        first_environment=first_environment,
        policy_version=0,
        steps=int(trajectory.valid.sum()),
        episodes=(),
    )


def insert_stream(replay: Replay, rows: list[Row], *, stream: int = 0, chunk_rows: int = 3) -> None:
    """Insert T = len(rows) − 1 rows in chunks that overlap in one observation, as rollout makes them."""
    start = 0
    while start < len(rows) - 1:
        end = min(start + chunk_rows, len(rows) - 1)
        replay.insert(make_chunk([rows[start : end + 1]], first_environment=stream))
        start = end


def make_replay(*, capacity: int = 100, streams: int = 1, sampler: SamplerFactory = UniformSampler) -> Replay:
    return Replay(
        config=ReplayConfig(capacity=capacity, sampler=sampler),
        observation_spec=OBSERVATION,
        action_spec=ACTION,
        streams=streams,
    )


def draw(replay: Replay, *, unit: TransitionUnit, count: int = 64, seed: int = 0) -> Transitions:
    """One batch of N = count, without the axis of batches."""
    result = replay.sample(
        unit=unit, batch_size=min(count, 4), batches=max(1, count // 4), generator=np.random.default_rng(seed)
    )
    assert isinstance(result, Transitions)
    return result

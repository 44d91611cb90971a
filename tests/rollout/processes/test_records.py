"""A chunk that was written and read is the same chunk."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest

from triax.rollout.collector import blank_trajectory
from triax.rollout.processes.records import ChunkRecords
from triax.rollout.workers import WorkerFailure
from triax.spaces import BoxLeaf, DiscreteLeaf, ImageLeaf, SpaceSpec
from triax.types import Chunk, ChunkOrigin, EpisodeSummary, Trajectory

OBSERVATION = SpaceSpec(
    tree={"image": ImageLeaf(shape=(3, 3, 1)), "speed": BoxLeaf(shape=(2,), low=(-1.0,) * 2, high=(1.0,) * 2)}
)
ACTION = SpaceSpec(tree=(DiscreteLeaf(shape=(), sizes=(3,), start=(0,)), BoxLeaf(shape=(1,), low=(-1.0,), high=(1.0,))))
ORIGIN = ChunkOrigin(worker=1, life=2, sequence=3)
EXTRAS = {"value": SpaceSpec(tree=BoxLeaf(shape=(), low=(-np.inf,), high=(np.inf,)))}


def blank() -> Trajectory:
    return blank_trajectory(
        observation_spec=OBSERVATION, action_spec=ACTION, extras_spec=EXTRAS, steps=3, environments=1
    )


def chunk(seed: int) -> Chunk:
    generator = np.random.default_rng(seed)
    return Chunk(
        trajectory=jax.tree.map(lambda leaf: generator.integers(0, 2, leaf.shape).astype(leaf.dtype), blank()),
        first_environment=4,
        policy_version=17,
        steps=2,
        episodes=(EpisodeSummary(undiscounted_return=-1.5, length=9, environment=4, physics={"mass": 2.0}),) * seed,
        origin=ORIGIN,
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_chunk_comes_back(seed: int) -> None:
    written = chunk(seed)
    read = ChunkRecords(like=blank()).read(
        ChunkRecords(like=blank()).write(dataclasses.replace(written, origin=None), origin=ORIGIN)
    )
    assert isinstance(read, Chunk)
    assert dataclasses.replace(read, trajectory=written.trajectory) == written
    assert str(jax.tree.structure(read.trajectory)) == str(jax.tree.structure(written.trajectory))
    for own, other in zip(jax.tree.leaves(read.trajectory), jax.tree.leaves(written.trajectory), strict=True):
        assert own.dtype == other.dtype
        assert own.flags.aligned
        np.testing.assert_array_equal(own, other)


def test_a_failure_comes_back() -> None:
    failure = WorkerFailure(summary="no", traceback="where")
    assert ChunkRecords(like=blank()).read(pickle.dumps(failure)) == failure


def test_the_size_is_that_of_the_arrays() -> None:
    records = ChunkRecords(like=blank())
    assert records.size == sum(leaf.nbytes for leaf in jax.tree.leaves(blank()))
    assert len(records.write(chunk(0), origin=ORIGIN)) >= records.size

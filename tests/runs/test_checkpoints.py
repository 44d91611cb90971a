"""What a checkpoint store keeps, finds, restores and refuses."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import safetensors.numpy

from triax.runs.checkpoints import CheckpointStore
from triax.runs.errors import CheckpointMismatch, NoCheckpoint
from triax.runs.files import JSON
from triax.runs.folders import CheckpointFolders
from triax.runs.manifest import read_manifest
from triax.runs.saving import let_go

AGENT = {"policy": np.arange(3, dtype=np.float32)}


def save(store: CheckpointStore, steps: int, *, score: float | None = None, **parts: Any) -> None:
    store.save(
        steps=steps,
        parts={"agent": AGENT, "replay": np.zeros(4), **parts},
        counters={},
        agent_parts=["agent"],
        score=score,
    )


def round_trip(directory: Path, tree: Any) -> Any:
    store = CheckpointStore(directory)
    save(store, 1, tree=tree)
    return store.load(steps=1, part="tree", template=tree)


def structure(tree: Any) -> Any:
    return jax.tree.structure(tree)


class Pair(NamedTuple):
    left: Any
    right: Any


ARRAYS: dict[str, Any] = {
    "empty": np.zeros((0, 3), np.float32),
    "empty inside": np.zeros((2, 0, 3), np.int16),
    "scalar": np.array(7, np.int64),
    "bool": np.array([True, False]),
    "bool scalar": np.array(True),
    "uint8": np.arange(256, dtype=np.uint8).reshape(4, 64),
    "uint64": np.array([2**64 - 1], np.uint64),
    "half": np.array([1.5, -0.0, np.inf], np.float16),
    "bfloat16": np.arange(7).astype(jnp.bfloat16),
    "bfloat16 scalar": np.array(1.5, jnp.bfloat16),
    "float8": np.arange(7).astype(jnp.float8_e4m3fn),
    "complex": np.array([1 + 2j], np.complex64),
    "nan with a payload": np.array([0x7FF800000000BEEF, 0xFFF0000000000001], np.uint64).view(np.float64),
    "big-endian": np.arange(5, dtype=">f8").reshape(5, 1),
    "big-endian integer": np.array(258, ">i2"),
    "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    "strided": np.arange(12)[::-2],
    "broadcast": np.broadcast_to(np.float32(3), (4, 5)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    array = ARRAYS[name]
    restored = round_trip(tmp_path, {"at": array})["at"]
    assert type(restored) is np.ndarray
    assert restored.dtype == array.dtype
    assert restored.shape == array.shape
    assert restored.tobytes() == array.tobytes()
    assert restored.flags.writeable


def test_trees_come_back_in_their_structure(tmp_path: Path) -> None:
    tree: dict[str, Any] = {
        "pair": Pair(left=np.ones(2), right=None),
        "nothing": None,
        "empty": {"dict": {}, "tuple": (), "list": []},
        "jax": jnp.arange(3, dtype=jnp.bfloat16),
        "integer": 5,
        "float": 0.1,
        "bool": True,
        "numpy scalar": np.float32(0.1),
    }
    restored = round_trip(tmp_path, tree)
    assert structure(restored) == structure(tree)
    assert isinstance(restored["pair"], Pair)
    for found, expected in zip(jax.tree.leaves(restored), jax.tree.leaves(tree), strict=True):
        assert np.asarray(found).dtype == np.asarray(expected).dtype
        assert np.array_equal(found, expected)
    assert [type(restored[name]) for name in ("integer", "float", "bool", "numpy scalar")] == [
        int,
        float,
        bool,
        np.float32,
    ]


@pytest.mark.parametrize("tree", [None, {}, (), np.arange(3), 2.5], ids=str)
def test_roots_without_a_name_come_back(tmp_path: Path, tree: Any) -> None:
    restored = round_trip(tmp_path, tree)
    assert structure(restored) == structure(tree)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, restored, tree)))


def test_counters_come_back(tmp_path: Path) -> None:
    # A PCG64 state has 128 bits; 0.1 + 0.2 is not 0.3.
    counters: dict[str, JSON] = {"random": 2**127 + 1, "sum": 0.1 + 0.2, "list": [None, True, {"deep": "ö"}], "no": {}}
    store = CheckpointStore(tmp_path)
    store.save(steps=0, parts={"agent": AGENT}, counters=counters, agent_parts=["agent"], score=None)
    assert store.counters(0) == counters


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, np.float32(1), object()], ids=lambda value: type(value).__name__)
def test_counters_that_would_change_are_refused(tmp_path: Path, value: Any) -> None:
    # The tests' type checks may be faster than the store's own.
    with pytest.raises((TypeError, jaxtyping.TypeCheckError)):
        CheckpointStore(tmp_path).save(
            steps=0, parts={"agent": AGENT}, counters={"at": value}, agent_parts=["agent"], score=None
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "leaf",
    [jax.random.key(0), np.array(["text"]), np.array([None]), "text", 2**63, np.zeros(2, np.complex128)],
    ids=["key", "strings", "objects", "str", "long", "complex128"],
)
def test_leaves_that_cannot_be_stored_are_refused(tmp_path: Path, leaf: Any) -> None:
    with pytest.raises(TypeError, match=r"tree: \['a'\]\[1\]"):
        round_trip(tmp_path, {"a": [np.zeros(2), leaf]})
    assert not list(tmp_path.iterdir())


def test_the_library_reads_the_files(tmp_path: Path) -> None:
    tree: dict[str, Any] = {
        "a": np.arange(3, dtype=np.int16),
        "b": (np.arange(4.0).reshape(2, 2).T, np.array(1.5, jnp.bfloat16)),
    }
    round_trip(tmp_path, tree)
    found = safetensors.numpy.load_file(tmp_path / "1" / "tree.safetensors")
    assert found.keys() == {"['a']", "['b'][0]", "['b'][1]"}
    assert np.array_equal(found["['b'][0]"], tree["b"][0])
    assert found["['b'][1]"].dtype == jnp.bfloat16


def test_saving_leaves_donation_alone(tmp_path: Path) -> None:
    increment = jax.jit(lambda x: x + 1, donate_argnums=0)
    value = increment(jnp.zeros(1000))
    place = value.unsafe_buffer_pointer()
    save(CheckpointStore(tmp_path), 1, value=value)
    assert increment(value).unsafe_buffer_pointer() == place


def template(**changes: Any) -> dict[str, Any]:
    return {"a": np.zeros(2, np.float32), "b": {"c": np.zeros((3, 4), np.int32)}, **changes}


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (template(d=np.zeros(())), r"\['d'\]: missing; expected float64\[\]"),
        ({"a": np.zeros(2, np.float32)}, r"\['b'\]\['c'\]: stored int32\[3, 4\]; expected nothing"),
        (template(a=np.zeros(2)), r"\['a'\]: stored float32\[2\]; expected float64\[2\]"),
        (template(a=np.zeros(3, np.float32)), r"\['a'\]: stored float32\[2\]; expected float32\[3\]"),
        (template(a=None), r"\['a'\]: stored float32\[2\]; expected nothing"),
        (template(a=[np.zeros(2, np.float32)]), r"\['a'\]\[0\]: missing"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, expected: Any, message: str) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1, tree=template())
    with pytest.raises(CheckpointMismatch, match=message):
        store.load(steps=1, part="tree", template=expected)


def test_shapes_may_differ_where_that_is_said(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1, tree=template())
    larger = template(a=jax.eval_shape(lambda: jnp.zeros(9)))
    assert store.load(steps=1, part="tree", template=larger, exact_shapes=False)["a"].shape == (2,)
    with pytest.raises(CheckpointMismatch, match="expected float16"):
        store.load(steps=1, part="tree", template=template(a=np.zeros(9, np.float16)), exact_shapes=False)


def test_the_last_stay_in_full_and_the_best_as_agent(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2)
    kept = []
    for steps, score in ((1, 5.0), (2, 9.0), (3, None), (4, 7.0), (5, 9.0), (6, float("nan")), (7, 1.0)):
        save(store, steps, score=score)
        kept.append({found: store.manifest(found).complete for found in store.steps()})
    assert kept == [
        {1: True},
        {1: True, 2: True},
        {2: True, 3: True},  # 2 is better than 1
        {2: False, 3: True, 4: True},
        {4: True, 5: True},  # 5 is as good as 2, and newer
        {5: True, 6: True},
        {5: False, 6: True, 7: True},
    ]
    assert sorted(path.name for path in (tmp_path / "5").iterdir()) == [
        "agent.safetensors",
        "counters.json",
        "manifest.json",
    ]
    assert np.array_equal(store.load(steps=5, part="agent", template=AGENT)["policy"], AGENT["policy"])
    with pytest.raises(NoCheckpoint, match=r"holds no part 'replay', but agent \(an older checkpoint keeps"):
        store.load(steps=5, part="replay", template=np.zeros(4))
    for steps in store.steps():
        store.verify(steps)


def test_without_scores_the_last_stay(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=1)
    for steps in (1, 2, 3):
        save(store, steps)
    assert store.steps() == (3,)
    with pytest.raises(ValueError, match="keep_last is 0"):
        CheckpointStore(tmp_path, keep_last=0)


def test_resolve(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2)
    with pytest.raises(NoCheckpoint, match="there are none at all"):
        store.resolve("last", full=False)
    save(store, 1)
    with pytest.raises(NoCheckpoint, match="has a score; there are 1"):
        store.resolve("best", full=False)
    for steps, score in ((2, 9.0), (3, 1.0), (4, 2.0)):
        save(store, steps, score=score)
    assert store.steps() == (2, 3, 4)
    assert store.resolve("last", full=True) == store.resolve("last", full=False) == 4
    assert store.resolve("best", full=False) == 2
    assert store.resolve(3, full=True) == 3
    assert store.resolve(2, full=False) == 2
    for checkpoint in (2, "best"):
        with pytest.raises(NoCheckpoint, match=r"checkpoint 2 .* keeps the agent only.*there are 2, 3, 4"):
            store.resolve(checkpoint, full=True)
    with pytest.raises(NoCheckpoint, match=r"no checkpoint 5 .*there are 2, 3, 4"):
        store.resolve(5, full=False)


def test_a_kill_in_the_middle_of_slimming(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2)
    for steps in (1, 2):
        save(store, steps, score=float(-steps))
    read_manifest(tmp_path / "1").slimmed().write(tmp_path / "1")
    # Killed here: the replay is there, and listed no more.
    assert (tmp_path / "1" / "replay.safetensors").exists()
    store.verify(1)
    assert store.resolve("best", full=False) == 1
    with pytest.raises(NoCheckpoint, match="holds no part 'replay'"):
        store.load(steps=1, part="replay", template=np.zeros(4))
    assert (tmp_path / "1" / "replay.safetensors").exists()  # reading changes nothing
    store.prepare()
    assert not (tmp_path / "1" / "replay.safetensors").exists()
    store.verify(1)


def test_a_kill_between_the_two_renames(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    (tmp_path / "1").rename(tmp_path / ".replaced-1")
    assert store.steps() == (1,)
    store.verify(1)
    assert not (tmp_path / "1").exists()  # reading changes nothing
    store.prepare()
    assert (tmp_path / "1").exists()
    store.verify(1)


def test_opening_and_reading_remove_nothing(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    (tmp_path / ".saving-2").mkdir()
    (tmp_path / ".deleting-0").mkdir()
    (tmp_path / "notes").mkdir()
    CheckpointStore(tmp_path).load(steps=1, part="agent", template=AGENT)
    assert store.resolve("last", full=True) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"1", ".saving-2", ".deleting-0", "notes"}
    store.prepare()
    assert {path.name for path in tmp_path.iterdir()} == {"1", "notes"}


def test_going_on_from_an_earlier_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=3)
    for steps in (10, 20, 30):
        save(store, steps)
    with pytest.raises(ValueError, match="checkpoint 15 cannot be saved while 30 is there"):
        save(store, 15)
    with pytest.raises(NoCheckpoint, match="no checkpoint 15"):
        store.discard_after(15)
    (tmp_path / "30" / "manifest.json").write_bytes(b"")
    assert store.discard_after(10) == (20, 30)
    assert store.steps() == (10,)
    save(store, 15)
    assert store.resolve("last", full=True) == 15


def test_a_damaged_checkpoint_is_left_to_the_user(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=1)
    save(store, 1)
    (tmp_path / "1" / "manifest.json").unlink()
    save(store, 2)
    save(store, 3)
    assert store.steps() == (1, 3)
    let_go(folders=CheckpointFolders(tmp_path), keep_last=1)
    assert (tmp_path / "1" / "replay.safetensors").exists()


@pytest.mark.parametrize("part", ["", ".hidden", "a/b", "a b", "-x"])
def test_names_of_parts(tmp_path: Path, part: str) -> None:
    with pytest.raises(ValueError, match="cannot be called"):
        CheckpointStore(tmp_path).save(
            steps=1, parts={"agent": AGENT, part: AGENT}, counters={}, agent_parts=["agent"], score=None
        )


@pytest.mark.parametrize("agent_parts", [[], ["agent", "policy"]])
def test_the_agent_has_parts(tmp_path: Path, agent_parts: list[str]) -> None:
    with pytest.raises(ValueError, match="have to be one or more of the parts"):
        CheckpointStore(tmp_path).save(
            steps=1, parts={"agent": AGENT}, counters={}, agent_parts=agent_parts, score=None
        )

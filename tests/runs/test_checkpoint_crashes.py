"""Kills at any moment, full disks and damaged files: what a checkpoint store survives, and what it says."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from checkpoint_victim import BEST, save, save_series

from triax.runs.checkpoints import CheckpointStore
from triax.runs.errors import CheckpointDamaged, CheckpointFailed

VICTIM = Path(__file__).with_name("checkpoint_victim.py")


@pytest.fixture(scope="module")
def victim() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(VICTIM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def order(victim: subprocess.Popen[str], line: str) -> str:
    assert victim.stdin is not None
    assert victim.stdout is not None
    victim.stdin.write(line + "\n")
    victim.stdin.flush()
    return victim.stdout.readline().strip()


def require_sound(directory: Path) -> int:
    """Verify all that is there as a reader sees it, without changing anything; return the newest steps."""
    store = CheckpointStore(directory)
    for steps in store.steps():
        store.verify(steps)
        assert store.counters(steps)["steps"] == steps
        agent = store.load(steps=steps, part="agent", template={"weights": np.zeros((64, 64), np.float32)})
        assert (agent["weights"] == steps).all()
    newest = store.resolve("last", full=True)
    replay = store.load(steps=newest, part="replay", template={"data": np.zeros(50_000, np.int64)})
    assert (replay["data"] == newest).all()
    if newest >= BEST:
        assert store.resolve("best", full=False) == BEST
    return newest


def test_kill_at_random_moments(tmp_path: Path, victim: subprocess.Popen[str]) -> None:
    assert victim.stdout is not None
    save_series(tmp_path)
    generator = np.random.default_rng(0)
    newest = 3
    interrupted = 0
    for _ in range(15):
        process = int(order(victim, f"loop {tmp_path}"))
        time.sleep(generator.uniform(0.01, 0.12))
        os.kill(process, signal.SIGKILL)
        assert victim.stdout.readline().strip() == "died"
        interrupted += any(path.name.startswith(".") for path in tmp_path.iterdir())
        after = require_sound(tmp_path)
        assert after >= newest
        newest = after
    assert newest > 3
    assert interrupted > 0
    # A new life clears what the former ones left.
    save(directory=tmp_path, steps=newest + 1, life=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, [BEST, newest, newest + 1]))


def test_kill_at_every_change_of_the_disk(tmp_path: Path, victim: subprocess.Popen[str]) -> None:
    newest, deaths = 0, 0
    for change in range(1, 400):
        directory = tmp_path / str(change)
        directory.mkdir()
        if order(victim, f"die {change} {directory}") == "survived":
            break
        deaths += 1
        if CheckpointStore(directory).steps():
            after = require_sound(directory)
            assert after >= newest
            newest = after
        else:
            assert newest == 0
        # The next life clears what the former one left.
        save(directory=directory, steps=newest + 1, life=1)
        store = CheckpointStore(directory)
        assert sorted(path.name for path in directory.iterdir()) == sorted(map(str, store.steps()))
        for steps in store.steps():
            files = {path.name for path in (directory / str(steps)).iterdir()}
            assert files == {*store.manifest(steps).files, "manifest.json"}
    else:
        pytest.fail("the series never ended")
    assert newest == 3
    assert deaths > 45


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Make every write past ``size`` bytes fail, as a full disk does; it needs no rights. Python ignores SIGXFSZ."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def snapshot(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_write_fails(tmp_path: Path) -> None:
    save(directory=tmp_path, steps=1, life=0)
    save(directory=tmp_path, steps=2, life=0)
    before = snapshot(tmp_path)
    for steps in (2, 3):  # replacing, and new
        with file_size_limit(100_000), pytest.raises(CheckpointFailed) as caught:
            save(directory=tmp_path, steps=steps, life=1)
        message = str(caught.value)
        assert str(tmp_path / str(steps)) in message
        assert os.strerror(errno.EFBIG) in message
        assert "it takes 0.4 MiB" in message
        assert "MiB are free" in message
        assert "there are 1, 2" in message
        assert snapshot(tmp_path) == before
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    save(directory=tmp_path, steps=3, life=1)
    assert require_sound(tmp_path) == 3


@pytest.mark.parametrize("call", ["fsync", "replace", "rename"])
def test_disk_is_full_at_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    save(directory=tmp_path, steps=1, life=0)
    before = snapshot(tmp_path)
    real = getattr(os, call)
    for allowed in range(10):
        count = 0

        def failing(*arguments: object, allowed: int = allowed) -> object:
            nonlocal count
            count += 1
            if count == allowed + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        monkeypatch.setattr(os, call, failing)
        failure = None
        try:
            save(directory=tmp_path, steps=1, life=0)
        except CheckpointFailed as error:
            failure = str(error)
        finally:
            monkeypatch.setattr(os, call, real)
        if failure is None:
            assert count <= allowed
            break
        assert "No space left on device" in failure
        assert count > allowed
        CheckpointStore(tmp_path).verify(1)
        assert snapshot(tmp_path / "1") == {name.removeprefix("1/"): data for name, data in before.items()}
        CheckpointStore(tmp_path).prepare()
        assert [path.name for path in tmp_path.iterdir()] == ["1"]
    else:
        pytest.fail("no save ever passed")


FILES = ("agent.safetensors", "replay.safetensors", "counters.json", "manifest.json")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["flip first", "flip middle", "flip last", "remove", "truncate", "empty", "lengthen"])
def test_damage_is_found_and_a_way_out_offered(tmp_path: Path, name: str, harm: str) -> None:
    for steps in (4, 5):
        save(directory=tmp_path, steps=steps, life=0)
    path = tmp_path / "5" / name
    content = bytearray(path.read_bytes())
    place = {"flip first": 0, "flip middle": len(content) // 2, "flip last": -1}
    if harm == "remove":
        path.unlink()
    elif harm == "truncate":
        path.write_bytes(content[:-1])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "lengthen":
        path.write_bytes(content + b"\n")
    else:
        content[place[harm]] ^= 1
        path.write_bytes(content)
    store = CheckpointStore(tmp_path)
    with pytest.raises(CheckpointDamaged) as caught:
        store.verify(5)
    message = str(caught.value)
    assert "checkpoint 5 is damaged" in message
    assert str(path) in message
    assert "--checkpoint 4" in message
    reads = {part: partial(store.load, steps=5, part=part, template=None) for part in ("agent", "replay")}
    with pytest.raises(CheckpointDamaged, match="--checkpoint 4"):
        reads.get(name.removesuffix(".safetensors"), partial(store.counters, 5))()
    store.verify(4)


def test_any_byte_of_the_manifest_counts(tmp_path: Path) -> None:
    save(directory=tmp_path, steps=4, life=0)
    path = tmp_path / "4" / "manifest.json"
    content = path.read_bytes()
    for index in range(0, len(content), 3):
        harmed = bytearray(content)
        harmed[index] ^= 1 << index % 8
        path.write_bytes(harmed)
        with pytest.raises(CheckpointDamaged):
            CheckpointStore(tmp_path).manifest(4)


def test_the_way_out_skips_what_is_damaged_too(tmp_path: Path) -> None:
    for steps in (BEST, 4, 5, 6):
        save(directory=tmp_path, steps=steps, life=0)
    store = CheckpointStore(tmp_path)
    assert store.steps() == (BEST, 5, 6)
    for steps in (5, 6):
        (tmp_path / str(steps) / "replay.safetensors").unlink()
    with pytest.raises(CheckpointDamaged, match=r"is missing.*--checkpoint 2 \(it keeps the agent only"):
        store.verify(6)
    (tmp_path / str(BEST) / "agent.safetensors").unlink()
    with pytest.raises(CheckpointDamaged, match=r"There is no earlier checkpoint that is sound"):
        store.verify(6)
    with pytest.raises(CheckpointDamaged, match=r"There is no other checkpoint that is sound"):
        store.verify(BEST)
    save(directory=tmp_path, steps=7, life=0)
    with pytest.raises(CheckpointDamaged, match=r"No earlier checkpoint is sound. Checkpoint 7 is sound"):
        store.verify(6)

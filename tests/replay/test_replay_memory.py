"""Memory: computed before allocation, described, and refused when there is not enough."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from replay_helpers import ACTION, OBSERVATION, make_replay

from triax.replay import Replay, ReplayConfig, ReplayTooLarge, available_bytes, replay_bytes, replay_size
from triax.replay.memory import format_bytes
from triax.spaces import SpaceSpec, space_spec
from triax.trees import byte_size

IMAGE: SpaceSpec = space_spec(space=gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8), role="observation")


def test_bytes_are_those_of_the_arrays() -> None:
    # A row: observation 2·4, action 1·4, reward 4, flags 1, task 4, version 4 = 25 bytes.
    # 2 streams of ⌈101/2⌉ + 1 = 52 rows.
    config = ReplayConfig(capacity=101)
    size = replay_bytes(config=config, observation_spec=OBSERVATION, action_spec=ACTION, streams=2)
    assert size == 2 * 52 * 25
    replay = Replay(config=config, observation_spec=OBSERVATION, action_spec=ACTION, streams=2)
    storage = replay._storage
    columns = (storage.observation, storage.action, storage.reward, storage.flags, storage.task, storage.policy_version)
    assert byte_size(columns) == size


def test_extras_count_too() -> None:
    plain = replay_size(config=ReplayConfig(), observation_spec=OBSERVATION, action_spec=ACTION, streams=1)
    more = replay_size(
        config=ReplayConfig(),
        observation_spec=OBSERVATION,
        action_spec=ACTION,
        extras_spec={"carry": space_spec(space=gymnasium.spaces.Box(-1.0, 1.0, (5,)), role="observation")},
        streams=1,
    )
    assert more.row_bytes == plain.row_bytes + 20


def test_the_description() -> None:
    # 1,000,001 rows of 25 bytes are 23.84 MiB.
    size = replay_size(config=ReplayConfig(), observation_spec=OBSERVATION, action_spec=ACTION, streams=1)
    assert size.describe() == "replay: 1,000,000 rows × 25 B = 23.8 MiB"
    assert make_replay(capacity=100).describe_memory() == "replay: 100 rows × 25 B = 2.47 KiB"
    assert [format_bytes(count) for count in (0, 1023, 1024, 152 * 10**6)] == ["0 B", "1023 B", "1 KiB", "145 MiB"]


def test_too_large_a_replay_is_refused_before_it_is_allocated() -> None:
    # A row: 64·64·3 + 4 + 4 + 1 + 4 + 4 = 12,305 bytes; a million of them are 11.5 GiB.
    # A limit of 1 GiB = 1,073,741,824 bytes holds 87,260 rows, of which one is the newest observation's.
    config = ReplayConfig(memory_limit_gib=1.0)
    with pytest.raises(
        ReplayTooLarge, match=r"capacity=1,000,000 needs 11.5 GiB .*1 GiB are available.*capacity to 87,259"
    ):
        Replay(config=config, observation_spec=IMAGE, action_spec=ACTION, streams=1)


@pytest.mark.parametrize("streams", [1, 3])
def test_the_largest_capacity_that_is_named_does_fit(streams: int) -> None:
    def size(capacity: int) -> int:
        config = ReplayConfig(capacity=capacity)
        return replay_bytes(config=config, observation_spec=IMAGE, action_spec=ACTION, streams=streams)

    with pytest.raises(ReplayTooLarge) as caught:
        replay_size(config=ReplayConfig(), observation_spec=IMAGE, action_spec=ACTION, streams=streams).require(
            available=10**9
        )
    largest = int(str(caught.value).split("capacity to ")[1].split(", ")[0].replace(",", ""))
    assert size(largest) <= 10**9 < size(largest + 1)


def test_what_the_machine_has_is_the_default_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triax.replay.replay.available_bytes", lambda: 1000)
    with pytest.raises(ReplayTooLarge, match="1000 B are available"):
        make_replay(capacity=100)
    monkeypatch.setattr("triax.replay.replay.available_bytes", lambda: None)
    make_replay(capacity=100)


def test_this_machine_has_memory() -> None:
    available = available_bytes()
    assert available is None or available > 2**20


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_control_groups_are_respected(tmp_path: Path) -> None:
    meminfo = "MemTotal: 16000 kB\nMemAvailable: 8000 kB\n"
    assert available_bytes(root=write(tmp_path / "none", {"proc/meminfo": meminfo})) == 8000 * 1024
    job = {
        "proc/meminfo": meminfo,
        "proc/self/cgroup": "0::/slurm/job_7\n",
        "sys/fs/cgroup/slurm/job_7/memory.max": "max\n",
        "sys/fs/cgroup/slurm/job_7/memory.current": "100\n",
        "sys/fs/cgroup/slurm/memory.max": "5000\n",
        "sys/fs/cgroup/slurm/memory.current": "1000\n",
    }
    assert available_bytes(root=write(tmp_path / "two", job)) == 4000
    # Of what is used, files that were read once make room: 400 of the 1,000.
    job["sys/fs/cgroup/slurm/memory.stat"] = "anon 500\nfile 500\ninactive_file 400\n"
    assert available_bytes(root=write(tmp_path / "files", job)) == 4400
    container = {
        "proc/meminfo": meminfo,
        "proc/self/cgroup": "12:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "3000\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "3500\n",
    }
    assert available_bytes(root=write(tmp_path / "one", container)) == 0
    container["sys/fs/cgroup/memory/memory.stat"] = "inactive_file 7\ntotal_inactive_file 700\n"
    assert available_bytes(root=write(tmp_path / "one with files", container)) == 700
    assert available_bytes(root=tmp_path / "nothing") is None


def test_rows_that_will_never_be_written_take_no_memory() -> None:
    # 2 streams of ⌈1000/2⌉ + 1 = 501 rows of 25 bytes, of which 60 are ever written, and each stream's newest.
    config = ReplayConfig(capacity=1000)
    size = replay_size(config=config, observation_spec=OBSERVATION, action_spec=ACTION, streams=2, most_rows=60)
    assert size.rows_per_stream == 501
    assert size.bytes == (60 + 2) * 25
    assert size.describe() == "replay: 60 rows × 25 B = 1.51 KiB"
    size.require(available=62 * 25)
    with pytest.raises(ReplayTooLarge, match="capacity to 28, the largest that fits"):
        size.require(available=30 * 25)

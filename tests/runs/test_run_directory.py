"""Making, finding and holding run directories; describing what a run ran on."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from triax.runs.directory import RunDirectory, default_run_directory
from triax.runs.errors import RunDirectoryError
from triax.runs.files import aside_of, write_atomically
from triax.runs.provenance import EnvironmentDescription, environment_description

HOLDER = """
import sys, time
from pathlib import Path
from triax.runs.directory import RunDirectory
with RunDirectory.open(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(600)
"""

PARENT = """
import os, sys, time
from pathlib import Path
from triax.runs.directory import RunDirectory
with RunDirectory.open(Path(sys.argv[1])).lock():
    if os.fork() == 0:
        print("the child lives", flush=True)
        sys.stdin.read()
    else:
        time.sleep(600)
print("the child ends in order", flush=True)
"""


def test_a_run_is_made_and_found(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run"
    made = RunDirectory.create(path, {"name": "pendulum", "learner": {"rate": 3e-4}})
    found = RunDirectory.open(path)
    assert found == made
    assert found.document() == {"name": "pendulum", "learner": {"rate": 3e-4}}
    assert found.checkpoints_path == path / "checkpoints"
    found.write_document({"name": "other"})
    assert found.document() == {"name": "other"}


def test_a_run_is_not_made_over_another(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, {"name": "first"})
    with pytest.raises(RunDirectoryError, match=rf"{tmp_path} holds a run already: resume it, or choose another"):
        RunDirectory.create(tmp_path, {"name": "second"})
    assert RunDirectory.open(tmp_path).document() == {"name": "first"}


def test_a_run_is_not_made_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunDirectoryError, match=r"is not empty \(thesis.tex\) and holds no run: choose another"):
        RunDirectory.create(tmp_path, {})
    with pytest.raises(RunDirectoryError, match="cannot be made: Not a directory"):
        RunDirectory.create(tmp_path / "thesis.tex" / "run", {})


def test_a_kill_while_a_run_is_made_leaves_room_for_it(tmp_path: Path) -> None:
    aside_of(tmp_path / "experiment.json").write_text("{")
    (tmp_path / ".lock").touch()
    RunDirectory.create(tmp_path, {"name": "pendulum"})
    assert not aside_of(tmp_path / "experiment.json").exists()


def test_what_is_no_run_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="nowhere is not a run directory: it does not exist"):
        RunDirectory.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(RunDirectoryError, match="it is not a directory"):
        RunDirectory.open(tmp_path / "file")
    with pytest.raises(RunDirectoryError, match=r"it has no experiment\.json$"):
        RunDirectory.open(tmp_path)
    for name in ("b", "a"):
        RunDirectory.create(tmp_path / name, {})
    with pytest.raises(RunDirectoryError, match=r"it has no experiment\.json; run directories below it: a, b$"):
        RunDirectory.open(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_broken_document_is_named(tmp_path: Path, content: str) -> None:
    run = RunDirectory.create(tmp_path, {})
    run.experiment_path.write_text(content)
    with pytest.raises(RunDirectoryError, match=r"experiment\.json cannot be read"):
        run.document()


def test_default_directories_differ_within_a_second(tmp_path: Path) -> None:
    paths = [default_run_directory("half cheetah/SAC", root=tmp_path / "runs") for _ in range(5)]
    assert len(set(paths)) == 5
    for path in paths:
        assert re.fullmatch(r"half-cheetah-SAC-\d{8}-\d{6}(-\d)?", path.name)
        RunDirectory.create(path, {})


def test_a_run_is_held_by_one(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with run.lock(), pytest.raises(RunDirectoryError, match=f"in use by process {os.getpid()} on"), run.lock():
        pass
    with run.lock():
        pass


def test_the_kernel_releases_the_lock_of_the_dead(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunDirectoryError, match=f"in use by process {holder.pid} on"), run.lock():
            pass
        holder.kill()
        holder.wait()
    with run.lock():
        pass


def test_a_forked_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PARENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "the child lives\n"
        parent.kill()
        parent.wait()
        with run.lock():
            pass
        parent.stdin.close()
        assert parent.stdout.readline() == "the child ends in order\n"  # so it lived until now


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_atomically(path=path, content=b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path=path, content=b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_environment_is_described() -> None:
    here = environment_description()
    assert here.packages.keys() >= {"jax", "numpy", "flax"}
    assert here.cores == len(os.sched_getaffinity(0))
    assert here.backend is not None
    assert environment_description(device=False).backend is None
    assert EnvironmentDescription.from_json(here.to_json()) == here


def test_differences_of_environments_are_said() -> None:
    before = EnvironmentDescription(
        python="3.11.7",
        packages={"jax": "0.10.1", "numpy": "2.4.0", "mujoco": "3.3.0"},
        platform="Linux",
        processor="A",
        cores=2,
        backend="cpu",
        device=None,
    )
    assert before.differences(before) == ()
    after = dataclasses.replace(before, cores=4, packages={"jax": "0.10.2", "numpy": "2.4.0"}, device="cpu")
    assert before.differences(after) == (
        "jax: 0.10.1, now 0.10.2",
        "mujoco: 3.3.0, now not installed",
        "cores: 2, now 4",
    )
    on_one, on_two = (dataclasses.replace(before, devices=count) for count in (1, 2))
    assert on_one.differences(on_two) == ("devices: 1, now 2",)
    # Descriptions of earlier versions do not say how many there were.
    assert before.differences(on_two) == ()


def test_a_description_of_an_earlier_version_is_read() -> None:
    document = environment_description().to_json()
    assert document.pop("devices") == 1
    assert EnvironmentDescription.from_json(document).devices is None

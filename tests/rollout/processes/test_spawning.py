"""Processes beside the trainer: how they begin."""

import multiprocessing.spawn
import subprocess
import sys
from pathlib import Path

import pytest

from triax.rollout.processes.spawning import end_child, start_child

UNGUARDED = """
import triax

triax.train(
    experiment=triax.Experiment(
        name="unguarded",
        learner=triax.SACConfig(warmup_steps=10),
        environment=triax.EnvironmentConfig(id="Pendulum-v1"),
        rollout=triax.RolloutConfig(backend="processes"),
        total_steps=20,
    ),
    run_directory="run",
)
"""


def test_a_file_that_trains_when_it_is_imported_is_refused_by_its_workers(tmp_path: Path) -> None:
    (tmp_path / "unguarded.py").write_text(UNGUARDED)
    ended = subprocess.run(
        [sys.executable, "unguarded.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 1
    assert 'put the call of triax.main or triax.train in that file under `if __name__ == "__main__":`' in ended.stderr
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["run"]


def test_starting_a_process_waits_for_nothing_however_much_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")  # it never comes to reading what it is told
    hanging.chmod(0o755)
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", str(hanging).encode())
    process = start_child(target=print, setup=bytes(2**20), arguments={}, name="hanging")
    assert process.is_alive()
    end_child(process, deadline=0.0)


def test_a_program_from_standard_input_has_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "<stdin>", raising=False)
    with pytest.raises(OSError, match="the program comes from <stdin>; put it into a file"):
        start_child(target=print, setup=b"", arguments={}, name="nothing")

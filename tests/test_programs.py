"""How programs are called in messages: such that the line works where it is read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from triax.programs import installed, triax_command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment's programs, below the current folder and on no search path."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "triax"):
        (folder / name).touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    return folder


def test_what_is_not_on_the_path_is_called_by_its_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installed("triax") == ".venv/bin/triax"
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert installed("triax") == str(folder / "triax")
    monkeypatch.setenv("PATH", str(folder))
    assert installed("triax") == "triax"


def test_another_one_on_the_path_is_not_taken_for_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "triax").symlink_to(folder / "triax")
    monkeypatch.setenv("PATH", str(other))
    assert installed("triax") == ".venv/bin/triax"


def test_what_is_not_installed_is_not_named(folder: Path) -> None:
    assert installed("tensorboard") is None
    (folder / "triax").unlink()
    assert triax_command("plot", "runs/a") == f"{folder}/python -m triax plot runs/a"


def test_words_are_quoted(folder: Path) -> None:
    assert triax_command("watch", Path("runs/my run")) == ".venv/bin/triax watch 'runs/my run'"


def test_a_line_works_with_a_bare_path(tmp_path: Path) -> None:
    line = triax_command("plot", tmp_path / "no run")
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(line, shell=True, env=bare, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    assert "is not a run directory: it does not exist" in done.stderr

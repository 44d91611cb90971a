"""What is said to Slurm and what it answers, with small scripts in its place; a real one is in test_slurm_array.py."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from launch_helpers import fake_command

from triax.launch import SlurmError, SubmititNotInstalled
from triax.launch.errors import LaunchError
from triax.launch.slurm import Task, check_array, submit
from triax.launch.submitting import SubmitToSlurm


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Slurm that takes arrays of up to 5, and keeps what it was given."""
    place = tmp_path / "bin"
    fake_command(place=place, name="srun", script="exit 1")
    fake_command(place=place, name="scontrol", script="echo 'MaxArraySize            = 5'")
    fake_command(place=place, name="sbatch", script=f'cp "$1" {tmp_path}/given; echo "Submitted batch job 77"')
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return place


def tasks(tmp_path: Path, *, count: int) -> list[Task]:
    return [Task(command=["echo", str(number)], log=tmp_path / f"{number}.log") for number in range(count)]


def parameters(**options: Any) -> dict[str, Any]:
    return SubmitToSlurm(**options).parameters(name="small", cpus=3)


def test_an_array_with_the_options_that_were_asked_for(slurm: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed")
    options = parameters(
        partition="long",
        account="lab",
        minutes=90,
        memory_gb=2.5,
        at_once=2,
        grace_seconds=120,
        setup=("module load cuda",),
        extra=("qos=high",),
    )
    numbers = submit(tasks=tasks(tmp_path, count=3), parameters=options, folder=tmp_path / "submitit")
    assert numbers == ("77_0", "77_1", "77_2")
    given = (tmp_path / "given").read_text()
    for line in ("array=0-2%2", "partition=long", "account=lab", "time=90", "mem=2500M", "cpus-per-task=3", "qos=high"):
        assert f"#SBATCH --{line}\n" in given
    assert "#SBATCH --signal=USR2@120\n" in given
    assert "\nmodule load cuda\n" in given
    assert submit(tasks=tasks(tmp_path, count=1), parameters=options, folder=tmp_path / "submitit") == ("77",)


def test_an_array_that_is_too_large_is_refused_before_anything_is_submitted(slurm: Path, tmp_path: Path) -> None:
    check_array(5)
    with pytest.raises(SlurmError, match=r"an array of 6 jobs is larger than the 5 .* --at-most 5"):
        submit(tasks=tasks(tmp_path, count=6), parameters=parameters(), folder=tmp_path / "submitit")
    assert not (tmp_path / "given").exists()


def test_what_slurm_refuses_is_said(slurm: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed")
    fake_command(place=slurm, name="sbatch", script="echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    with pytest.raises(SlurmError, match=r"refused .* nothing was submitted: .*invalid partition specified: x"):
        submit(tasks=tasks(tmp_path, count=2), parameters=parameters(), folder=tmp_path / "submitit")


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SlurmError, match="no Slurm on this machine"):
        check_array(1)


def test_without_submitit(slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SubmititNotInstalled, match=r"pip install 'triax\[slurm\]'"):
        submit(tasks=tasks(tmp_path, count=1), parameters=parameters(), folder=tmp_path / "submitit")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 0}, "--minutes 0 must be more than 0"),
        ({"at_most": -1}, "--at-most -1 must be more than 0"),
        ({"minutes": 1, "grace_seconds": 60}, "--grace-seconds 60 must be less than the time limit"),
        ({"extra": ("qos",)}, "--extra 'qos' must be of the form option=value"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        SubmitToSlurm(**options)

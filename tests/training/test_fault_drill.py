"""Nothing is lost, whoever is killed: the drill of ``benchmarks/``, in short."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_run_survives_the_fault_drill(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "fault_drill.py"), "--folder", str(tmp_path / "drill")]
    command += ["--kills", "3", "--pause", "3", "--total-steps", "50000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    held = [line for line in done.stdout.splitlines() if line.startswith(("yes ", "NO "))]
    assert len(held) == 12
    assert all(line.startswith("yes ") for line in held)

"""How far a run had come outlives its process."""

import signal
import subprocess
import sys
from pathlib import Path

from triax.runs.reached import ReachedSteps

DYING = """
import os, signal, sys
from pathlib import Path
from triax.runs.reached import ReachedSteps

reached = ReachedSteps(Path(sys.argv[1]))
for steps in range(1, 1001):
    reached.steps = steps
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_number_is_there_after_a_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "reached"
    ended = subprocess.run([sys.executable, "-c", DYING, str(path)], check=False, timeout=300)
    assert ended.returncode == -signal.SIGKILL
    assert path.stat().st_size == 8
    reached = ReachedSteps(path)
    assert reached.steps == 1000
    reached.steps = 2**40
    reached.close()
    reached.close()
    assert ReachedSteps(path).steps == 2**40


def test_a_new_file_begins_at_nothing(tmp_path: Path) -> None:
    assert ReachedSteps(tmp_path / "reached").steps == 0

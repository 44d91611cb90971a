"""What many worker processes take of memory, and whether that grows.

    python benchmarks/worker_memory.py --workers 16 --minutes 30

Trains SAC on Pendulum with so many workers, and reads the proportional set size (PSS: what is shared with others counts
in proportion) of trainer, evaluator and workers every few seconds. The minutes count from when so many steps are made
that buffers are full, code is compiled and allocators have settled. A line is fitted to each process's readings of what
it holds itself: pages of files (programs, libraries) do not count there, since the system drops and reads them at will.
Neighbouring ones resemble each other, so it goes through the means of ten blocks of time, and its slope has a 95 %
interval from what these means differ from it. Writes a JSON report.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from triax.runs import environment_description

ROOT = Path(__file__).resolve().parents[1]
MIB = 2.0**20
BLOCKS = 10
"""Means through which a line is fitted."""
READ_EVERY = 5.0
"""Seconds."""

Series = dict[int, list[tuple[float, float, float]]]
"""By process: (seconds, MiB, MiB without pages of files)."""


def proportional_sizes(process: int) -> tuple[float, float] | None:
    """Read a process's proportional set size.

    :param process: its number.
    :return: all of it, and what are no pages of files, in MiB; None if it is gone.
    """
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 / MIB for line in lines if line.startswith("Pss")}
    return (sizes["Pss"], sizes["Pss"] - sizes["Pss_File"]) if sizes else None


def name_of(process: int) -> str:
    """Read what a process is called.

    :param process: its number.
    :return: the name; empty if it is gone.
    """
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def steps_of(run: Path) -> int:
    """Read how far a run has come.

    :param run: its directory.
    :return: environment steps; 0 before it has logged any.
    """
    metrics = run / "metrics.jsonl"
    rows = metrics.read_text().splitlines(keepends=True) if metrics.exists() else []
    complete = [row for row in rows if row.endswith("\n")]
    return int(json.loads(complete[-1])["environment_steps"]) if complete else 0


def settle(*, trainer: "subprocess.Popen[bytes]", run: Path, steps: int) -> None:
    """Wait until a trainer has made so many steps.

    :param trainer: the trainer.
    :param run: its directory.
    :param steps: how many.
    """
    while steps_of(run) < steps:
        if trainer.poll() is not None:
            raise SystemExit(f"the trainer ended with {trainer.returncode}")
        time.sleep(10.0)


def watch(*, trainer: "subprocess.Popen[bytes]", minutes: float, interval: float) -> dict[str, Series]:
    """Read the memory of a trainer and the processes beside it.

    :param trainer: the trainer.
    :param minutes: how long.
    :param interval: seconds between two readings.
    :return: by what they are ("trainer", "evaluator", "worker").
    """
    found: dict[str, Series] = {"trainer": {}, "evaluator": {}, "worker": {}}
    began = time.monotonic()
    while time.monotonic() - began < 60.0 * minutes:
        if trainer.poll() is not None:
            raise SystemExit(f"the trainer ended with {trainer.returncode}")
        children = Path(f"/proc/{trainer.pid}/task/{trainer.pid}/children").read_text().split()
        for process in [trainer.pid, *map(int, children)]:
            name = name_of(process)
            kind = "trainer" if process == trainer.pid else name.removeprefix("triax-").partition("-")[0]
            sizes = proportional_sizes(process)
            if sizes is not None and kind in found:
                found[kind].setdefault(process, []).append((time.monotonic() - began, *sizes))
        time.sleep(interval)
    return found


def slope_of(*, seconds: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Fit a line to the means of blocks of time.

    :param seconds: when it was read, [readings].
    :param sizes: MiB, [readings].
    :return: the slope and half of its 95 % interval, in MiB an hour.
    """
    hours = [float(np.mean(block)) / 3600.0 for block in np.array_split(seconds, BLOCKS)]
    means = [float(np.mean(block)) for block in np.array_split(sizes, BLOCKS)]
    line = stats.linregress(hours, means)
    return float(line.slope), float(line.stderr * stats.t.ppf(0.975, BLOCKS - 2))


def summarise(series: Series) -> dict[str, Any]:
    """Say how much memory processes of one kind take, and how it changes.

    :param series: their readings.
    :return: MiB, and MiB an hour, that of the process that grew most with half of its 95 % interval.
    """
    sizes, slopes = [], []
    for readings in series.values():
        if len(readings) >= 2 * BLOCKS:
            seconds, whole, own = np.array(readings).T
            sizes.append((float(np.mean(whole)), float(np.mean(own))))
            slopes.append(slope_of(seconds=seconds, sizes=own))
    largest, half = max(slopes)
    return {
        "processes": len(sizes),
        "mean_mib": round(statistics.mean(whole for whole, _ in sizes), 1),
        "largest_mib": round(max(whole for whole, _ in sizes), 1),
        "mean_mib_without_files": round(statistics.mean(own for _, own in sizes), 1),
        "mean_slope_mib_per_hour": round(statistics.mean(slope for slope, _ in slopes), 2),
        "largest_slope_mib_per_hour": round(largest, 2),
        "largest_slope_half_interval": round(half, 2),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=16, help="how many (default: 16)")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long, once it has settled (default: 30)")
    parser.add_argument("--settle-steps", type=int, default=50_000, help="steps before that (default: 50,000)")
    parser.add_argument("--updates-per-step", type=float, default=0.1, help="fewer: more steps a minute (default: 0.1)")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "worker_memory.json")
    arguments = parser.parse_args()
    if 60.0 * arguments.minutes < 2 * BLOCKS * READ_EVERY:
        parser.error(f"--minutes {arguments.minutes:g} is too short for a line: {BLOCKS} blocks take two readings each")
    with tempfile.TemporaryDirectory(prefix="worker-memory-") as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "experiments/pendulum_sac.py", "train", "--run-directory", str(run)]
        command += ["--rollout.workers", str(arguments.workers), "--total-steps", "100000000"]
        command += ["--learner.updates-per-step", str(arguments.updates_per_step)]
        # A replay that is full before the measurement begins: as it fills, the trainer grows, as it should.
        command += ["--replay.capacity", "20000"]
        with (Path(folder) / "log.txt").open("wb") as log:
            trainer = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
            try:
                settle(trainer=trainer, run=run, steps=arguments.settle_steps)
                began = steps_of(run)
                found = watch(trainer=trainer, minutes=arguments.minutes, interval=READ_EVERY)
                ended = steps_of(run)
            finally:
                trainer.terminate()
                trainer.wait()
    report = {
        "command": f"python benchmarks/worker_memory.py --workers {arguments.workers} --minutes {arguments.minutes:g} "
        f"--settle-steps {arguments.settle_steps} --updates-per-step {arguments.updates_per_step:g}",
        "date": date.today().isoformat(),
        "environment_steps": [began, ended],
        "proportional_set_size": {kind: summarise(series) for kind, series in found.items()},
        "machine": environment_description().to_json(),
    }
    print(json.dumps({key: report[key] for key in ("environment_steps", "proportional_set_size")}, indent=1))
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What many worker processes take of memory, and whether that grows.

    python benchmarks/worker_memory.py --workers 16 --minutes 30

Trains SAC on Pendulum with so many workers, reads the proportional set size (PSS: what is shared with others counts in
proportion) of trainer, evaluator and workers every few seconds, and fits a line to each after the first minutes, in
which buffers fill and code is compiled. Neighbouring readings resemble each other, so the line goes through the means
of ten blocks of time, and its slope has a 95 % interval from what these means differ from it. Writes a JSON report.
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

Series = dict[int, list[tuple[float, float]]]
"""By process: (seconds, MiB)."""


def proportional_bytes(process: int) -> int | None:
    """Read a process's proportional set size.

    :param process: its number.
    :return: bytes; None if it is gone.
    """
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), None)


def name_of(process: int) -> str:
    """Read what a process is called.

    :param process: its number.
    :return: the name; empty if it is gone.
    """
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


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
            size = proportional_bytes(process)
            if size is not None and kind in found:
                found[kind].setdefault(process, []).append((time.monotonic() - began, size / MIB))
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


def summarise(series: Series, *, settle_seconds: float) -> dict[str, Any]:
    """Say how much memory processes of one kind take, and how it changes.

    :param series: their readings.
    :param settle_seconds: what comes before does not count.
    :return: MiB, and MiB an hour, that of the process that grew most with half of its 95 % interval.
    """
    sizes, slopes = [], []
    for readings in series.values():
        settled = [reading for reading in readings if reading[0] >= settle_seconds]
        if len(settled) >= 2 * BLOCKS:
            seconds, size = np.array(settled).T
            sizes.append(float(np.mean(size)))
            slopes.append(slope_of(seconds=seconds, sizes=size))
    largest, half = max(slopes)
    return {
        "processes": len(sizes),
        "mean_mib": round(statistics.mean(sizes), 1),
        "largest_mib": round(max(sizes), 1),
        "mean_slope_mib_per_hour": round(statistics.mean(slope for slope, _ in slopes), 2),
        "largest_slope_mib_per_hour": round(largest, 2),
        "largest_slope_half_interval": round(half, 2),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=16, help="how many (default: 16)")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--settle-minutes", type=float, default=5.0, help="left out at the beginning (default: 5)")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "worker_memory.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="worker-memory-") as folder:
        command = [sys.executable, "experiments/pendulum_sac.py", "train", "--run-directory", f"{folder}/run"]
        command += ["--rollout.workers", str(arguments.workers), "--total-steps", "100000000"]
        # A replay that is full before the measurement begins: as it fills, the trainer grows, as it should.
        command += ["--replay.capacity", "20000"]
        with (Path(folder) / "log.txt").open("wb") as log:
            trainer = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
            try:
                found = watch(trainer=trainer, minutes=arguments.minutes, interval=5.0)
            finally:
                trainer.terminate()
                trainer.wait()
    report = {
        "command": f"python benchmarks/worker_memory.py --workers {arguments.workers} --minutes {arguments.minutes:g}",
        "date": date.today().isoformat(),
        "settle_minutes": arguments.settle_minutes,
        "proportional_set_size": {
            kind: summarise(series, settle_seconds=60.0 * arguments.settle_minutes) for kind, series in found.items()
        },
        "machine": environment_description().to_json(),
    }
    print(json.dumps(report["proportional_set_size"], indent=1))
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

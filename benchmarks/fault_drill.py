"""A run that is made to fail in every way, and what is left of it.

    python benchmarks/fault_drill.py

Trains ``benchmarks/fault_drill_experiment.py`` with worker processes and an evaluator of its own. At random times it
kills workers (20 times), stops one for longer than its limit, has an environment raise, return NaN and sleep for ever,
and kills the evaluator; then it kills the trainer, and resumes. At the end it looks whether

- the run has all its steps and all its evaluations, each once, and the logs have each row once;
- each step that was made stands in the replay once, and no episode has a hole;
- each episode that ended there stands in the log once, with its return;
- what was lost was counted and said, of each worker and of the trainer;
- no process, no memory and no temporary file is left.

An observation says of which worker, life and episode it is, and which step there: so a step can be found in the replay.

Prints what it did, and a report; ends with 1 if something does not hold.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from fault_drill_experiment import EPISODE_STEPS
from safetensors.numpy import load_file
from settings import commit

from triax.runs import CheckpointStore, environment_description

SCRIPT = Path(__file__).with_name("fault_drill_experiment.py")


class Trainer:
    """The process that trains, and those beside it.

    :param command: "train" or "resume".
    :param run: the run directory.
    :param folder: where it runs; its output goes to ``log.txt`` there.
    :param options: further options of the command.
    """

    def __init__(self, *, command: str, run: Path, folder: Path, options: list[str]) -> None:
        self._log = (folder / "log.txt").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), command, "--run-directory", str(run), *options],
            cwd=folder,
            stdout=self._log,
            stderr=self._log,
        )

    def children(self, name: str = "triax-") -> list[int]:
        """List the processes beside the trainer.

        :param name: what their names begin with.
        :return: their numbers.
        """
        try:
            numbers = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return []
        return [int(number) for number in numbers if _name_of(int(number)).startswith(name)]

    def wait_for_child(self, name: str) -> int:
        """Wait until there is a process beside the trainer.

        :param name: what its name begins with.
        :return: its number.
        """
        wait_until(lambda: bool(self.children(name)), what=f"a process {name}…", trainer=self)
        return random.choice(self.children(name))

    def wait(self) -> int:
        """Wait for the end.

        :return: the exit code.
        """
        code = self.process.wait()
        self._log.close()
        return code


def wait_until(holds: Callable[[], bool], *, what: str, seconds: float = 180.0, trainer: Trainer | None = None) -> None:
    """Wait for something.

    :param holds: whether it is so.
    :param what: for the message.
    :param seconds: how long at most.
    :param trainer: has to live meanwhile.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:g} s in vain for {what}")
        if trainer is not None and trainer.process.poll() is not None:
            raise SystemExit(f"the trainer ended with {trainer.process.returncode} while it was waited for {what}")
        time.sleep(0.02)


def _name_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def _folder_of(process: int) -> Path | None:
    try:
        return Path(f"/proc/{process}/cwd").readlink()
    except OSError:
        return None


def memory_of(processes: list[int]) -> set[int]:
    """Find the shared memory that processes hold; it has no name that it could be found by once nobody holds it.

    :param processes: their numbers.
    :return: the numbers of its files.
    """
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if "memfd:triax" in str(descriptor.readlink()):
                        found.add(descriptor.stat().st_ino)
    return found


def do_damage(fault: str, *, trainer: Trainer, folder: Path) -> None:
    """Make something go wrong, and wait until it has.

    :param fault: what.
    :param trainer: whose processes.
    :param folder: where it runs.
    """
    if fault == "kill worker":
        killed = trainer.wait_for_child("triax-worker")
        os.kill(killed, signal.SIGKILL)
        # So that the next kill does not hit what is dead already.
        wait_until(lambda: not _name_of(killed), what="a killed worker's end", trainer=trainer)
    elif fault == "kill evaluator":
        os.kill(trainer.wait_for_child("triax-evaluator"), signal.SIGKILL)
    elif fault == "stop worker":
        stopped = trainer.wait_for_child("triax-worker")
        os.kill(stopped, signal.SIGSTOP)
        # One that was stopped while it started has the start's time.
        wait_until(lambda: not _name_of(stopped), what="a stopped worker's end", seconds=300.0, trainer=trainer)
    else:
        (folder / "faults" / fault).touch()
        wait_until(lambda: not (folder / "faults" / fault).exists(), what=f"an environment to {fault}", trainer=trainer)


def drill(*, folder: Path, kills: int, pause: float, seed: int, options: list[str]) -> tuple[list[str], set[int]]:
    """Train under fire.

    :param folder: where; empty.
    :param kills: how many workers are killed.
    :param pause: seconds between two faults, on average.
    :param seed: of the order and the times.
    :param options: further options of training.
    :return: what was done, in order; and the shared memory that was used.
    """
    random.seed(seed)
    (folder / "faults").mkdir(parents=True)
    run = folder / "run"
    faults = ["kill worker"] * kills + ["stop worker", "raise", "nan", "sleep", "kill evaluator"]
    random.shuffle(faults)
    trainer = Trainer(command="train", run=run, folder=folder, options=options)
    wait_until(
        lambda: any((run / "checkpoints").glob("[1-9]*/training.safetensors")), what="a checkpoint", trainer=trainer
    )
    for fault in faults:
        time.sleep(random.uniform(0.0, 2.0 * pause))
        print(fault, flush=True)
        do_damage(fault, trainer=trainer, folder=folder)
    time.sleep(random.uniform(0.0, 2.0 * pause))
    log = folder / "log.txt"
    wait_until(lambda: losses_are_said(log=log.read_text(), done=faults), what="what was lost", trainer=trainer)
    beside = trainer.children()
    memory = memory_of([trainer.process.pid])
    print("kill trainer", flush=True)
    trainer.process.kill()
    trainer.wait()
    wait_until(lambda: not any(map(_name_of, beside)), what="the end of the processes beside the trainer", seconds=10.0)
    print("resume", flush=True)
    trainer = Trainer(command="resume", run=run, folder=folder, options=[])
    trainer.wait_for_child("triax-worker")
    memory |= memory_of([trainer.process.pid])
    code = trainer.wait()
    if code != 0:
        raise SystemExit(f"resuming ended with {code}:\n{log.read_text()[-3000:]}")
    return [*faults, "kill trainer", "resume"], memory


def losses_are_said(*, log: str, done: list[str]) -> bool:
    """Look whether each end of a worker was said, and what was lost with it.

    :param log: what was printed.
    :param done: the faults. A worker that is killed or stopped was alive, so that each of these is an end of its own;
        one whose environment fails may be killed before it has ended.
    :return: whether it is so.
    """
    ends = re.findall(r"^triax: worker \d+ \(", log, re.M)
    losses = re.findall(r"^triax: worker \d+ begins anew; \d+ steps that it had not handed over are lost$", log, re.M)
    return len(losses) == len(ends) >= done.count("kill worker") + done.count("stop worker")


def examine_losses(*, log: str, done: list[str]) -> dict[str, bool]:
    """Look at what was said to be lost.

    :param log: what was printed.
    :param done: what :func:`drill` did.
    :return: what holds.
    """
    resumed = re.findall(r"^resumed from checkpoint \d+; [\d,]+ environment steps are lost, and made anew$", log, re.M)
    return {
        "what each worker lost is said": losses_are_said(log=log, done=done),
        "what the trainer lost is said": len(resumed) == 1,
    }


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read a log.

    :param path: the file.
    :return: its rows.
    """
    return [json.loads(line) for line in path.read_text().splitlines()]


def examine_logs(run: Path) -> dict[str, bool]:
    """Look at the rows of a finished run.

    :param run: the run directory.
    :return: what holds.
    """
    fields: Any = json.loads((run / "experiment.json").read_text())["experiment"]["fields"]
    interval, total = fields["evaluation"]["fields"]["interval"], fields["total_steps"]
    metrics = [row["environment_steps"] for row in rows_of(run / "metrics.jsonl")]
    evaluations = [row["environment_steps"] for row in rows_of(run / "evaluations.jsonl")]
    points = [steps // interval for steps in evaluations]
    return {
        "all steps were made": metrics[-1] >= total,
        "every row of metrics stands once": metrics == sorted(set(metrics)),
        "every evaluation was made once": evaluations == sorted(set(evaluations))
        and points[: total // interval + 1] == list(range(total // interval + 1)),
    }


def examine_replay(run: Path) -> dict[str, bool]:
    """Look at the steps that a finished run learned from.

    :param run: the run directory; its replay has room for all of them.
    :return: what holds.
    """
    store = CheckpointStore(run / "checkpoints")
    last = store.resolve("last", full=True)
    counters: Any = store.counters(last)
    arrays = load_file(run / "checkpoints" / str(last) / "training.safetensors")
    (rows,) = (array.reshape(-1, 4) for name, array in arrays.items() if name.endswith("columns['observation']"))
    (rewards,) = (array.reshape(-1) for name, array in arrays.items() if name.endswith("columns['reward']"))
    used = np.any(rows[:, :3] != 0.0, axis=1)  # the others are room that was not needed
    steps: dict[tuple[int, ...], list[int]] = collections.defaultdict(list)
    returns: dict[tuple[int, ...], float] = collections.defaultdict(float)
    for row, reward in zip(rows[used].astype(np.int64), rewards[used], strict=True):
        steps[tuple(row[:3])].append(int(row[3]))
        returns[tuple(row[:3])] += float(reward)
    made = sum(max(numbers) - min(numbers) for numbers in steps.values())
    ended = sorted(returns[episode] for episode, numbers in steps.items() if max(numbers) == EPISODE_STEPS)
    logged = sorted(row["return"] for row in rows_of(run / "episodes.jsonl"))
    return {
        "every episode that ended is logged once": len(ended) == len(logged) and np.allclose(ended, logged, atol=1e-3),
        "no step stands twice": all(len(numbers) == len(set(numbers)) for numbers in steps.values()),
        "no episode has a hole": all(len(numbers) == max(numbers) - min(numbers) + 1 for numbers in steps.values()),
        "all steps that count are there": made == counters["counters"]["environment_steps"],
    }


def examine_rest(*, run: Path, temporary: set[str], memory: set[int]) -> dict[str, bool]:
    """Look for what should not be there.

    :param run: the run directory.
    :param temporary: what the folder of temporary files held before.
    :param memory: the shared memory that was used.
    :return: what holds.
    """
    left = [path for path in run.rglob(".*") if path.name not in {".lock", ".reached"}]
    processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    own = [process for process in processes if _folder_of(process) == run.parent]
    return {
        "no temporary file is left": not left and not _new_files(before=temporary),
        "no process is left": not own,
        "no shared memory is left": bool(memory) and not memory & memory_of(processes),
    }


def _new_files(*, before: set[str]) -> set[str]:
    names = set(os.listdir(tempfile.gettempdir())) - before
    return {name for name in names if "triax" in name or name.startswith("pymp")}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of workers (default: 20)")
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between two faults, on average (default: 4)")
    parser.add_argument("--total-steps", type=int, default=150_000, help="of the run (default: 150000)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults' order and times (default: 0)")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in (default: a temporary one)")
    parser.add_argument("--output", type=Path, help="a file for the report, as JSON")
    arguments = parser.parse_args()
    temporary = set(os.listdir(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="drill-") as made:
        folder = (arguments.folder or Path(made)).resolve()
        began = time.monotonic()
        done, memory = drill(
            folder=folder,
            kills=arguments.kills,
            pause=arguments.pause,
            seed=arguments.seed,
            options=["--total-steps", str(arguments.total_steps)],
        )
        run = folder / "run"
        log = (folder / "log.txt").read_text()
        held = examine_logs(run) | examine_replay(run) | examine_losses(log=log, done=done)
        held |= examine_rest(run=run, temporary=temporary, memory=memory)
    said = [line for line in log.splitlines() if "lost" in line]
    print(*said, sep="\n")
    for what, holds in held.items():
        print(f"{'yes' if holds else 'NO ':<4}{what}")
    if arguments.output is not None:
        report = {
            "command": f"python benchmarks/fault_drill.py --kills {arguments.kills} --pause {arguments.pause:g} "
            f"--total-steps {arguments.total_steps} --seed {arguments.seed}",
            "commit": commit(),
            "date": date.today().isoformat(),
            "minutes": round((time.monotonic() - began) / 60.0, 1),
            "faults": done,
            "held": held,
            "lost": said,
            "machine": environment_description().to_json(),
        }
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    if not all(held.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

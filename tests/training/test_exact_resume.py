"""A run that was stopped and resumed ends with the same bits as one that was not. Real processes, real signals."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from triax.datasets import RecordedEpisode, write_dataset
from triax.training.rates import Rates

SCRIPT = Path(__file__).with_name("resumable.py")
ROOT = SCRIPT.parents[2]
LEARNERS = ("sac", "ppo", "bc")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, and a cache of compiled functions so that starting again is quick."""
    folder = tmp_path_factory.mktemp("drill")
    environment = gymnasium.make("Pendulum-v1")
    generator = np.random.default_rng(0)
    episodes = []
    for index in range(6):
        observation, _ = environment.reset(seed=index)
        observations, actions, rewards = [observation], [], []
        for _ in range(200):
            action = generator.uniform(-2, 2, size=1).astype(np.float32)
            observation, reward, _, _, _ = environment.step(action)
            observations.append(observation)
            actions.append(action)
            rewards.append(float(reward))
        episodes.append(
            RecordedEpisode(
                observations=observations,
                actions=actions,
                rewards=rewards,
                terminated=False,
                truncated=True,
                seed=index,
            )
        )
    write_dataset(id="drill/pendulum-v0", episodes=episodes, environment=environment, root=folder / "datasets")
    return folder


@pytest.fixture(scope="module")
def reference(workplace: Path) -> Callable[[str], Path]:
    """Each experiment, run without a stop; when it is first asked for."""

    @functools.cache
    def run_of(name: str) -> Path:
        run = workplace / f"reference-{name}"
        finished = _start(name, "train", run=run, workplace=workplace)
        assert finished.wait(timeout=900) == 0
        return run

    return run_of


@pytest.mark.slow
@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("name", LEARNERS)
def test_trap_22_stopped_at_ten_random_moments_it_ends_with_the_same_bits(
    name: str, sent: signal.Signals, reference: Callable[[str], Path], workplace: Path
) -> None:
    run = workplace / f"{name}-{sent.name}"
    stopped_at = _train_with_stops(name=name, signals=[sent] * 10, run=run, reference=reference(name))
    print(f"{run.name} was stopped {', '.join(stopped_at)}")
    assert len(stopped_at) == 10
    assert set(stopped_at) >= {"stepping", "evaluating", "saving"}
    _assert_equal_runs(run, reference(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed_sets", "ppo", "a2c", "stream_ac", "bc"])
def test_trap_29_trap_40_a_run_stopped_twice_ends_with_the_same_bits(
    name: str, reference: Callable[[str], Path], workplace: Path
) -> None:
    run = workplace / f"twice-{name}"
    signals = [signal.SIGKILL, signal.SIGINT]
    assert len(_train_with_stops(name=name, signals=signals, run=run, reference=reference(name))) == 2
    _assert_equal_runs(run, reference(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_another_seed_ends_with_other_bits(name: str, reference: Callable[[str], Path], workplace: Path) -> None:
    run = workplace / f"other-seed-{name}"
    assert _start(name, "train", "--seed", "1", run=run, workplace=workplace).wait(timeout=900) == 0
    assert _evaluations(run) != _evaluations(reference(name))
    same = workplace / f"same-seed-{name}"
    assert _start(name, "train", "--seed", "0", run=same, workplace=workplace).wait(timeout=900) == 0
    _assert_equal_runs(same, reference(name))


def _start(name: str, command: str, *options: str, run: Path, workplace: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "MINARI_DATASETS_PATH": str(workplace / "datasets"),
        "JAX_COMPILATION_CACHE_DIR": str(workplace / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "MARKER": str(_marker(run)),
    }
    _marker(run).unlink(missing_ok=True)
    arguments = [sys.executable, str(SCRIPT), name, command, "--run-directory", str(run), *options]
    with (workplace / f"{run.name}.log").open("ab") as log:
        return subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _train_with_stops(*, name: str, signals: list[signal.Signals], run: Path, reference: Path) -> list[str]:
    """Train to the end, stopping and resuming on the way; returns what the run was at, at each stop before the end."""
    workplace = run.parent
    generator = np.random.default_rng([*run.name.encode()])
    # Ten stops fit into any run: each comes in the first 50th of it that a process makes, or, where it is to come in an
    # evaluation or while a checkpoint is saved, in the next of these that is seen: 10/50 + 3/9 + 3/13 < 1, with room
    # for one that passes unseen.
    wanted = ["stepping"] * 4 + ["evaluating"] * 3 + ["saving"] * 3
    earliest = _moment(reference).iterations // 50
    stopped_at: list[str] = []
    for sent in signals:
        process = _start(name, "resume" if _begun(run) else "train", run=run, workplace=workplace)
        phase = str(generator.choice(wanted))
        _wait_for(phase, run=run, process=process, iterations=int(generator.integers(earliest + 1)))
        time.sleep(generator.uniform(0.0, 0.01))
        found = _moment(run).phase
        log = workplace / f"{run.name}.log"
        told = len(log.read_text())
        process.send_signal(sent)
        before = time.monotonic()
        code = process.wait(timeout=300)
        if code == 0:
            return stopped_at  # It had ended before the signal came.
        stopped_at.append(found)
        wanted.remove(found if found in wanted else phase)
        if sent is signal.SIGKILL:
            assert code == -signal.SIGKILL
        else:
            assert code == 130, log.read_text()
            assert time.monotonic() - before < 20.0
            assert "is saved" in log.read_text()[told:]
    process = _start(name, "resume", run=run, workplace=workplace)
    assert process.wait(timeout=900) == 0, (workplace / f"{run.name}.log").read_text()
    return stopped_at


def _begun(run: Path) -> bool:
    return (run / "experiment.json").exists()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """What a process says that it is at.

    :ivar phase: one of the phases of ``resumable.py``, or what comes before and between them.
    :ivar iterations: of its loop that it has made.
    """

    phase: str
    iterations: int


def _marker(run: Path) -> Path:
    return run.with_suffix(".marker")


def _moment(run: Path) -> Moment:
    words = _marker(run).read_text().split() if _marker(run).exists() else []
    return Moment(phase=words[0], iterations=int(words[1])) if words else Moment(phase="starting", iterations=0)


def _wait_for(phase: str, *, run: Path, process: "subprocess.Popen[bytes]", iterations: int) -> None:
    """Wait until the process has made some iterations and is at something, or has ended."""
    deadline = time.monotonic() + 600
    while process.poll() is None:
        assert time.monotonic() < deadline, f"{run} was never {phase}"
        moment = _moment(run)
        if moment.iterations >= iterations and moment.phase == phase:
            return
        time.sleep(0.0002)


def _assert_equal_runs(run: Path, reference: Path) -> None:
    assert _evaluations(run) == _evaluations(reference)
    assert _rows(run / "metrics.jsonl") == _rows(reference / "metrics.jsonl")
    assert (run / "episodes.jsonl").read_bytes() == (reference / "episodes.jsonl").read_bytes()
    last = max(int(entry.name) for entry in (reference / "checkpoints").iterdir() if entry.name.isdigit())
    for part in ("agent", "training"):
        path = f"checkpoints/{last}/{part}.safetensors"
        assert (run / path).read_bytes() == (reference / path).read_bytes(), path


def _evaluations(run: Path) -> list[dict[str, Any]]:
    return _rows(run / "evaluations.jsonl")


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows
    for row in rows:
        for name in ("wall_seconds", *Rates.NAMES):
            row.pop(name, None)
    return rows

"""A run that was stopped and resumed ends with the same bits as one that was not. Real processes, real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from triax.datasets import RecordedEpisode, write_dataset

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
def references(workplace: Path) -> dict[str, Path]:
    """Each experiment, run without a stop."""
    runs = {}
    for name in LEARNERS:
        runs[name] = workplace / f"reference-{name}"
        finished = _start(name, "train", run=runs[name], workplace=workplace)
        assert finished.wait(timeout=300) == 0
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("name", LEARNERS)
def test_trap_22_stopped_at_ten_random_moments_it_ends_with_the_same_bits(
    name: str, sent: signal.Signals, references: dict[str, Path], workplace: Path
) -> None:
    run = workplace / f"{name}-{sent.name}"
    stopped = _train_with_stops(name=name, sent=sent, run=run, workplace=workplace, stops=10)
    assert stopped == 10
    _assert_equal_runs(run, references[name])


@pytest.mark.parametrize("name", LEARNERS)
def test_a_run_killed_twice_ends_with_the_same_bits(name: str, references: dict[str, Path], workplace: Path) -> None:
    run = workplace / f"quick-{name}"
    stops = _train_with_stops(name=name, sent=signal.SIGKILL, run=run, workplace=workplace, stops=1)
    stops += _train_with_stops(name=name, sent=signal.SIGINT, run=run, workplace=workplace, stops=1)
    assert stops >= 1
    _assert_equal_runs(run, references[name])


def test_another_seed_ends_with_other_bits(references: dict[str, Path], workplace: Path) -> None:
    run = workplace / "other-seed"
    assert _start("ppo", "train", "--seed", "1", run=run, workplace=workplace).wait(timeout=300) == 0
    assert _evaluations(run) != _evaluations(references["ppo"])
    same = workplace / "same-seed"
    assert _start("ppo", "train", "--seed", "0", run=same, workplace=workplace).wait(timeout=300) == 0
    _assert_equal_runs(same, references["ppo"])


def _start(name: str, command: str, *options: str, run: Path, workplace: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "MINARI_DATASETS_PATH": str(workplace / "datasets"),
        "JAX_COMPILATION_CACHE_DIR": str(workplace / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    arguments = [sys.executable, str(SCRIPT), name, command, "--run-directory", str(run), *options]
    with (workplace / f"{run.name}.log").open("ab") as log:
        return subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _train_with_stops(*, name: str, sent: signal.Signals, run: Path, workplace: Path, stops: int) -> int:
    """Train to the end, stopping and resuming on the way; returns how often it was stopped before the end."""
    generator = np.random.default_rng([*name.encode(), sent.value, stops])
    made = 0
    while True:
        begun = (run / "experiment.json").exists()
        process = _start(name, "resume" if begun else "train", run=run, workplace=workplace)
        if made == stops:
            assert process.wait(timeout=300) == 0, (workplace / f"{run.name}.log").read_text()
            return made
        _wait_until_training(process=process, run=run)
        # Half of the time in the middle of saving a checkpoint, as near as can be told from outside.
        deadline = time.monotonic() + generator.uniform(0.05, 0.8)
        aim_at_checkpoint = generator.random() < 0.5
        while time.monotonic() < deadline and process.poll() is None:
            if aim_at_checkpoint and any(entry.name.startswith(".") for entry in (run / "checkpoints").glob(".*")):
                break
            time.sleep(0.0005)
        process.send_signal(sent)
        before = time.monotonic()
        code = process.wait(timeout=60)
        if code == 0:
            return made  # It had ended before the signal came.
        made += 1
        if sent is signal.SIGKILL:
            assert code == -signal.SIGKILL
        else:
            assert code == 130, (workplace / f"{run.name}.log").read_text()
            assert time.monotonic() - before < 10.0
            assert any((run / "checkpoints").iterdir())


def _wait_until_training(*, process: "subprocess.Popen[bytes]", run: Path) -> None:
    """Wait until the process has begun its loop: it holds the lock of the run directory, and its logs grow."""
    log = run / "metrics.jsonl"
    size = log.stat().st_size if log.exists() else -1
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.stat().st_size not in (size, 0):
            return
        time.sleep(0.005)


def _assert_equal_runs(run: Path, reference: Path) -> None:
    assert _evaluations(run) == _evaluations(reference)
    assert _rows(run / "metrics.jsonl") == _rows(reference / "metrics.jsonl")
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
        del row["wall_seconds"]
    return rows

"""Training on worker processes, from experiment to checkpoint."""

import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from outside_learners import OutsideLearner
from test_loops import TracedConfig

import triax
from triax.environments.physics import PHYSICS_TABLES, RandomisedPhysics
from triax.environments.physics.parameters import episode_physics
from triax.environments.probes import CounterProbe
from triax.learners.interface import DataPlan, OnPolicyPlan, ReplayPlan, TransitionUnit
from triax.random import derive_seed, episode_seed
from triax.rollout import FleetReport
from triax.runs import RunDirectory, read_episodes, read_metrics
from triax.spaces import space_spec
from triax.training.loops import OnPolicyLoop
from triax.training.rates import Rates
from triax.trees import Tree
from triax.types import ActionMode, Chunk, EpisodeSummary, Trajectory

SCRIPT = Path(__file__).with_name("workers_experiment.py")


@pytest.mark.parametrize(
    "plan",
    [
        ReplayPlan(batch_size=8, unit=TransitionUnit(discount=0.9), warmup_steps=40),
        OnPolicyPlan(steps=10, epochs=2, minibatch_size=5),
        OnPolicyPlan(steps=1),
    ],
    ids=["replay", "on-policy", "stream"],
)
def test_every_plan_learns_from_workers(plan: DataPlan, tmp_path: Path) -> None:
    experiment = triax.Experiment(
        name="workers",
        learner=TracedConfig(plan=plan),
        environment=triax.EnvironmentConfig(factory=CounterProbe),
        rollout=triax.RolloutConfig(backend="processes", environments_per_worker=2),
        total_steps=200,
        evaluation=triax.EvaluationConfig(interval=100, episodes=2, environments=2),
        loop=triax.LoopConfig(log_interval=50, video=False, updates_per_call=4),
    )
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    assert len(result.evaluations) == 3
    rows = read_metrics(RunDirectory.open(result.run_directory))
    last = rows[-1]
    assert 200 <= last.environment_steps < 240
    assert last.updates > 0
    assert last.metrics["policy_lag_maximum"] >= last.metrics["policy_lag"] >= 0.0
    assert all(set(Rates.NAMES) <= set(row.metrics) for row in rows)
    if isinstance(plan, ReplayPlan):
        for row in rows:
            # However fast either side is: one update a step, in calls of 4, over chunks of 2 × 2 rows.
            assert row.environment_steps - 40 - 8 < row.updates <= max(0, row.environment_steps - 40)


class ScriptedFleet:
    """Gives out chunks of stated policy versions, whatever is published; in each, an episode ends."""

    def __init__(self, versions: Sequence[int]) -> None:
        self._versions = list(versions)
        self.environments = 1
        self.is_concurrent = True

    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        pass

    def collect(self, *, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        version = self._versions.pop(0)
        shape = CounterProbe().observation_space.shape
        assert shape is not None
        observation = np.full((5, 1, *shape), version, np.float32)
        trajectory = Trajectory(
            observation=observation,
            action=np.zeros((4, 1), np.int32),
            reward=np.full((4, 1), version, np.float32),
            terminated=np.zeros((4, 1), np.bool_),
            truncated=np.zeros((4, 1), np.bool_),
            is_first=np.zeros((5, 1), np.bool_),
            is_last=np.zeros((5, 1), np.bool_),
            extras={},
        )
        episode = EpisodeSummary(undiscounted_return=float(version), length=4, environment=0)
        return [Chunk(trajectory=trajectory, first_environment=0, policy_version=version, steps=4, episodes=(episode,))]

    def report(self) -> FleetReport:
        return FleetReport(environment_steps=0, episodes=0, resets=0)

    def state(self) -> Tree:
        return ()

    def restore(self, state: Tree) -> None:
        pass

    def close(self) -> None:
        pass


def scripted_loop(versions: Sequence[int], *, environments: int) -> OnPolicyLoop:
    """Make a loop. It publishes version 1 when it is built, and one more after each piece of learning."""
    plan = OnPolicyPlan(steps=4, epochs=1, minibatch_size=4)
    probe = CounterProbe()
    learner: OutsideLearner = TracedConfig(plan=plan).build(
        observation_spec=space_spec(space=probe.observation_space, role="observation"),
        action_spec=space_spec(space=probe.action_space, role="action"),
    )
    fleet = ScriptedFleet(versions=versions)
    return OnPolicyLoop(
        learner=learner, plan=plan, fleet=fleet, environments=environments, maximum_policy_lag=1, seed=0
    )


def test_chunks_of_policies_that_are_too_old_are_left_out_and_counted() -> None:
    loop = scripted_loop([1, 1, 1, 3], environments=1)
    found = [loop.advance(limit=1) for _ in range(4)]
    assert [iteration.policy_lags for iteration in found] == [(0,), (1,), (), (0,)]
    assert [iteration.rejected_steps for iteration in found] == [0, 0, 4, 0]
    assert loop.counters.environment_steps == 12
    # The episodes of what is left out are no less episodes of training.
    returns = [[episode.undiscounted_return for episode in iteration.episodes] for iteration in found]
    assert returns == [[1.0], [1.0], [1.0], [3.0]]
    sums = [float(np.asarray(iteration.metrics[0]["reward_sum"])[0]) for iteration in found if iteration.metrics]
    assert sums == [4.0, 4.0, 12.0]


def test_what_waits_to_be_learnt_from_is_under_way_still() -> None:
    loop = scripted_loop([1, 1, 2], environments=2)
    found = [loop.advance(limit=1) for _ in range(3)]
    assert [len(iteration.episodes) for iteration in found] == [1, 1, 1]  # each when it arrives, and once
    assert [len(iteration.metrics) for iteration in found] == [0, 1, 0]
    assert loop.fleet_report().steps_underway == 4


def run_script(trouble: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(SCRIPT), trouble, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows_of(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "restarts"), [(["--rollout.supervision.restarts", "1"], 1), ([], 5)], ids=["one", "default"]
)
def test_past_the_budget_the_run_ends_in_order_with_a_checkpoint(
    options: list[str], restarts: int, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = run_script("raise", "train", "--run-directory", str(run), *options)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 1
    assert said.count(") failed with EnvironmentFailed: RuntimeError: the gripper fell off") == restarts + 1
    assert "Traceback" in said  # the worker's
    assert "in _replace" not in said  # none of ours
    assert f"{restarts} workers were started again within 600 s" in said
    steps = [int(path.parent.name) for path in (run / "checkpoints").glob("*/training.safetensors")]
    assert 125 * (restarts + 1) < max(steps) < 150 * (restarts + 1)  # each life gave what it could


@pytest.mark.slow
def test_an_evaluator_that_fails_ends_the_run_in_order_with_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = run_script("evaluator", "train", "--run-directory", str(run))
    _, said = process.communicate(timeout=600)
    assert process.returncode == 1
    assert (
        "the evaluator could not begin: it failed with EnvironmentFailed: RuntimeError: the judge fell asleep" in said
    )
    assert list((run / "checkpoints").glob("*/training.safetensors"))


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        ("inline", [("rollout",), ("rollout", "environments")]),
        ("processes", [("rollout",), ("life", 0), ("environments",)]),
    ],
)
def test_the_record_has_every_episode_of_training_with_its_physics(
    backend: Literal["inline", "processes"], names: list[tuple[str | int, ...]], tmp_path: Path
) -> None:
    table = PHYSICS_TABLES["Pendulum-v1"]
    experiment = triax.Experiment(
        name="worlds",
        learner=TracedConfig(plan=ReplayPlan(batch_size=8, unit=TransitionUnit(discount=0.9), warmup_steps=40)),
        environment=triax.EnvironmentConfig(
            id="Pendulum-v1",
            arguments={"max_episode_steps": 5},
            wrappers=(functools.partial(RandomisedPhysics, table=table),),
        ),
        rollout=triax.RolloutConfig(backend=backend),
        total_steps=60,
        evaluation=triax.EvaluationConfig(interval=1000, episodes=1),
        loop=triax.LoopConfig(video=False),
    )
    run = RunDirectory.open(triax.train(experiment=experiment, run_directory=tmp_path / "run").run_directory)
    rows = read_episodes(run)
    assert len(rows) >= 10
    # Episode by episode, what the seed of its reset says.
    seed = functools.reduce(lambda seed, name: derive_seed(seed=seed, name=name), names, 0)
    seeds = [episode_seed(seed=seed, environment=0, episode=number) for number in range(len(rows))]
    assert [row.physics for row in rows] == [episode_physics(table=table, seed=each).values for each in seeds]
    assert all(row.length == 5 and row.environment == 0 for row in rows)


@pytest.mark.slow
def test_an_interrupted_run_ends_soon_and_goes_on_to_the_full_number_of_steps(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = run_script("none", "train", "--run-directory", str(run))
    metrics = run / "metrics.jsonl"
    deadline = time.monotonic() + 120.0
    while not (metrics.exists() and metrics.read_text()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    _, said = process.communicate(timeout=600)
    assert time.monotonic() - before < 10.0
    assert process.returncode == 130, said
    assert re.search(r"Go on with: .*triax resume", said)
    process = run_script("none", "resume", "--run-directory", str(run))
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    evaluations = [row["environment_steps"] for row in rows_of(run / "evaluations.jsonl")]
    assert [steps // 1000 for steps in evaluations] == [0, 1, 2, 3]
    steps = [row["environment_steps"] for row in rows_of(metrics)]
    assert steps == sorted(set(steps))
    assert steps[-1] >= 3000


@pytest.mark.slow
def test_a_signal_to_all_processes_while_workers_start_is_the_trainers_to_answer(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, str(SCRIPT), "none", "train", "--run-directory", str(run)]
    process = subprocess.Popen(
        [*command, "--evaluation.no-at-start"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert "run directory" in process.stdout.readline()
    while not Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "ended by itself" not in said


@pytest.mark.slow
def test_workers_import_what_the_installed_command_imports(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "workers_experiment.py").write_text(SCRIPT.read_text())
    run = tmp_path / "run"
    script = "import mine.workers_experiment as it, triax, dataclasses; from triax.cli import main; "
    script += "e = dataclasses.replace(it.experiment(trouble='raise'), total_steps=120); "
    script += f"triax.train(experiment=e, run_directory={str(run)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, timeout=600)
    # Without its checkpoints the run begins again, in the installed command's process, whose workers need the wrapper.
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    command = Path(sys.executable).with_name("triax")
    found = subprocess.run(
        [str(command), "resume", str(run)], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert found.returncode == 0, found.stderr
    assert rows_of(run / "metrics.jsonl")[-1]["environment_steps"] >= 120


def test_more_workers_than_memory_are_refused_at_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = run_script("none", "train", "--run-directory", str(run), "--rollout.workers", "100000")
    _, said = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "rollout.workers=100000: they take at least" in said
    assert "Traceback" not in said
    assert not run.exists()


@pytest.mark.slow
def test_what_only_the_trainer_can_import_is_said_by_name(tmp_path: Path) -> None:
    script = """
    import sys, types
    import gymnasium
    import triax

    if __name__ == "__main__":
        class Made(gymnasium.Wrapper):
            pass

        Made.__module__, Made.__qualname__ = "made_here", "Made"
        sys.modules["made_here"] = types.ModuleType("made_here")
        sys.modules["made_here"].Made = Made
        triax.main(
            triax.Experiment(
                name="made",
                learner=triax.SACConfig(),
                environment=triax.EnvironmentConfig(id="Pendulum-v1", wrappers=(Made,)),
                rollout=triax.RolloutConfig(backend="processes"),
                total_steps=100,
            )
        )
    """
    file = tmp_path / "made_experiment.py"
    file.write_text(textwrap.dedent(script))
    found = subprocess.run(
        [sys.executable, str(file), "train", "--run-directory", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert found.returncode == 1, found.stderr
    assert "could not begin: it failed with ModuleNotFoundError: No module named 'made_here'" in found.stderr
    assert "A worker imports the experiment anew, in a process of its own" in found.stderr


def test_rates_are_of_what_happened_since_the_last_row() -> None:
    counters = triax.training.loops.Counters(environment_steps=100, updates=50)
    report = FleetReport(environment_steps=100, episodes=0, resets=0, seconds_waited=1.0, worker_seconds_waited=6.0)
    rates = Rates(workers=2)
    rates.begin(wall_seconds=10.0, counters=counters, report=report)
    later = dataclasses.replace(counters, environment_steps=300, updates=90)
    waited = dataclasses.replace(report, seconds_waited=2.0, worker_seconds_waited=10.0)
    assert rates.take(wall_seconds=14.0, counters=later, report=waited) == {
        "environment_steps_per_second": 50.0,
        "updates_per_second": 10.0,
        "trainer_waiting_share": 0.25,
        "worker_waiting_share": 0.5,
    }
    assert rates.take(wall_seconds=14.0, counters=later, report=waited) == {}

"""The study of multi-task imitation: its pure parts, and all of it with tiny settings."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cloning import initial_states, member, stacked, train_clones
from experts import missing_experts
from families import FAMILIES, Family
from playing import normalised_return
from report import student_interval, summaries
from scales import SCALES
from transfer import OPTIMIZER, Clone, multi_task_learner, planned_clones, single_task_learner, source_order

from triax.launch.folder import JobState, LaunchFolder
from triax.random import derive_key
from triax.types import EnvironmentSpec, RowOrigin, Transitions

ROOT = Path(__file__).resolve().parents[2]
FAMILY_LIST = tuple(FAMILIES.values())


def test_normalised_return_is_0_for_random_actions_and_1_for_the_expert() -> None:
    assert normalised_return(value=-1200.0, expert=-200.0, random=-1200.0) == 0.0
    assert normalised_return(value=-200.0, expert=-200.0, random=-1200.0) == 1.0
    # A quarter of the way, and beyond both ends.
    assert normalised_return(value=-950.0, expert=-200.0, random=-1200.0) == pytest.approx(0.25)
    assert normalised_return(value=-100.0, expert=-200.0, random=-1200.0) == pytest.approx(1.1)
    assert normalised_return(value=-1300.0, expert=-200.0, random=-1200.0) == pytest.approx(-0.1)


def test_an_expert_that_is_no_better_than_random_actions_is_refused() -> None:
    with pytest.raises(ValueError, match="above that of random actions"):
        normalised_return(value=0.0, expert=-5.0, random=-5.0)


@pytest.mark.parametrize("family", FAMILY_LIST, ids=lambda family: family.name)
def test_no_held_out_variant_is_a_source_and_none_is_both_chosen_on_and_reported(family: Family) -> None:
    sources, tuning, reported = set(family.sources), set(family.tuning), set(family.reported)
    assert len(sources) == 16
    assert len(tuning) == 3
    assert len(reported) == 4
    assert not sources & tuning
    assert not sources & reported
    assert not tuning & reported
    assert min(sources) < min(tuning | reported)
    assert max(tuning | reported) < max(sources)


@pytest.mark.parametrize("family", FAMILY_LIST, ids=lambda family: family.name)
def test_more_source_tasks_hold_the_fewer_and_seeds_order_them_differently(family: Family) -> None:
    orders = [source_order(scale=SCALES["small"], family=family, seed=seed) for seed in range(5)]
    assert all(sorted(order) == list(family.sources) for order in orders)
    assert len(set(orders)) == 5
    assert orders[0] == source_order(scale=SCALES["small"], family=family, seed=0)


def test_experts_are_missing_until_their_jobs_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scale = SCALES["small"]
    assert missing_experts(scale=scale) == ("pendulum-seed-0", "double_pendulum-seed-0")
    (scale.expert_folder / "jobs").mkdir(parents=True)
    folder = LaunchFolder(scale.expert_folder)
    JobState(state="done").write(folder.state_path("pendulum-seed-0"))
    JobState(state="failed").write(folder.state_path("double_pendulum-seed-0"))
    assert missing_experts(scale=scale) == ("double_pendulum-seed-0",)
    JobState(state="done").write(folder.state_path("double_pendulum-seed-0"))
    assert missing_experts(scale=scale) == ()


def test_every_seed_has_a_clone_of_each_kind() -> None:
    clones = planned_clones(scale=SCALES["small"])
    assert len(set(clones)) == len(clones) == 5 * (4 + 5)
    assert Clone(seed=4, sources=0, amount=8) in clones
    assert Clone(seed=0, sources=16, amount=1) in clones
    assert Clone(seed=0, sources=16, amount=8) not in clones


@pytest.mark.parametrize(
    "discrete", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["continuous", "discrete"]
)
def test_clones_side_by_side_are_the_clones_one_by_one(discrete: bool) -> None:
    learner = single_task_learner(spec=_spec(discrete=discrete), optimizer=OPTIMIZER)
    keys = [derive_key(seed=seed, name=("network",)) for seed in range(2)]
    states = initial_states(learner=learner, keys=keys)
    rows = [_rows(seed=seed, count=12, discrete=discrete) for seed in range(2)]
    counts, batches = (3, 12), jnp.stack([derive_key(seed=seed, name=("batches",)) for seed in range(2)])
    trained = train_clones(
        learner=learner,
        states=states,
        rows=stacked(rows),
        counts=jnp.array(counts),
        keys=batches,
        updates=4,
        batch_size=8,
    )
    update_once = jax.jit(lambda state, batch, key: learner.update(state=state, batch=batch, key=key)[0])
    for number, count in enumerate(counts):
        # The same by hand, on no more rows than there are.
        state = learner.initial_state(key=keys[number])
        for update in range(4):
            key_rows, key_update = jax.random.split(jax.random.fold_in(batches[number], update))
            drawn = np.asarray(jax.random.randint(key_rows, (8,), 0, count))
            batch = jax.tree.map(lambda leaf, drawn=drawn: leaf[drawn], rows[number])
            state = update_once(state, batch, key_update)
        mine = jax.tree.leaves(learner.policy_parameters(state=member(trained, index=number)))
        alone = jax.tree.leaves(learner.policy_parameters(state=state))
        first = jax.tree.leaves(learner.policy_parameters(state=member(states, index=number)))
        for here, there, before in zip(mine, alone, first, strict=True):
            np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5)
            assert np.abs(np.asarray(here) - np.asarray(before)).max() > 1e-4  # all of it was trained


@pytest.mark.slow
def test_multi_task_clones_learn_each_task_by_its_own_head() -> None:
    learner = multi_task_learner(spec=_spec(discrete=False), tasks=2)
    # The same observations, opposite actions: one head could not do both.
    rows = [_rows(seed=0, count=16, discrete=False, task=task, action=0.8 * (-1.0) ** task) for task in (0, 1)]
    both = jax.tree.map(lambda *leaves: np.concatenate(leaves), *rows)
    states = initial_states(learner=learner, keys=[derive_key(seed=0, name=("network",))])
    trained = train_clones(
        learner=learner,
        states=states,
        rows=stacked([both]),
        counts=jnp.array([32]),
        keys=jnp.stack([derive_key(seed=0, name=("batches",))]),
        updates=150,
        batch_size=16,
    )
    loss = learner.held_out_loss(state=member(trained, index=0), batch=both)
    # Half of the squared error; a policy that ignores the task cannot get below 0.5 * 0.8² = 0.32.
    assert float(loss) < 0.05


def test_the_interval_over_seeds_is_students() -> None:
    # Mean 3, standard deviation sqrt(2.5), t(0.975, 4) = 2.7764: 2.7764 * sqrt(2.5 / 5) = 1.9632.
    interval = student_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert interval.low == pytest.approx(3.0 - 1.9632, abs=1e-4)
    assert interval.high == pytest.approx(3.0 + 1.9632, abs=1e-4)


def test_summaries_average_over_variants_and_then_over_seeds() -> None:
    def clone(*, seed: int, value: float, normalised: float, sources: int = 0) -> dict[str, object]:
        variant = {"kind": "clone", "family": "f", "transitions": 10, "sources": sources}
        return {**variant, "seed": seed, "value": value, "normalised": normalised}

    rows = [
        {"kind": "variant", "family": "f", "value": 1.0},
        clone(seed=0, value=1.0, normalised=0.0),
        clone(seed=0, value=2.0, normalised=0.4),
        clone(seed=1, value=1.0, normalised=0.6),
        clone(seed=1, value=2.0, normalised=0.8),
        clone(seed=0, value=1.0, normalised=1.0, sources=2),
        clone(seed=1, value=1.0, normalised=1.0, sources=2),
    ]
    scratch, tuned = summaries(rows=rows, seeds=2)
    assert scratch["of_seed"] == [0.2, 0.7]
    assert scratch["mean"] == pytest.approx(0.45)
    assert (tuned["sources"], tuned["mean"], tuned["interval_low"]) == (2, 1.0, 1.0)


@pytest.mark.slow
def test_the_study_runs_from_start_to_plot_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = _run(tmp_path)
    assert "source tasks" in first
    lines = (tmp_path / "runs/multitask_imitation/tiny/results.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    clones = [row for row in rows if row["kind"] == "clone"]
    # Four held-out variants, two seeds, two amounts from scratch and two numbers of source tasks.
    assert len(clones) == 4 * 2 * (2 + 2)
    assert all(math.isfinite(row["normalised"]) for row in clones)
    assert (tmp_path / "runs/multitask_imitation/tiny/results.png").stat().st_size > 10_000
    evaluations = tmp_path / "runs/multitask_imitation/tiny/evaluations"
    kept = {path: path.stat().st_mtime_ns for path in evaluations.iterdir()}
    lost = sorted(kept)[0]
    before = lost.read_text()
    lost.unlink()
    second = _run(tmp_path)
    assert "recorded" not in second
    assert "pre-trained" not in second
    assert second.count("clones trained and played") == 1
    assert lost.read_text() == before
    assert all(path.stat().st_mtime_ns == kept[path] for path in kept if path != lost)


def _run(folder: Path) -> str:
    command = [sys.executable, str(ROOT / "experiments" / "multitask_imitation" / "pipeline.py"), "tiny"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _spec(*, discrete: bool) -> EnvironmentSpec:
    observation = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    action = gymnasium.spaces.Discrete(4) if discrete else gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    return EnvironmentSpec.of_spaces(observation=observation, action=action)


def _rows(*, seed: int, count: int, discrete: bool, task: int = 0, action: float | None = None) -> Transitions:
    generator = np.random.default_rng(seed)
    observation = generator.uniform(-1.0, 1.0, (count, 3)).astype(np.float32)
    chosen = generator.integers(4, size=count) if discrete else generator.uniform(-1.0, 1.0, (count, 1))
    if action is not None:
        chosen = np.full((count, 1), action)
    zeros = np.zeros(count, np.float32)
    numbers = np.arange(count, dtype=np.int64)
    return Transitions(
        observation=observation,
        action=chosen.astype(np.int32 if discrete else np.float32),
        reward=zeros,
        discount=zeros,
        next_observation=observation,
        weight=zeros + 1.0,
        extras=(),
        origin=RowOrigin(
            source=0 * numbers,
            task=0 * numbers + task,
            slot=numbers,
            generation=0 * numbers,
            policy_version=0 * numbers,
        ),
    )

"""Multi-task cloning: how tasks are weighed, by hand; that each has a head of its own; and what is shared."""

import functools
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.learners.cloning import CloningState
from triax.learners.mtbc import MTBC, MTBCConfig
from triax.learners.mtbc.losses import balanced_weight
from triax.learners.optimizer import OptimizerConfig
from triax.learners.registry import registered
from triax.networks import MLPConfig, NetworkConfig
from triax.objectives.averages import weighted_mean
from triax.spaces import space_spec
from triax.trees import replace
from triax.types import ActionMode, RowOrigin, Transitions

QUICK = {"xla_backend_optimization_level": 0}
TASKS = 3


@functools.cache
def _learner(**changes: Any) -> MTBC:
    settings: dict[str, Any] = {
        "tasks": TASKS,
        "actor": NetworkConfig(torso=MLPConfig(hidden=(16,))),
        "optimizer": OptimizerConfig(learning_rate=0.02),
    } | changes
    return MTBCConfig(**settings).build(
        observation_spec=space_spec(space=gymnasium.spaces.Box(-1.0, 1.0, (2,)), role="observation"),
        action_spec=space_spec(
            space=gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(3), gymnasium.spaces.Box(-1.0, 1.0, (1,)))),
            role="action",
        ),
    )


def _batch(*, task: Any, seed: int = 0) -> Transitions:
    """Task k: the choice is k, and the number (k − 1) / 2 times the sign of the first component."""
    task = np.asarray(task, np.int32)
    rows = len(task)
    observation = np.random.default_rng(seed).uniform(-1.0, 1.0, (rows, 2)).astype(np.float32)
    number = ((task - 1) / 2.0 * np.sign(observation[:, 0])).astype(np.float32)
    zeros, numbers = np.zeros(rows, np.float32), np.arange(rows, dtype=np.int32)
    return Transitions(
        observation=observation,
        action=(task.copy(), number[:, None]),
        reward=zeros,
        discount=zeros,
        next_observation=observation,
        weight=np.ones(rows, np.float32),
        extras={},
        origin=RowOrigin(
            source=0 * numbers, task=task, slot=numbers, generation=0 * numbers, policy_version=0 * numbers
        ),
    )


@functools.cache
def _functions() -> Any:
    learner = _learner()
    traces: list[str] = []

    def update(state: CloningState, batch: Transitions, key: jax.Array) -> Any:
        traces.append("update")
        return learner.update(state=state, batch=batch, key=key)

    initial = jax.jit(lambda key: learner.initial_state(key=key), compiler_options=QUICK)
    return initial, jax.jit(update, compiler_options=QUICK), update, traces


def test_weights_by_hand() -> None:
    # Task 0 has the values 1 and 3 (mean 2), task 1 the value 6 with weight ½ (mean 6). With λ = 1, 3 and no rows of
    # task 2: (1 · 2 + 3 · 6) / 4 = 5.
    weight = balanced_weight(
        weight=jnp.asarray([1.0, 0.5, 1.0]),
        task=jnp.asarray([0, 1, 0], jnp.int32),
        task_weights=jnp.asarray([1.0, 3.0, 7.0]),
    )
    np.testing.assert_allclose(weight, [0.5, 3.0, 0.5])
    np.testing.assert_allclose(weighted_mean(values=jnp.asarray([1.0, 6.0, 3.0]), weight=weight), 5.0)
    nothing = balanced_weight(weight=jnp.zeros(2), task=jnp.zeros(2, jnp.int32), task_weights=jnp.ones(2, jnp.float32))
    np.testing.assert_array_equal(nothing, [0.0, 0.0])


def test_each_task_is_learned_by_its_own_head_and_any_can_act() -> None:
    learner = _learner()
    initial, update, _, traces = _functions()
    state, key = initial(jax.random.key(0)), jax.random.key(1)
    # Unequal shares: task 2 has 4 rows of 64.
    batch = _batch(task=[0] * 40 + [1] * 20 + [2] * 4)
    first = update(state, batch, key)[1].metrics
    for _ in range(150):
        state, output = update(state, batch, key)
    assert traces == ["update"]
    # The whole loss is the mean of the tasks' losses, whatever their shares.
    for metrics in (first, output.metrics):
        of_tasks = [float(metrics[f"loss_of_task_{task}"]) for task in range(TASKS)]
        np.testing.assert_allclose(float(metrics["loss"]), np.mean(of_tasks), rtol=1e-4)
    assert max(of_tasks) < 0.1 < float(first["loss"])
    parameters = learner.policy_parameters(state=state)
    act = jax.jit(learner.policy.act, static_argnames="mode", compiler_options=QUICK)
    for task in range(TASKS):
        new = _batch(task=[task] * 32, seed=5)
        chosen = act(
            parameters=replace(parameters, task=jnp.asarray(task, jnp.int32)),
            carry=(),
            observation=new.observation,
            is_first=np.zeros(32, np.bool_),
            key=key,
            mode=ActionMode.MODE,
        ).action
        # One policy for all tasks could be right in a third of the choices.
        assert np.mean(np.asarray(chosen[0]) == task) > 0.95
        far = np.abs(new.observation[:, 0]) > 0.3
        assert np.mean(np.abs(np.asarray(chosen[1])[far] - new.action[1][far])) < 0.2


def test_rows_of_one_task_move_its_head_and_what_is_shared_alone() -> None:
    initial, update, _, _ = _functions()
    state = initial(jax.random.key(0))
    after, _ = update(state, _batch(task=[1] * 64), jax.random.key(1))

    def moved(part: Any, other: Any) -> bool:
        pairs = zip(jax.tree.leaves(part), jax.tree.leaves(other), strict=True)
        return any(bool(jnp.any(one != two)) for one, two in pairs)

    before, now = state.actor.parameters, after.actor.parameters
    assert moved(before["torso"], now["torso"])
    assert [moved(before["heads"][task], now["heads"][task]) for task in range(TASKS)] == [False, True, False]


def test_clones_side_by_side_equal_single_ones() -> None:
    initial, single, update, _ = _functions()
    keys = jax.random.split(jax.random.key(5), 3)
    batches = [_batch(task=np.arange(64) % TASKS, seed=seed) for seed in range(3)]
    together = jax.jit(jax.vmap(update), compiler_options=QUICK)
    state_of = [initial(key) for key in keys]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *state_of)
    data = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
    after, _ = together(stacked, data, keys)
    alone, _ = single(state_of[1], batches[1], keys[1])
    again, _ = single(initial(keys[1]), batches[1], keys[1])
    jax.tree.map(np.testing.assert_array_equal, alone, again)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-5), after, alone)


def test_the_config_is_registered_and_refuses_nonsense() -> None:
    assert registered("triax.learners.mtbc.config:MTBCConfig") is MTBCConfig
    assert _learner().data_plan.tasks == TASKS
    for field, changes in (
        ("tasks", {"tasks": 0}),
        ("task_weights", {"task_weights": (1.0,)}),
        ("task_weights", {"task_weights": (0.0, 0.0)}),
        ("task_weights", {"task_weights": (1.0, -1.0)}),
        ("acting_task", {"acting_task": 2}),
        ("patience", {"patience": 0}),
    ):
        with pytest.raises(ValueError, match=rf"MTBCConfig\.{field}="):
            MTBCConfig(**changes)

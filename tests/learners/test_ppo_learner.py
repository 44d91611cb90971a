"""PPO's pieces: what it stores, prepares and updates, for every action space; what it must not do."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.learners.actor_critic import ActorCriticState, PreparedRows
from triax.learners.interface import LearnerConfig, OnPolicyPlan
from triax.learners.ppo import PPO, PPOConfig
from triax.learners.registry import registered
from triax.networks import MLPConfig, NetworkConfig, RunningMoments
from triax.random import derive_key
from triax.spaces import space_spec
from triax.trees import Tree, replace
from triax.types import ActionMode, PolicyOutput, Trajectory, UpdateOutput

STEPS, ENVIRONMENTS = 12, 3
QUICK = {"xla_backend_optimization_level": 0}
"""Compiling takes most of the time here, and half of it is for speed that nobody needs."""

BOX = gymnasium.spaces.Box(-2.0, 1.0, (2,), np.float32)
DISCRETE = gymnasium.spaces.Discrete(3)
GRID = gymnasium.spaces.MultiDiscrete([2, 4])
BITS = gymnasium.spaces.MultiBinary(3)
MIXED = gymnasium.spaces.Dict(
    {"move": BOX, "tool": gymnasium.spaces.Tuple((DISCRETE, gymnasium.spaces.Dict({"grid": GRID, "bits": BITS})))}
)
SPACES: dict[str, "gymnasium.Space[Any]"] = {
    "Box": BOX,
    "Discrete": DISCRETE,
    "MultiDiscrete": GRID,
    "MultiBinary": BITS,
    "mixed": MIXED,
}
OBSERVATION = gymnasium.spaces.Dict(
    {"position": gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32), "kind": gymnasium.spaces.Discrete(4)}
)
SMALL = NetworkConfig(torso=MLPConfig(hidden=(8,), activation="tanh"))


@functools.cache
def _learner(*, space: str = "Discrete", **changes: Any) -> PPO:
    settings: dict[str, Any] = {
        "actor": SMALL,
        "critic": SMALL,
        "normalise_observations": True,
        "steps": STEPS,
        "minibatch_size": 9,
        "entropy_coefficient": 0.01,
        "clip_value_range": 0.3,
        "stop_at_kl": 0.01,
    } | changes
    return PPOConfig(**settings).build(
        observation_spec=space_spec(space=OBSERVATION, role="observation"),
        action_spec=space_spec(space=SPACES[space], role="action"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Compiled:
    """The functions of a learner, each in one compiled call."""

    act: Callable[..., PolicyOutput]
    ingest: Callable[..., tuple[ActorCriticState, PreparedRows]]
    update: Callable[..., tuple[ActorCriticState, UpdateOutput]]


@functools.cache
def _compiled(learner: PPO) -> _Compiled:
    return _Compiled(
        act=jax.jit(learner.policy.act, static_argnames="mode", compiler_options=QUICK),
        ingest=jax.jit(learner.ingest, compiler_options=QUICK),
        update=jax.jit(learner.update, compiler_options=QUICK),
    )


def _unflat(leaf: jax.Array) -> np.ndarray:
    return np.asarray(leaf).reshape(STEPS, ENVIRONMENTS, *leaf.shape[1:])


def _chunk(*, learner: PPO, state: ActorCriticState, seed: int) -> Trajectory:
    """Experience as rollout would store it: the policy acts at far-off observations, some rows are dead."""
    generator = np.random.default_rng(seed)
    rows = (STEPS + 1, ENVIRONMENTS)
    observation = {
        "position": (7.0 + seed + 3.0 * generator.normal(size=(*rows, 3))).astype(np.float32),
        "kind": generator.integers(4, size=rows).astype(np.int32),
    }
    is_last = np.zeros(rows, np.bool_)
    is_last[4::5] = True
    ended = is_last[1:]
    flat = jax.tree.map(lambda leaf: leaf[:-1].reshape(-1, *leaf.shape[2:]), observation)
    result = _compiled(learner).act(
        parameters=learner.policy_parameters(state=state),
        carry=(),
        observation=flat,
        is_first=np.zeros(STEPS * ENVIRONMENTS, np.bool_),
        key=derive_key(seed=seed, name=("act",)),
        mode=ActionMode.SAMPLE,
    )
    return Trajectory(
        observation=observation,
        action=jax.tree.map(_unflat, result.action),
        reward=np.where(is_last[:-1], 0.0, generator.normal(size=rows)[:-1]).astype(np.float32),
        terminated=ended & (np.arange(ENVIRONMENTS) == 0),
        truncated=ended & (np.arange(ENVIRONMENTS) != 0),
        is_first=np.roll(is_last, 1, axis=0),
        is_last=is_last,
        extras=jax.tree.map(_unflat, result.extras),
    )


def _rows(tree: Tree, *, drop: int = 1) -> Tree:
    """Rows [T · B, ...] of arrays [T + drop, B, ...]."""
    return jax.tree.map(lambda leaf: leaf[: len(leaf) - drop].reshape(-1, *leaf.shape[2:]), tree)


def _phase(*, learner: PPO, state: ActorCriticState, seed: int) -> ActorCriticState:
    """Acting, preparing and three updates, each with all rows."""
    state, rows = _compiled(learner).ingest(state=state, chunk=_chunk(learner=learner, state=state, seed=seed))
    for number in range(3):
        state, _ = _compiled(learner).update(
            state=state, batch=rows, key=derive_key(seed=seed, name=("update", number))
        )
    return state


def _assert_trees_close(first: Tree, second: Tree, *, atol: float = 0.0) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.0, atol=atol), first, second)


def _largest_difference(first: Tree, second: Tree) -> float:
    return max(
        float(jnp.max(jnp.abs(a - b))) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


@pytest.mark.parametrize("space", SPACES)
def test_acts_prepares_and_updates_in_every_space(space: str) -> None:
    learner = _learner(space=space)
    state = learner.initial_state(key=jax.random.key(0))
    chunk = _chunk(learner=learner, state=state, seed=1)
    specified = space_spec(space=SPACES[space], role="action").zeros(batch_shape=(STEPS, ENVIRONMENTS))
    assert _shapes(chunk.action) == _shapes(specified)
    assert learner.extras_spec.keys() == chunk.extras.keys() == {"log_probability"}
    assert learner.extras_spec["log_probability"].zeros(batch_shape=(5,)).shape == (5,)
    # Computed from the stored action, whatever the policy remembers of how it was made.
    actor = learner.actor.bind(parameters=state.networks.parameters.actor)
    distribution = actor(state.statistics.normalised_observation(observation=_rows(chunk.observation)))
    expected = distribution.log_prob(action=jax.tree.map(jnp.asarray, _rows(chunk.action, drop=0)))
    np.testing.assert_allclose(chunk.extras["log_probability"].ravel(), expected, rtol=1e-4, atol=1e-4)

    state, rows = _compiled(learner).ingest(state=state, chunk=chunk)
    assert all(leaf.shape[0] == STEPS * ENVIRONMENTS for leaf in jax.tree.leaves(rows))
    before = state.networks.parameters
    if space in ("MultiDiscrete", "MultiBinary"):  # these are compiled as parts of the mixed space
        new_state, _ = jax.eval_shape(learner.update, state=state, batch=rows, key=jax.random.key(2))
        assert _shapes(new_state) == _shapes(state)
        return
    state, output = _compiled(learner).update(state=state, batch=rows, key=jax.random.key(2))
    assert all(math.isfinite(float(value)) for value in jax.tree.leaves(output.metrics))
    assert _largest_difference(before.actor, state.networks.parameters.actor) > 0.0
    assert _largest_difference(before.critic, state.networks.parameters.critic) > 0.0


def _shapes(tree: Tree) -> Tree:
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def test_the_mode_is_deterministic_has_a_log_probability_and_no_carry() -> None:
    learner = _learner(space="mixed")
    parameters = learner.policy_parameters(state=learner.initial_state(key=jax.random.key(0)))
    results = [
        _compiled(learner).act(
            parameters=parameters,
            carry=learner.policy.initial_carry(batch_shape=(2,)),
            observation={"position": jnp.ones((2, 3)), "kind": jnp.zeros(2, jnp.int32)},
            is_first=jnp.ones(2, jnp.bool_),
            key=jax.random.key(seed),
            mode=ActionMode.MODE,
        )
        for seed in range(2)
    ]
    _assert_trees_close(results[0], results[1])
    assert results[0].carry == ()
    assert results[0].extras["log_probability"].shape == (2,)


def test_trap_13_first_ratios_are_one_with_normalisation_and_several_chunks() -> None:
    learner = _learner(space="mixed")
    state = learner.initial_state(key=jax.random.key(0))
    for version in range(3):
        in_use = learner.policy_parameters(state=state)
        chunks = [_chunk(learner=learner, state=state, seed=10 * version + number) for number in range(3)]
        prepared: list[PreparedRows] = []
        for chunk in chunks:
            state, rows = _compiled(learner).ingest(state=state, chunk=chunk)
            prepared.append(rows)
            # The policy stays as it is until an update makes a new one.
            _assert_trees_close(learner.policy_parameters(state=state), in_use)
        for rows in prepared:
            _, output = _compiled(learner).update(state=state, batch=rows, key=jax.random.key(version))
            assert float(output.metrics["approximate_kl"]) < 1e-9
            assert float(output.metrics["clip_fraction"]) == 0.0
        everything = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *prepared)
        for number in range(5):
            state, output = _compiled(learner).update(state=state, batch=everything, key=jax.random.key(number))
        # Negative control: the estimate sees when policies differ.
        assert float(output.metrics["approximate_kl"]) > 1e-6
        # The next version has new statistics: rows normalised by them would not fit the stored log-probabilities.
        _assert_trees_close(state.statistics, state.collected)
        assert _largest_difference(learner.policy_parameters(state=state).statistics, in_use.statistics) > 0.01
        stale = replace(
            prepared[0], observation=state.statistics.normalised_observation(observation=_rows(chunks[0].observation))
        )
        before = replace(state, networks=replace(state.networks, parameters=_with_actor(state, in_use.actor)))
        _, output = _compiled(learner).update(state=before, batch=stale, key=jax.random.key(0))
        assert float(output.metrics["approximate_kl"]) > 1e-7


def _with_actor(state: ActorCriticState, actor: Tree) -> Tree:
    return replace(state.networks.parameters, actor=actor)


def test_trap_13_corrected_first_ratios_are_one_though_an_older_policy_acted() -> None:
    learner, corrected = _learner(), _learner(off_policy_correction="vtrace")
    state = learner.initial_state(key=jax.random.key(0))
    chunk = _chunk(learner=learner, state=state, seed=1)
    for seed in range(2, 5):
        state = _phase(learner=learner, state=state, seed=seed)
    plain, now = (_compiled(one).ingest(state=state, chunk=chunk)[1] for one in (learner, corrected))
    _, output = _compiled(corrected).update(state=state, batch=now, key=jax.random.key(0))
    assert float(output.metrics["approximate_kl"]) < 1e-9
    assert float(output.metrics["clip_fraction"]) == 0.0
    # The ratios that weigh the rows are those between the two policies, each with its own statistics.
    valid = np.asarray(now.valid)
    ratio = np.exp(np.asarray(now.log_probability) - chunk.extras["log_probability"].ravel())
    np.testing.assert_allclose(np.asarray(now.importance)[valid], np.minimum(ratio, 1.0)[valid], rtol=1e-5)
    assert np.all(np.asarray(now.importance)[~valid] == 1.0)
    assert np.min(np.asarray(now.importance)) < 0.99
    # Negative control: without the correction, updates measure from the policy that acted.
    _, output = _compiled(learner).update(state=state, batch=plain, key=jax.random.key(0))
    assert float(output.metrics["approximate_kl"]) > 1e-6
    assert plain.importance is None


def test_a_chunk_of_the_present_policy_is_the_same_with_correction_and_without() -> None:
    learner, corrected = _learner(), _learner(off_policy_correction="vtrace")
    state = learner.initial_state(key=jax.random.key(0))
    # What learns has the same structure, so that checkpoints are the same.
    assert _shapes(state) == _shapes(corrected.initial_state(key=jax.random.key(0)))
    chunk = _chunk(learner=learner, state=state, seed=1)
    results = []
    for one in (learner, corrected):
        ingested, rows = _compiled(one).ingest(state=state, chunk=chunk)
        updated, output = _compiled(one).update(state=ingested, batch=rows, key=jax.random.key(2))
        results.append((replace(rows, importance=None), ingested, updated.networks.parameters, output.metrics))
    _assert_trees_close(*results, atol=1e-4)


def test_corrected_rows_without_an_action_change_nothing() -> None:
    learner = _learner(off_policy_correction="vtrace")
    state = learner.initial_state(key=jax.random.key(0))
    chunk = _chunk(learner=learner, state=state, seed=1)
    odd = np.where(chunk.valid, chunk.extras["log_probability"], np.float32("nan"))
    found = []
    for stored in (chunk.extras["log_probability"], odd):
        ingested, rows = _compiled(learner).ingest(
            state=state, chunk=replace(chunk, extras={"log_probability": stored})
        )
        found.append(_compiled(learner).update(state=ingested, batch=rows, key=jax.random.key(3)))
    _assert_trees_close(*found)


def test_statistics_are_those_of_all_observations_seen_once() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    chunks = [_chunk(learner=learner, state=state, seed=seed) for seed in (1, 2)]
    for chunk in chunks:
        state, _ = _compiled(learner).ingest(state=state, chunk=chunk)
    positions = np.concatenate([_rows(chunk.observation)["position"] for chunk in chunks])
    assert state.collected.observation is not None
    (moments,) = (each for each in state.collected.observation.moments if isinstance(each, RunningMoments))
    np.testing.assert_allclose(moments.mean, positions.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(moments.variance, positions.var(axis=0), rtol=1e-4)


def test_trap_10_truncated_steps_bootstrap_from_their_own_final_observation() -> None:
    learner = _learner(space="mixed")
    state = _phase(learner=learner, state=learner.initial_state(key=jax.random.key(0)), seed=5)
    chunk = _chunk(learner=learner, state=state, seed=6)
    _, rows = _compiled(learner).ingest(state=state, chunk=chunk)
    critic = learner.critic.bind(parameters=state.networks.parameters.critic)
    value = state.statistics.actual_value(
        output=critic(state.statistics.normalised_observation(observation=chunk.observation))
    )
    # The last step of an episode has the target r + γ V(next row), or r alone if it terminated, whatever λ is.
    # Row 3 ends an episode, row 4 is its final observation.
    targets = np.asarray(rows.value_target).reshape(STEPS, ENVIRONMENTS)
    np.testing.assert_allclose(targets[3, 0], chunk.reward[3, 0], rtol=1e-5)
    np.testing.assert_allclose(targets[3, 1:], chunk.reward[3, 1:] + 0.99 * value[4, 1:], rtol=1e-4, atol=1e-5)
    # Negative control: the next episode's first observation, two rows on, has another value.
    assert float(jnp.min(jnp.abs(value[4, 1:] - value[5, 1:]))) > 1e-3
    np.testing.assert_array_equal(rows.valid.reshape(STEPS, ENVIRONMENTS), ~chunk.is_last[:-1])


def test_rows_without_an_action_change_nothing() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    state, rows = _compiled(learner).ingest(state=state, chunk=_chunk(learner=learner, state=state, seed=1))

    def spoilt(leaf: jax.Array) -> jax.Array:
        valid = rows.valid.reshape(-1, *(1,) * (leaf.ndim - 1))
        return jnp.where(valid, leaf, jnp.ones_like(leaf))

    garbage = replace(jax.tree.map(spoilt, rows), valid=rows.valid, log_probability=spoilt(rows.log_probability) - 300)
    garbage = replace(garbage, log_probability=jnp.where(rows.valid, rows.log_probability, -300.0))
    key = jax.random.key(3)
    clean_state, clean = _compiled(learner).update(state=state, batch=rows, key=key)
    spoilt_state, output = _compiled(learner).update(state=state, batch=garbage, key=key)
    _assert_trees_close(clean_state, spoilt_state, atol=1e-6)
    _assert_trees_close(
        clean.metrics | {"entropy": jnp.zeros(())}, output.metrics | {"entropy": jnp.zeros(())}, atol=1e-6
    )


def test_a_minibatch_without_a_valid_row_moves_nothing() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    state, rows = _compiled(learner).ingest(state=state, chunk=_chunk(learner=learner, state=state, seed=1))
    new_state, output = _compiled(learner).update(
        state=state, batch=replace(rows, valid=jnp.zeros_like(rows.valid)), key=jax.random.key(0)
    )
    _assert_trees_close(new_state.networks.parameters, state.networks.parameters)
    assert all(float(value) == 0.0 for value in jax.tree.leaves(output.metrics))


def test_an_update_beyond_the_kl_limit_is_not_made() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    state, rows = _compiled(learner).ingest(state=state, chunk=_chunk(learner=learner, state=state, seed=1))
    near_state, near = _compiled(learner).update(state=state, batch=rows, key=jax.random.key(0))
    assert near.stop is not None
    assert not bool(near.stop)
    assert _largest_difference(near_state.networks.parameters, state.networks.parameters) > 0.0
    # Every ratio e^0.3: the estimate is e^0.3 − 1 − 0.3 = 0.0499, above 0.01.
    far = replace(rows, log_probability=rows.log_probability - 0.3)
    far_state, output = _compiled(learner).update(state=state, batch=far, key=jax.random.key(0))
    np.testing.assert_allclose(output.metrics["approximate_kl"], 0.04986, rtol=1e-3)
    assert output.stop is not None
    assert bool(output.stop)
    _assert_trees_close(far_state.networks, state.networks)


def test_returns_are_normalised_by_the_statistics_that_the_values_are_read_with() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    chunk = _chunk(learner=learner, state=state, seed=1)
    chunk = replace(chunk, reward=(1000.0 * chunk.reward).astype(np.float32))
    state, rows = _compiled(learner).ingest(state=state, chunk=chunk)
    targets = np.asarray(rows.value_target)[np.asarray(rows.valid)]
    assert targets.std() > 100.0
    state, output = _compiled(learner).update(state=state, batch=rows, key=jax.random.key(0))
    # Standardised targets against outputs near 0: half a variance of 1, and not of 1000² and more.
    assert 0.1 < float(output.metrics["value_loss"]) < 3.0
    learned = state.collected.normalised_return(value=rows.value_target)
    np.testing.assert_allclose(np.asarray(learned)[np.asarray(rows.valid)].std(), 1.0, rtol=1e-3)
    np.testing.assert_allclose(state.statistics.actual_value(output=learned), rows.value_target, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", ["advantage", "log_probability", "value_target", "value", "valid"])
def test_trap_04_columns_in_a_minibatch_are_refused(name: str) -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    state, rows = _compiled(learner).ingest(state=state, chunk=_chunk(learner=learner, state=state, seed=1))
    object.__setattr__(rows, name, getattr(rows, name)[:, None])
    with pytest.raises(ValueError, match="has the shape"):
        learner.update(state=state, batch=rows, key=jax.random.key(0))


def test_trap_04_a_column_of_importances_in_a_minibatch_is_refused() -> None:
    learner = _learner(off_policy_correction="vtrace")
    state = learner.initial_state(key=jax.random.key(0))
    state, rows = _compiled(learner).ingest(state=state, chunk=_chunk(learner=learner, state=state, seed=1))
    assert rows.importance is not None
    object.__setattr__(rows, "importance", rows.importance[:, None])
    with pytest.raises(ValueError, match="importance has the shape"):
        learner.update(state=state, batch=rows, key=jax.random.key(0))


def test_trap_04_a_column_of_log_probabilities_in_a_chunk_is_refused() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    chunk = _chunk(learner=learner, state=state, seed=1)
    chunk = replace(chunk, extras={"log_probability": chunk.extras["log_probability"][..., None]})
    with pytest.raises(ValueError, match="log_probability has the shape"):
        learner.ingest(state=state, chunk=chunk)


def test_updates_are_traced_once_and_the_donated_state_holds_no_buffer_twice() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    traces = []

    def learn(state: ActorCriticState, chunk: Trajectory, key: jax.Array) -> ActorCriticState:
        traces.append("learn")
        state, rows = learner.ingest(state=state, chunk=chunk)

        def step(state: ActorCriticState, inputs: tuple[jax.Array, jax.Array]) -> tuple[ActorCriticState, Tree]:
            traces.append("update")
            order, update_key = inputs
            minibatch = jax.tree.map(lambda leaf: leaf[order], rows)
            return learner.update(state=state, batch=minibatch, key=update_key)

        orders = jax.random.permutation(key, STEPS * ENVIRONMENTS).reshape(-1, 9)
        state, _ = jax.lax.scan(step, state, (orders, jax.random.split(key, len(orders))))
        return state

    compiled = jax.jit(learn, donate_argnums=0, compiler_options=QUICK)
    update = jax.jit(learner.update, donate_argnames="state", compiler_options=QUICK)
    for number in range(3):
        chunk = _chunk(learner=learner, state=state, seed=number)
        state = compiled(state, chunk, jax.random.key(number))
        _, rows = _compiled(learner).ingest(state=state, chunk=chunk)
        state, _ = update(state=state, batch=rows, key=jax.random.key(number))
    assert traces == ["learn", "update"]
    assert int(state.updates) == 3 * (4 + 1)


def test_seeds_side_by_side_equal_single_runs_and_a_seed_gives_the_same_bits() -> None:
    learner = _learner()
    start = learner.initial_state(key=jax.random.key(0))
    chunk = jax.tree.map(jnp.asarray, _chunk(learner=learner, state=start, seed=1))

    def run(key: jax.Array) -> ActorCriticState:
        state, rows = learner.ingest(state=learner.initial_state(key=key), chunk=chunk)
        state, _ = learner.update(state=state, batch=rows, key=key)
        return state

    keys = jax.random.split(jax.random.key(7), 3)
    single = jax.jit(run, compiler_options=QUICK)
    together = jax.jit(jax.vmap(run), compiler_options=QUICK)(keys)
    for member in range(3):
        _assert_trees_close(jax.tree.map(lambda leaf, at=member: leaf[at], together), single(keys[member]), atol=1e-4)
    _assert_trees_close(single(keys[0]), single(keys[0]))
    assert _largest_difference(single(keys[0]).networks.parameters, single(keys[1]).networks.parameters) > 0.01


def test_config_is_registered_says_its_plan_and_refuses_nonsense() -> None:
    config = PPOConfig()
    assert isinstance(config, LearnerConfig)
    assert config.stop_at_kl is None
    assert registered("triax.learners.ppo.config:PPOConfig") is PPOConfig
    assert _learner(steps=32, epochs=4, minibatch_size=16).data_plan == OnPolicyPlan(
        steps=32, epochs=4, minibatch_size=16
    )
    assert _learner(off_policy_correction="vtrace").data_plan.corrects_lag
    wrong: tuple[tuple[str, Any], ...] = (
        ("discount", 1.5),
        ("gae_lambda", -0.1),
        ("clip_range", 0.0),
        ("stop_at_kl", 0.0),
        ("trace_limit", 0.0),
        ("importance_limit", 0.9),
        ("importance_limit", float("inf")),
    )
    for name, value in wrong:
        with pytest.raises(ValueError, match=f"PPOConfig.{name}"):
            dataclasses.replace(config, **{name: value})

"""SAC under ``jit``, ``scan``, ``vmap`` and donation; seeds; and whether it learns."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from triax.learners.optimizer import OptimizerConfig
from triax.learners.sac import SAC, SACConfig, SACState
from triax.networks import EnumeratedChoices, MLPConfig, NetworkConfig
from triax.random import derive_key
from triax.spaces import space_spec
from triax.types import ActionMode, RowOrigin, Transitions

KEY = derive_key(seed=0, name=("test of SAC's transformations",))
SMALL = NetworkConfig(torso=MLPConfig(hidden=(16,)))
OBSERVATION = space_spec(space=spaces.Box(-1.0, 1.0, (1,)), role="observation")
ACTION = space_spec(space=spaces.Box(-2.0, 2.0, (1,)), role="action")


@functools.cache
def sac_of(**changes: Any) -> SAC:
    built = SACConfig(**{"actor": SMALL, "critic": SMALL, **changes}).build(
        observation_spec=OBSERVATION, action_spec=ACTION
    )
    assert isinstance(built, SAC)
    return built


def rows(*, observation: Any, action: Any, reward: Any, discount: Any) -> Transitions:
    count = reward.shape
    nothing = jnp.zeros(count, jnp.int32)
    return Transitions(
        observation=observation,
        action=action,
        reward=reward,
        discount=discount,
        next_observation=observation,
        weight=jnp.ones(count),
        extras={},
        origin=RowOrigin(source=nothing, task=nothing, slot=nothing, generation=nothing, policy_version=nothing),
    )


def batches(*axes: int, number: int = 0) -> Transitions:
    generator = np.random.default_rng(number)
    nothing = np.zeros(axes, np.int32)
    return Transitions(
        observation=generator.normal(size=(*axes, 1)).astype(np.float32),
        action=generator.uniform(-1.0, 1.0, size=(*axes, 1)).astype(np.float32),
        reward=generator.normal(size=axes).astype(np.float32),
        discount=np.full(axes, 0.9, np.float32),
        next_observation=generator.normal(size=(*axes, 1)).astype(np.float32),
        weight=np.ones(axes, np.float32),
        extras={},
        origin=RowOrigin(source=nothing, task=nothing, slot=nothing, generation=nothing, policy_version=nothing),
    )


def updates_of(sac: SAC, traces: list[int]) -> Any:
    """Several updates in one compiled call, as the training loop makes them, counting the traces of the update."""

    def several(state: SACState, stacked: Transitions, keys: jax.Array) -> Any:
        def step(current: SACState, inputs: Any) -> Any:
            traces.append(1)
            batch, key = inputs
            assert batch.reward.ndim == 1
            return sac.update(state=current, batch=batch, key=key)

        return jax.lax.scan(step, state, (stacked, keys))

    return several


@functools.cache
def make_initial(sac: SAC) -> Any:
    return jax.jit(lambda key: sac.initial_state(key=key))


@functools.cache
def compiled_updates(sac: SAC) -> Any:
    return jax.jit(updates_of(sac, []))


def equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))


def test_everything_is_compiled_once_and_the_state_is_donated() -> None:
    sac = sac_of(normalise_observations=True)
    traces: list[int] = []
    compiled = jax.jit(updates_of(sac, traces), donate_argnums=0)
    state = make_initial(sac)(KEY)
    structure = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), state)
    outputs = []
    for number in range(4):
        before = jax.tree.leaves(state)
        state, output = compiled(state, batches(3, 8, number=number), jax.random.split(KEY, 3))
        assert all(leaf.is_deleted() for leaf in before)
        assert output.metrics.critic_loss.shape == (3,)
        assert output.feedback is None
        assert output.stop is None
        outputs.append(output.metrics)
    assert len(traces) == 1
    assert state.updates == 12
    # The state that comes out is like the one that went in: nothing is cast on the way.
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), state) == structure
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(outputs))


def test_no_buffer_stands_twice_in_the_state() -> None:
    # One buffer cannot be donated twice; also where the state is made without being compiled.
    state = sac_of(critics=1, actor=NetworkConfig(torso=MLPConfig(hidden=())), critic=SMALL).initial_state(key=KEY)
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state)]
    assert len(set(pointers)) == len(pointers)


def test_a_scan_equals_single_updates() -> None:
    sac = sac_of()
    state = make_initial(sac)(KEY)
    stacked, keys = batches(3, 8), jax.random.split(KEY, 3)
    scanned, _ = compiled_updates(sac)(state, stacked, keys)
    single = jax.jit(lambda s, b, k: sac.update(state=s, batch=b, key=k)[0])
    for index in range(3):
        state = single(state, jax.tree.map(lambda leaf, index=index: leaf[index], stacked), keys[index])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), scanned, state)


def test_four_seeds_at_once_equal_four_runs() -> None:
    sac = sac_of()
    run = updates_of(sac, [])
    make = make_initial(sac)
    keys = jax.random.split(KEY, 4)
    stacked = batches(4, 3, 8)
    update_keys = jax.vmap(lambda key: jax.random.split(key, 3))(keys)
    states = jax.jit(jax.vmap(lambda key: sac.initial_state(key=key)))(keys)
    together, outputs = jax.jit(jax.vmap(run))(states, stacked, update_keys)
    assert outputs.metrics.critic_loss.shape == (4, 3)
    alone = compiled_updates(sac)
    for index in range(4):
        one = jax.tree.map(lambda leaf, index=index: leaf[index], stacked)
        state, output = alone(make(keys[index]), one, update_keys[index])
        jax.tree.map(
            lambda a, b, index=index: np.testing.assert_allclose(a[index], b, rtol=1e-3, atol=1e-5),
            (together, outputs),
            (state, output),
        )


def test_trap_20_the_seed_reaches_the_networks_and_the_updates() -> None:
    sac = sac_of()
    make, run = make_initial(sac), compiled_updates(sac)
    other_key = jax.random.fold_in(KEY, 1)
    stacked, keys = batches(3, 8), jax.random.split(KEY, 3)
    assert equal(make(KEY), make(KEY))
    one, _ = run(make(KEY), stacked, keys)
    same, _ = run(make(KEY), stacked, keys)
    assert equal(one, same)
    kernels = [state.actor.parameters["head"]["linear"]["kernel"] for state in (make(KEY), make(other_key))]
    assert np.all(np.asarray(kernels[0]) != np.asarray(kernels[1]))
    other, _ = run(make(KEY), stacked, jax.random.split(other_key, 3))
    assert not equal(one.actor, other.actor)
    assert not equal(one.critics, other.critics)


def test_trap_19_actor_and_critics_are_given_different_noise() -> None:
    # Were the key used twice, the action at the next observation would be the actor's action at the same one.
    sac = sac_of(discount=0.9)
    state = make_initial(sac)(KEY)
    batch = batches(8)
    seen: list[Any] = []
    original = EnumeratedChoices.candidates

    def recorded(self: Any, *, key: jax.Array) -> Any:
        seen.append(key)
        return original(self, key=key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EnumeratedChoices, "candidates", recorded)
        keys = jax.jit(lambda s, b, k: [sac.update(state=s, batch=b, key=k), seen][1])(state, batch, KEY)
    data = [jax.random.key_data(key).tolist() for key in keys]
    assert len(data) == 2
    assert len({*map(tuple, data), tuple(jax.random.key_data(KEY).tolist())}) == 3


def test_numpy_batches_need_not_be_arguments_of_a_compiled_function() -> None:
    # Arrays that a function closes over reach it as NumPy arrays.
    sac = sac_of(normalise_observations=True)
    state = make_initial(sac)(KEY)
    shapes = jax.eval_shape(lambda s: sac.update(state=s, batch=batches(4), key=KEY)[1].metrics, state)
    assert {leaf.shape for leaf in jax.tree.leaves(shapes)} == {()}


# Learning

FAST = OptimizerConfig(learning_rate=3e-3)


def learned(sac: SAC, make_batch: Any, *, updates: int) -> Any:
    def run(key: jax.Array) -> Any:
        def step(state: SACState, number: jax.Array) -> Any:
            batch_key, update_key = jax.random.split(jax.random.fold_in(key, number))
            return sac.update(state=state, batch=make_batch(batch_key), key=update_key)

        return jax.lax.scan(step, sac.initial_state(key=key), jnp.arange(updates))

    return run(KEY)


def mode_actions(sac: SAC, state: SACState, observation: Any) -> Any:
    result = jax.jit(
        lambda parameters, o: sac.policy.act(
            parameters=parameters,
            carry=sac.policy.initial_carry(batch_shape=(len(observation),)),
            observation=o,
            is_first=jnp.ones(len(observation), jnp.bool_),
            key=KEY,
            mode=ActionMode.MODE,
        )
    )(sac.policy_parameters(state=state), observation)
    return np.asarray(result.action)


def test_trap_42_learns_what_the_observation_asks_for_and_untrained_it_would_not_pass() -> None:
    # One step an episode, reward −(a − o)² with o uniform in ±0.8. Actions that do not look at o lose at least the
    # variance of o, 0.8²/3 = 0.213; uniform ones lose 1/3 more, 0.547.
    sac = sac_of(
        actor=NetworkConfig(torso=MLPConfig(hidden=(32,))),
        critic=NetworkConfig(torso=MLPConfig(hidden=(64,))),
        actor_optimizer=FAST,
        critic_optimizer=FAST,
        temperature_optimizer=FAST,
        initial_temperature=0.1,
        target_entropy=-2.0,
    )

    def make_batch(key: jax.Array) -> Transitions:
        observation_key, action_key = jax.random.split(key)
        observation = jax.random.uniform(observation_key, (64, 1), minval=-0.8, maxval=0.8)
        action = jax.random.uniform(action_key, (64, 1), minval=-1.0, maxval=1.0)
        reward = -jnp.square(action - observation)[:, 0]
        return rows(observation=observation, action=action, reward=reward, discount=jnp.zeros(64))

    state = jax.jit(lambda: learned(sac, make_batch, updates=1500)[0])()
    observation = np.linspace(-0.8, 0.8, 33, dtype=np.float32)[:, None]
    untrained = mode_actions(sac, make_initial(sac)(KEY), observation)
    assert np.mean((untrained - observation) ** 2) > 0.1
    loss = np.mean((mode_actions(sac, state, observation) - observation) ** 2)
    assert loss < 0.02
    # The spread follows the target entropy: −2 nats, one component.
    log_temperature = float(state.temperature.parameters.continuous)
    assert np.isfinite(log_temperature)


def test_trap_11_reward_one_for_ever_is_worth_one_over_one_minus_gamma() -> None:
    # Every row was cut off by a time limit, which replay writes as the discount γ; V = 1/(1 − 0.9) = 10. The negative
    # control writes 0, as after a termination, and finds V = 1. The temperature is too low for entropy to matter.
    sac = sac_of(
        critic_optimizer=OptimizerConfig(learning_rate=1e-2),
        initial_temperature=1e-6,
        learn_temperature=False,
        target_rate=0.2,
    )

    def last_values(discount: jax.Array) -> jax.Array:
        def make_batch(key: jax.Array) -> Transitions:
            return rows(
                observation=jnp.ones((16, 1)),
                action=jax.random.uniform(key, (16, 1), minval=-1.0, maxval=1.0),
                reward=jnp.ones(16),
                discount=jnp.full(16, discount),
            )

        _, output = learned(sac, make_batch, updates=1500)
        return jnp.mean(output.metrics.critic_value[-100:])

    values = jax.jit(jax.vmap(last_values))(jnp.asarray([0.9, 0.0]))
    np.testing.assert_allclose(values, [10.0, 1.0], rtol=0.02)

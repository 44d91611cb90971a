"""SAC: losses worked out by hand, which networks are asked for the target, temperature, statistics, spaces."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from triax.learners.interface import LearnerConfig, ReplayPlan, TransitionUnit
from triax.learners.optimizer import OptimizerConfig
from triax.learners.sac import SAC, SACConfig, SACState
from triax.learners.sac.losses import Temperatures, target_entropy
from triax.networks import ActionHeadConfig, ChoiceDistribution, MLPConfig, NetworkConfig, RunningMoments
from triax.networks.noise import PinkNoise
from triax.random import derive_key
from triax.spaces import SpaceSpec, space_spec
from triax.trees import replace
from triax.types import ActionMode, Policy, RowOrigin, Trajectory, Transitions

KEY = derive_key(seed=0, name=("test of SAC",))
LINEAR = NetworkConfig(torso=MLPConfig(hidden=()))
OBSERVATION = space_spec(space=spaces.Box(-np.inf, np.inf, (2,)), role="observation")
ACTION = space_spec(space=spaces.Box(-2.0, 2.0, (1,)), role="action")


def config(**changes: Any) -> SACConfig:
    return SACConfig(**{"actor": LINEAR, "critic": LINEAR, "batch_size": 8, **changes})


@functools.cache
def learner(*, observation: SpaceSpec = OBSERVATION, action: SpaceSpec = ACTION, **changes: Any) -> SAC:
    built = config(**changes).build(observation_spec=observation, action_spec=action)
    assert isinstance(built, SAC)
    return built


@functools.cache
def initial(sac: SAC) -> SACState:
    state: SACState = jax.jit(lambda k: sac.initial_state(key=k))(KEY)
    return state


@functools.cache
def compiled_update(sac: SAC) -> Callable[..., Any]:
    return jax.jit(lambda s, b: sac.update(state=s, batch=b, key=KEY))


def update(sac: SAC, state: SACState, batch: Transitions) -> Any:
    return compiled_update(sac)(state, batch)


def transitions(
    *,
    rows: int = 8,
    number: int = 0,
    observation: SpaceSpec = OBSERVATION,
    action: SpaceSpec = ACTION,
    changes: dict[str, Any] | None = None,
) -> Transitions:
    generator = np.random.default_rng(number)
    origin = np.zeros(rows, np.int32)

    def normal(leaf: Any) -> Any:
        return generator.normal(size=(rows, *leaf.shape)).astype(np.float32)

    fields: dict[str, Any] = {
        "observation": observation.map_leaves(normal),
        "action": jax.tree.map(np.tanh, action.map_leaves(normal)),
        "reward": generator.normal(size=rows).astype(np.float32),
        "discount": np.full(rows, 0.9, np.float32),
        "next_observation": observation.map_leaves(normal),
        "weight": np.ones(rows, np.float32),
        "extras": {},
        "origin": RowOrigin(source=origin, task=origin, slot=origin, generation=origin, policy_version=origin),
    }
    return Transitions(**{**fields, **(changes or {})})


# One update of linear networks, by hand


def linear_state(sac: SAC) -> SACState:
    """Networks that are linear in the observation (o₁, o₂) and the action a, with numbers that can be followed."""
    state = initial(sac)

    def critic(weights: list[float], bias: float) -> Any:
        return {"output": {"kernel": np.array(weights, np.float32)[:, None], "bias": np.array([bias], np.float32)}}

    def like(parameters: Any, given: Any) -> Any:
        return {**parameters, **jax.tree.map(jnp.asarray, given)}

    online = [critic([1.0, 0.0, 2.0], 0.5), critic([0.0, 1.0, -1.0], 0.0)]
    target = [critic([3.0, 0.0, 1.0], 0.0), critic([0.0, 2.0, 1.0], 1.0)]
    pairs = zip(state.critics.parameters, online, strict=True)
    # mean = 0.5 o₁, log σ = −1 whatever the observation (the bounds' curve gives raw 0 the initial value).
    actor = {
        "head": {
            "linear": {
                "kernel": jnp.asarray(np.array([[0.5, 0.0], [0.0, 0.0]], np.float32)),
                "bias": jnp.asarray(np.zeros(2, np.float32)),
            }
        }
    }
    return replace(
        state,
        actor=replace(state.actor, parameters=like(state.actor.parameters, actor)),
        critics=replace(state.critics, parameters=tuple(like(old, new) for old, new in pairs)),
        target_critics=tuple(like(old, new) for old, new in zip(state.target_critics, target, strict=True)),
        temperature=replace(
            state.temperature, parameters=Temperatures(continuous=jnp.log(jnp.float32(0.2)), choices=None)
        ),
    )


def linear_sac(**changes: Any) -> SAC:
    # Critics that move far, so that it matters for the actor whether they have moved already.
    return learner(
        actor_head=ActionHeadConfig(initial_log_std=-1.0),
        critic_optimizer=OptimizerConfig(learning_rate=0.1),
        target_rate=0.25,
        **changes,
    )


class ByHand:
    """The update of :func:`linear_state`, in NumPy."""

    def __init__(self, *, batch: Transitions, key: jax.Array) -> None:
        critic_key, actor_key = jax.random.split(key)
        rows = batch.reward.shape
        o, n = np.asarray(batch.observation, np.float64), np.asarray(batch.next_observation, np.float64)
        a = np.asarray(batch.action, np.float64)[:, 0]
        noise = np.asarray(jax.random.normal(critic_key, (*rows, 1)), np.float64)[:, 0]
        u = 0.5 * n[:, 0] + np.exp(-1.0) * noise
        self.next_action = np.tanh(u)
        log_density = -0.5 * noise**2 + 1.0 - 0.5 * np.log(2.0 * np.pi)
        self.next_log_probability = log_density - np.log(1.0 - self.next_action**2)
        # The target critics: 3 o₁ + a and 2 o₂ + a + 1.
        q = np.minimum(3.0 * n[:, 0] + self.next_action, 2.0 * n[:, 1] + self.next_action + 1.0)
        self.target = batch.reward + batch.discount * (q - 0.2 * self.next_log_probability)
        # The critics: o₁ + 2a + 0.5 and o₂ − a.
        self.first, second = o[:, 0] + 2.0 * a + 0.5, o[:, 1] - a
        errors = np.stack([self.first, second]) - self.target
        self.critic_loss = 0.5 * np.sum(np.mean(batch.weight * errors**2, axis=1))
        actor_noise = np.asarray(jax.random.normal(actor_key, (*rows, 1)), np.float64)[:, 0]
        action = np.tanh(0.5 * o[:, 0] + np.exp(-1.0) * actor_noise)
        log_density = -0.5 * actor_noise**2 + 1.0 - 0.5 * np.log(2.0 * np.pi)
        self.log_probability = log_density - np.log(1.0 - action**2)
        # Adam's first step moves each number by the learning rate, against the sign of its gradient, the mean over the
        # rows of weight · error · input.
        inputs = np.stack([o[:, 0], o[:, 1], a, np.ones_like(a)])
        moved = -0.1 * np.sign((batch.weight * errors) @ inputs.T)
        (w1, b1), (w2, b2) = [
            (np.array(weights) + step[:3], bias + step[3])
            for weights, bias, step in zip(([1, 0, 2], [0, 1, -1]), (0.5, 0.0), moved, strict=True)
        ]
        points = np.stack([o[:, 0], o[:, 1], action])
        self.moved_critics = np.stack([np.append(w1, b1), np.append(w2, b2)])
        self.actor_values = np.minimum(w1 @ points + b1, w2 @ points + b2)


def numbers(critics: Any) -> np.ndarray[Any, Any]:
    """The weights and the bias of each linear critic, a row each."""
    return np.stack([np.append(critic["output"]["kernel"][:, 0], critic["output"]["bias"]) for critic in critics])


def test_an_update_by_hand() -> None:
    sac = linear_sac()
    state = linear_state(sac)
    discount = np.array([0.9, 0.0, 0.81, 0.9, 0.9, 0.0, 0.9, 0.9], np.float32)
    weight = np.array([1.0, 0.5, 2.0, 1.0, 0.0, 1.0, 1.0, 1.0], np.float32)
    batch = transitions(changes={"discount": discount, "weight": weight})
    expected = ByHand(batch=batch, key=KEY)
    new_state, output = update(sac, state, batch)
    metrics = output.metrics
    np.testing.assert_allclose(metrics.target_value, expected.target.mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics.critic_loss, expected.critic_loss, rtol=1e-4)
    np.testing.assert_allclose(metrics.critic_value, expected.first.mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics.entropy, -expected.log_probability.mean(), rtol=1e-4)
    actor_loss = np.mean(0.2 * expected.log_probability - expected.actor_values)
    np.testing.assert_allclose(metrics.actor_loss, actor_loss, rtol=1e-4)
    np.testing.assert_allclose(metrics.temperature, 0.2, rtol=1e-6)
    # The targets move a quarter of the way to the critics as they are after their step.
    before = np.array([[3.0, 0.0, 1.0, 0.0], [0.0, 2.0, 1.0, 1.0]])
    np.testing.assert_allclose(numbers(new_state.critics.parameters), expected.moved_critics, atol=1e-5)
    np.testing.assert_allclose(
        numbers(new_state.target_critics), 0.75 * before + 0.25 * expected.moved_critics, atol=1e-5
    )
    # Adam's first step of log α is the learning rate against the gradient's sign, which is −(log π + H̄).
    excess = -expected.log_probability.mean() + 1.0
    step = float(new_state.temperature.parameters.continuous - state.temperature.parameters.continuous)
    np.testing.assert_allclose(step, -3e-4 * np.sign(excess), rtol=1e-2)
    assert new_state.updates == 1


def test_trap_11_a_terminated_row_has_its_reward_for_a_target_and_a_truncated_one_bootstraps() -> None:
    sac = linear_sac()
    state = linear_state(sac)
    rewards = np.arange(8.0, dtype=np.float32)
    for discount in (0.0, 0.9):
        batch = transitions(changes={"reward": rewards, "discount": np.full(8, discount, np.float32)})
        target = update(sac, state, batch)[1].metrics.target_value
        if discount == 0.0:
            np.testing.assert_allclose(target, 3.5, rtol=1e-6)
        else:
            expected = ByHand(batch=batch, key=KEY).target.mean()
            np.testing.assert_allclose(target, expected, rtol=1e-4)
            assert abs(expected - 3.5) > 0.1


def test_trap_09_the_target_asks_the_current_policy_and_the_target_critics() -> None:
    sac = linear_sac()
    state = linear_state(sac)
    batch = transitions()

    def value(given: SACState) -> float:
        return float(update(sac, given, batch)[1].metrics.target_value)

    reference = value(state)
    np.testing.assert_allclose(reference, ByHand(batch=batch, key=KEY).target.mean(), rtol=1e-4)
    # The critics that learn do not matter for the target; the target critics and the policy do.
    other_critics = jax.tree.map(lambda leaf: leaf + 1.0, state.critics.parameters)
    assert value(replace(state, critics=replace(state.critics, parameters=other_critics))) == reference
    higher = tuple({**critic, "output": {**critic["output"], "bias": critic["output"]["bias"] + 1.0}}
                   for critic in state.target_critics)  # fmt: skip
    np.testing.assert_allclose(value(replace(state, target_critics=higher)), reference + 0.9, rtol=1e-5)
    other_actor = jax.tree.map(lambda leaf: leaf + 0.3, state.actor.parameters)
    changed = value(replace(state, actor=replace(state.actor, parameters=other_actor)))
    assert abs(changed - reference) > 1e-3


def test_rewards_are_scaled_and_the_entropy_is_not() -> None:
    batch = transitions()
    targets = []
    for scale in ({}, {"reward_scale": 10.0}):
        sac = linear_sac(**scale)
        state = linear_state(sac)
        targets.append(float(update(sac, state, batch)[1].metrics.target_value))
    np.testing.assert_allclose(targets[1] - targets[0], 9.0 * batch.reward.mean(), rtol=1e-3)


# Temperature


@pytest.mark.parametrize(("log_std", "direction"), [(-4.0, 1.0), (-0.5, -1.0)])
def test_trap_06_the_temperature_moves_towards_the_target_entropy(log_std: float, direction: float) -> None:
    # The target is −1 nat. A spread of e⁻⁴ has 1.42 − 4 nats and less, where α has to rise; one of e⁻⁰·⁵ has
    # more than −1, where it has to fall.
    sac = linear_sac()
    state = linear_state(sac)
    actor = jax.tree.map(jnp.zeros_like, state.actor.parameters)
    actor["head"]["linear"]["bias"] = jnp.asarray(np.array([0.0, log_std + 1.0], np.float32))
    state = replace(state, actor=replace(state.actor, parameters=actor))
    new_state, output = update(sac, state, transitions())
    assert np.sign(-1.0 - float(output.metrics.entropy)) == direction
    step = float(new_state.temperature.parameters.continuous - state.temperature.parameters.continuous)
    np.testing.assert_allclose(step, direction * 3e-4, rtol=1e-2)


def test_a_fixed_temperature_stays() -> None:
    sac = learner(learn_temperature=False, initial_temperature=0.3)
    state = initial(sac)
    new_state, output = update(sac, state, transitions())
    np.testing.assert_allclose(output.metrics.temperature, 0.3, rtol=1e-6)
    assert new_state.temperature.parameters.continuous == state.temperature.parameters.continuous


def test_the_default_target_entropy_is_minus_the_number_of_components() -> None:
    action = space_spec(space=spaces.Dict(a=spaces.Box(-1, 1, (2, 3)), b=spaces.Box(-1, 1, ())), role="action")
    sac = learner(action=action)
    distribution = sac.actor.bind(parameters=initial(sac).actor.parameters)(np.zeros((2, 2), np.float32))
    assert isinstance(distribution, ChoiceDistribution)
    candidates = distribution.candidates(key=KEY)
    np.testing.assert_allclose(target_entropy(candidates=candidates, config=SACConfig()), [-7.0, -7.0])
    np.testing.assert_allclose(target_entropy(candidates=candidates, config=SACConfig(target_entropy=-1.5)), [-1.5] * 2)


# Observation statistics


def chunk(*, number: int, steps: int = 5, environments: int = 3) -> Trajectory:
    generator = np.random.default_rng(number)
    rows = (steps, environments)
    is_last = np.zeros((steps + 1, environments), np.bool_)
    is_last[2, 0] = True
    return Trajectory(
        observation=generator.normal([5.0, -1.0], [2.0, 0.1], size=(steps + 1, environments, 2)).astype(np.float32),
        action=np.zeros((*rows, 1), np.float32),
        reward=np.zeros(rows, np.float32),
        terminated=np.zeros(rows, np.bool_),
        truncated=np.zeros(rows, np.bool_),
        is_first=np.zeros((steps + 1, environments), np.bool_),
        is_last=is_last,
    )


def test_trap_13_statistics_change_once_for_each_observation() -> None:
    sac = learner(normalise_observations=True)
    assert sac.ingests
    state = initial(sac)
    ingest = jax.jit(lambda s, c: sac.ingest(state=s, chunk=c))
    first, second = chunk(number=1), chunk(number=2)
    # The second chunk begins with the observation that the first ended with.
    second.observation[0] = first.observation[-1]
    for piece in (first, second):
        state, prepared = ingest(state, piece)
        jax.tree.map(np.testing.assert_array_equal, prepared, piece)
    seen = np.concatenate([first.observation[:-1], second.observation[:-1]]).reshape(-1, 2)
    assert state.statistics is not None
    (moments,) = state.statistics.moments
    assert isinstance(moments, RunningMoments)
    assert moments.count == len(seen)
    np.testing.assert_allclose(moments.mean, seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, seen.var(axis=0), rtol=1e-4)
    # An update uses them and does not change them.
    after, _ = update(sac, state, transitions())
    jax.tree.map(np.testing.assert_array_equal, after.statistics, state.statistics)


def test_trap_13_statistics_are_applied_to_both_observations_and_in_acting() -> None:
    with_statistics, without = learner(normalise_observations=True), learner()
    state = initial(with_statistics)
    state, _ = jax.jit(lambda s, c: with_statistics.ingest(state=s, chunk=c))(state, chunk(number=1))
    assert state.statistics is not None
    (moments,) = state.statistics.moments
    assert moments is not None
    mean, std = np.asarray(moments.mean), np.sqrt(np.asarray(moments.variance))
    batch = transitions()
    scaled = replace(
        batch,
        observation=np.clip((batch.observation - mean) / std, -10.0, 10.0),
        next_observation=np.clip((batch.next_observation - mean) / std, -10.0, 10.0),
    )
    _, inside = update(with_statistics, state, batch)
    _, outside = update(without, replace(state, statistics=None), scaled)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), inside, outside)
    _, unscaled = update(without, replace(state, statistics=None), batch)
    assert abs(float(unscaled.metrics.critic_loss - inside.metrics.critic_loss)) > 1e-3
    actions = [
        act(sac, given, observation, mode=ActionMode.MODE).action
        for sac, given, observation in (
            (with_statistics, state, batch.observation),
            (without, replace(state, statistics=None), scaled.observation),
        )
    ]
    np.testing.assert_allclose(actions[0], actions[1], rtol=1e-3, atol=1e-5)


def test_without_normalisation_nothing_is_taken_in() -> None:
    sac = learner()
    assert not sac.ingests
    state = initial(sac)
    assert state.statistics is None
    same, _ = sac.ingest(state=state, chunk=chunk(number=1))
    assert same is state


# Acting


def act(sac: SAC, state: SACState, observation: Any, *, mode: ActionMode, key: jax.Array = KEY) -> Any:
    rows = jax.tree.leaves(observation)[0].shape[0]

    def call(parameters: Any, inputs: Any, k: jax.Array) -> Any:
        return sac.policy.act(
            parameters=parameters,
            carry=sac.policy.initial_carry(batch_shape=(rows,)),
            observation=inputs,
            is_first=jnp.ones(rows, jnp.bool_),
            key=k,
            mode=mode,
        )

    return jax.jit(call)(sac.policy_parameters(state=state), observation, key)


def test_the_policy_samples_and_has_a_mode() -> None:
    sac = linear_sac()
    state = linear_state(sac)
    observation = np.tile(np.array([[0.8, 0.0]], np.float32), (4000, 1))
    mode = act(sac, state, observation, mode=ActionMode.MODE)
    np.testing.assert_allclose(mode.action, np.tanh(0.4), rtol=1e-5)
    assert (mode.carry, mode.extras) == ((), {})
    sample = np.asarray(act(sac, state, observation, mode=ActionMode.SAMPLE).action)
    assert sample.shape == (4000, 1)
    assert sample.dtype == np.float32
    u = np.arctanh(sample.astype(np.float64))
    assert u.mean() == pytest.approx(0.4, abs=0.03)
    assert u.std() == pytest.approx(np.exp(-1.0), rel=0.05)
    again = act(sac, state, observation, mode=ActionMode.SAMPLE).action
    np.testing.assert_array_equal(again, sample)
    assert isinstance(sac.policy, Policy)


def test_pink_noise_is_carried_from_step_to_step() -> None:
    sac = learner(exploration=PinkNoise(octaves=3))
    state = initial(sac)
    observation = np.zeros((5, 2), np.float32)
    result = act(sac, state, observation, mode=ActionMode.SAMPLE)
    (carry,) = result.carry
    assert carry.shape == (5, 3, 1)
    assert np.all(np.asarray(carry) != 0.0)
    (unused,) = act(sac, state, observation, mode=ActionMode.MODE).carry
    np.testing.assert_array_equal(unused, 0.0)


# Spaces and configuration


def test_actions_in_a_tree_of_boxes() -> None:
    observation = space_spec(
        space=spaces.Dict(z=spaces.Box(-1.0, 1.0, (2,)), a=spaces.Tuple([spaces.Box(-5.0, 5.0, ())])),
        role="observation",
    )
    action = space_spec(
        space=spaces.Dict(z=spaces.Box(-1.0, 1.0, (2, 2)), a=spaces.Tuple([spaces.Box(0.0, 5.0, ())])), role="action"
    )
    sac = learner(observation=observation, action=action, normalise_observations=True)
    state = initial(sac)
    batch = transitions(observation=observation, action=action)
    new_state, output = update(sac, state, batch)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(output.metrics))
    jax.tree.map(lambda a, b: None, new_state, state)
    result = act(sac, state, batch.observation, mode=ActionMode.SAMPLE)
    for leaf, value in zip(action.leaves(), jax.tree.leaves(result.action), strict=True):
        assert value.shape == (8, *leaf.shape)
        assert value.dtype == leaf.dtype
    outside = action.unstack_to_outside(jax.device_get(result.action))
    assert 0.0 <= float(outside[0]["a"][0]) <= 5.0


@pytest.mark.parametrize("critics", [1, 5])
def test_any_number_of_critics(critics: int) -> None:
    sac = learner(critics=critics)
    state = initial(sac)
    assert len(state.critics.parameters) == len(state.target_critics) == critics
    kernels = [np.asarray(critic["output"]["kernel"]) for critic in state.critics.parameters]
    for index in range(1, critics):
        assert np.any(kernels[index] != kernels[0])
    new_state, output = update(sac, state, transitions())
    assert np.isfinite(output.metrics.critic_loss)
    for old, new in zip(kernels, new_state.critics.parameters, strict=True):
        assert np.any(np.asarray(new["output"]["kernel"]) != old)


def test_the_data_plan_says_what_the_config_says() -> None:
    sac = learner(discount=0.97, n_step=3, batch_size=64, updates_per_step=0.5, warmup_steps=7)
    assert sac.data_plan == ReplayPlan(
        batch_size=64, unit=TransitionUnit(discount=0.97, steps=3), updates_per_step=0.5, warmup_steps=7
    )
    assert isinstance(config(), LearnerConfig)
    assert sac.extras_spec == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"discount": 1.1},
        {"discount": -0.1},
        {"batch_size": 0},
        {"updates_per_step": 0.0},
        {"warmup_steps": -1},
        {"n_step": 0},
        {"target_rate": 0.0},
        {"target_rate": 1.5},
        {"critics": 0},
        {"initial_temperature": 0.0},
    ],
)
def test_values_without_meaning_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        SACConfig(**changes)

"""Stream AC(λ): its algorithm boxes by hand, known answers, what it must not do."""

import dataclasses
import math
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import triax
from triax.environments.probes import ActionObservationProbe, EndlessRewardProbe
from triax.learners.interface import LearnerConfig, OnPolicyPlan
from triax.learners.optimizer import apply_gradients, by_part, initial_trainable
from triax.learners.registry import registered
from triax.learners.stream_ac import ObGDConfig, StreamAC, StreamACConfig, StreamACState, StreamedStep
from triax.learners.stream_ac.losses import eligibility, td_error
from triax.learners.stream_ac.state import RewardScale, StreamNetworks
from triax.networks import Bernoulli, MLPConfig, NetworkConfig, RunningMoments
from triax.networks.mlp import kernel_initialiser
from triax.spaces import space_spec
from triax.training.building import Parts, build
from triax.trees import Tree, replace
from triax.types import Trajectory

QUICK = {"xla_backend_optimization_level": 0}
SMALL = NetworkConfig(
    torso=MLPConfig(hidden=(16,), activation="leaky_relu", layer_norm=True, layer_norm_parameters=False)
)


def test_steps_of_the_optimiser_by_hand() -> None:
    # κ = 2, z = (0.1, −0.2), 0.1 in the actor: ‖z‖₁ = 0.4. δ = −0.5: M = 2 · max(0.5, 1) · 0.4 = 0.8, below 1, so α = 1
    # stays: the step is −0.5 z. δ = 4: M = 2 · 4 · 0.4 = 3.2, the step is 4 / 3.2 z = 1.25 z.
    # κ = 20 for the critic, whose z = 0.1: δ = −0.5: M = 20 · 1 · 0.1 = 2, the step −0.25 z; δ = 4: M = 8, 0.5 z.
    optimizer = by_part(optimizers={"actor": ObGDConfig(kappa=2.0).build(), "critic": ObGDConfig(kappa=20.0).build()})
    traces = StreamNetworks(actor=(jnp.array([0.1, -0.2]), jnp.array([0.1])), critic=jnp.array([0.1]))
    start = initial_trainable(parameters=jax.tree.map(jnp.zeros_like, traces), optimizer=optimizer)
    for error, actor, critic in ((-0.5, -0.5, -0.25), (4.0, 1.25, 0.5)):
        moved = apply_gradients(
            trainable=start, gradients=traces, optimizer=optimizer, td_error=jnp.asarray(error)
        ).parameters
        np.testing.assert_allclose(moved.actor[0], actor * traces.actor[0], rtol=1e-6)
        np.testing.assert_allclose(moved.actor[1], actor * traces.actor[1], rtol=1e-6)
        np.testing.assert_allclose(moved.critic, critic * traces.critic, rtol=1e-6)


def test_no_step_overshoots_a_linear_value() -> None:
    # V = w·x, λ = 0: after the step, δ has shrunk and kept its sign, however large the inputs are.
    optimizer = ObGDConfig(kappa=2.0).build()
    for scale in (0.1, 1.0, 30.0):
        features = scale * jnp.array([1.0, -0.5])
        start = initial_trainable(parameters=jnp.zeros(2), optimizer=optimizer)
        target = jnp.asarray(0.9)
        moved = apply_gradients(trainable=start, gradients=features, optimizer=optimizer, td_error=target)
        assert 0.0 <= float(target - moved.parameters @ features) < 0.9 or scale > 1.0
    # Negative control: plain gradient steps of the same size go far beyond it.
    assert float(0.9 - 0.9 * features @ features) < -500.0


def test_the_scale_of_rewards_by_hand() -> None:
    # γ = 0.5, rewards 2, 3 and, in the next episode, 4: u = 2, 0.5·2 + 3 = 4, 4.
    # p = 2·(2 − 2) = 0, then + 4·(4 − 2) = 8, then + 4·(4 − 4/3) = 18.6667; σ² = 1, 8 / 1, 18.6667 / 2 = 9.3333.
    scale = RewardScale.initial()
    found = []
    for reward, valid in ((2.0, True), (3.0, True), (0.0, False), (4.0, True)):
        scale = scale.updated(
            reward=jnp.asarray(reward), valid=jnp.asarray(valid), begins=jnp.asarray(False), discount=0.5
        )
        found.append(float(scale.scaled(reward=jnp.asarray(reward))))
    np.testing.assert_allclose(found, [2.0, 3 / math.sqrt(8.0), 0.0, 4 / math.sqrt(28 / 3)], rtol=1e-6)
    assert float(scale.count) == 3.0
    # An episode begins although the one before was not seen to end: u = 1, not 0.5·4 + 1.
    anew = scale.updated(reward=jnp.asarray(1.0), valid=jnp.asarray(True), begins=jnp.asarray(True), discount=0.5)
    assert float(anew.discounted_sum) == 1.0


def test_sparse_weights_have_a_tenth_of_their_inputs_and_never_none() -> None:
    for inputs, kept in ((100, 10), (4, 1), (1, 1)):
        weights = np.asarray(kernel_initialiser(name="sparse")(jax.random.key(0), (inputs, 50), jnp.float32))
        np.testing.assert_array_equal(np.count_nonzero(weights, axis=0), kept)
        assert 0.5 / math.sqrt(inputs) < np.abs(weights).max() <= 1.0 / math.sqrt(inputs)
    assert len({tuple(np.flatnonzero(column)) for column in weights.T}) == 1
    wide = np.asarray(kernel_initialiser(name="sparse")(jax.random.key(0), (100, 50), jnp.float32))
    assert len({tuple(np.flatnonzero(column)) for column in wide.T}) == 50


def _step(*, terminated: bool = False, valid: bool = True) -> StreamedStep:
    return StreamedStep(
        observation=jnp.zeros((1, 1)),
        action=jnp.array([[1]], jnp.int8),
        reward=jnp.array([2.0]),
        discount=jnp.array([0.0 if terminated else 0.5]),
        next_observation=jnp.zeros((1, 1)),
        valid=jnp.array([valid]),
        is_first=jnp.array([False]),
    )


def test_the_error_and_what_enters_the_traces_by_hand() -> None:
    # δ = 2 + 0.5·4 − 3 = 1; terminated 2 − 3 = −1; without an action 0.
    value, next_value = jnp.array([3.0]), jnp.array([4.0])
    for step, expected in ((_step(), 1.0), (_step(terminated=True), -1.0), (_step(valid=False), 0.0)):
        assert float(td_error(value=value, next_value=next_value, step=step)) == expected
    # A bit with p(1) = 0.8 was 1: V + log 0.8 + τ sgn(δ) H, H = 0.5004024, τ = 0.1, δ < 0.
    total, entropy = eligibility(
        distribution=Bernoulli(logits=jnp.log(4.0) * jnp.ones((1, 1)), shape=(1,)),
        value=value,
        error=jnp.asarray(-2.0),
        step=_step(),
        entropy_coefficient=0.1,
        key=jax.random.key(0),
    )
    np.testing.assert_allclose(total, 3.0 - 0.2231436 - 0.05004024, rtol=1e-6)
    np.testing.assert_allclose(entropy, 0.5004024, rtol=1e-5)


def test_trap_06_the_entropy_bonus_raises_the_entropy_whatever_the_error() -> None:
    # The trace's slope in the logit at p = 0.8: that of log π is 1 − p = 0.2; that of H is −logit p (1 − p) = −0.2218.
    for error in (-2.0, 2.0):

        def total(logit: jax.Array, coefficient: float, error: float = error) -> jax.Array:
            return eligibility(
                distribution=Bernoulli(logits=jnp.reshape(logit, (1, 1)), shape=(1,)),
                value=jnp.zeros(1),
                error=jnp.asarray(error),
                step=_step(),
                entropy_coefficient=coefficient,
                key=jax.random.key(0),
            )[0]

        with_bonus, without = (float(jax.grad(total)(jnp.log(4.0), value)) for value in (1.0, 0.0))
        # The update is δ times the trace: the bonus lowers the logit, towards p = 0.5.
        np.testing.assert_allclose(error * (with_bonus - without), -2.0 * 0.2218071, rtol=1e-4)


def _learner(**changes: Any) -> StreamAC:
    config = StreamACConfig(**({"actor": SMALL, "critic": SMALL} | changes))
    return config.build(
        observation_spec=space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32), role="observation"),
        action_spec=space_spec(space=gymnasium.spaces.Discrete(2), role="action"),
    )


def _chunk(*, seed: int, is_first: bool = False, is_last: bool = False, environments: int = 1) -> Trajectory:
    generator = np.random.default_rng(seed)
    shape = (1, environments)
    return Trajectory(
        observation=(5.0 + generator.normal(size=(2, environments, 2))).astype(np.float32),
        action=np.ones(shape, np.int32),
        reward=generator.normal(size=shape).astype(np.float32),
        terminated=np.zeros(shape, np.bool_),
        truncated=np.zeros(shape, np.bool_),
        is_first=np.concatenate([np.full(shape, is_first), np.zeros(shape, np.bool_)]),
        is_last=np.concatenate([np.full(shape, is_last), np.zeros(shape, np.bool_)]),
    )


def test_traces_fade_add_and_end_with_the_episode_in_one_trace_of_the_function() -> None:
    learner = _learner(discount=0.9, trace_lambda=0.5, entropy_coefficient=0.0)
    traces: list[str] = []

    def learn(state: StreamACState, chunk: Trajectory) -> tuple[StreamACState, Tree]:
        traces.append("learn")
        state, step = learner.ingest(state=state, chunk=chunk)
        state, output = learner.update(state=state, batch=step, key=jax.random.key(0))
        return state, output.metrics

    compiled = jax.jit(learn, compiler_options=QUICK)
    start = learner.initial_state(key=jax.random.key(0))
    one, _ = compiled(start, _chunk(seed=1))
    two, _ = compiled(one, _chunk(seed=2))
    alone, _ = compiled(replace(one, traces=start.traces), _chunk(seed=2))
    # z₂ = γ λ z₁ + g₂, and g₂ is the trace of a step that follows none.
    jax.tree.map(
        lambda found, before, own: np.testing.assert_allclose(found, 0.45 * before + own, rtol=1e-4, atol=1e-6),
        two.traces, one.traces, alone.traces,
    )  # fmt: skip
    assert max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(one.traces)) > 0.1
    # A stream that breaks, as when a worker begins anew, has no such row: its first step follows none.
    broken, _ = compiled(one, _chunk(seed=2, is_first=True))
    jax.tree.map(
        lambda found, own: np.testing.assert_allclose(found, own, rtol=1e-4, atol=1e-6), broken.traces, alone.traces
    )
    # In the row of a final observation nothing is learned, and the next episode begins with empty traces.
    ended, metrics = compiled(two, _chunk(seed=3, is_last=True))
    jax.tree.map(np.testing.assert_array_equal, ended.networks.parameters, two.networks.parameters)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(ended.traces))
    assert float(metrics["td_error"]) == 0.0
    assert ended.reward_scale is not None
    assert float(ended.reward_scale.count) == 2.0
    # Observations are scaled by all that were seen, and are the same for acting and learning.
    seen = np.concatenate([_chunk(seed=seed).observation[1] for seed in (1, 2, 3)])
    statistics = learner.policy_parameters(state=ended).statistics
    assert statistics is not None
    (moments,) = statistics.moments
    assert isinstance(moments, RunningMoments)
    np.testing.assert_allclose(moments.mean, seen.mean(axis=0), rtol=1e-5)
    assert traces == ["learn"]
    again, _ = compiled(start, _chunk(seed=1))
    jax.tree.map(np.testing.assert_array_equal, again, one)


def test_several_environments_are_refused() -> None:
    learner = _learner()
    state = learner.initial_state(key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"1 steps of 3 environments; set rollout.environments_per_worker=1"):
        learner.ingest(state=state, chunk=_chunk(seed=1, environments=3))


def _run(config: StreamACConfig, *, steps: int, environment: triax.EnvironmentConfig, seed: int = 0) -> Parts:
    parts = build(
        experiment=triax.Experiment(
            name="stream", learner=config, environment=environment, total_steps=steps, seed=seed
        )
    )
    try:
        while parts.loop.steps < steps:
            parts.loop.advance(limit=steps)
    finally:
        parts.close()
    return parts


def test_trap_11_reward_one_for_ever_is_worth_its_closed_form_on_a_stream() -> None:
    # Reward 1 for ever, cut off after 2 steps, γ = 0.8: V = 1 / (1 − 0.8) = 5. Taken for a termination, a limit of two
    # steps gives at most 1 + 0.8 = 1.8.
    config = StreamACConfig(discount=0.8, scale_rewards=False, actor=SMALL, critic=SMALL)
    environment = triax.EnvironmentConfig(factory=EndlessRewardProbe, arguments={"steps": 2})
    parts = _run(config, steps=300, environment=environment)
    assert isinstance(parts.learner, StreamAC)
    state = parts.loop.learner_state
    observation = state.statistics.normalise(observation=jnp.zeros((1, 1)))
    critic = parts.learner.critic.bind(parameters=state.networks.parameters.critic)
    assert float(critic(observation)[0]) == pytest.approx(5.0, abs=0.3)


@pytest.mark.slow
def test_trap_42_learns_what_the_observation_asks_for_and_untrained_it_would_not_pass() -> None:
    parts = _run(
        StreamACConfig(actor=SMALL, critic=SMALL),
        steps=1200,
        environment=triax.EnvironmentConfig(factory=ActionObservationProbe),
    )
    learner = parts.learner
    assert isinstance(learner, StreamAC)

    def of_right_choices(state: Any) -> np.ndarray:
        distribution = learner.policy.distribution(
            parameters=learner.policy_parameters(state=state), observation=jnp.array([[0.0], [1.0]])
        )
        return np.exp(distribution.log_prob(action=jnp.array([0, 1])))

    # Half of random choices are right.
    np.testing.assert_allclose(of_right_choices(learner.initial_state(key=jax.random.key(0))), 0.5, atol=0.1)
    assert np.min(of_right_choices(parts.loop.learner_state)) > 0.8


def test_config_is_registered_says_its_plan_and_refuses_nonsense() -> None:
    config = StreamACConfig()
    assert isinstance(config, LearnerConfig)
    assert registered("triax.learners.stream_ac.config:StreamACConfig") is StreamACConfig
    assert _learner().data_plan == OnPolicyPlan(steps=1)
    wrong: tuple[tuple[str, Any], ...] = (("discount", 1.1), ("trace_lambda", -0.1), ("entropy_coefficient", -1.0))
    for name, value in wrong:
        with pytest.raises(ValueError, match=f"StreamACConfig.{name}"):
            dataclasses.replace(config, **{name: value})
    with pytest.raises(ValueError, match=r"ObGDConfig.kappa=0"):
        ObGDConfig(kappa=0.0)

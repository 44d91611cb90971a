"""A2C and REINFORCE: the family's parts by hand, known answers, time limits, streams; PPO is one of them to the bit."""

import dataclasses
import functools
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import triax
from triax.environments.probes import ActionObservationProbe, ConstantRewardProbe, EndlessRewardProbe
from triax.learners.a2c import A2C, A2CConfig
from triax.learners.actor_critic import (
    ActorCritic,
    ActorCriticConfig,
    ActorCriticState,
    ApproximateKL,
    ClippedSurrogate,
    Generalised,
    ImportanceWeightedSurrogate,
    MonteCarlo,
    NStep,
    PlainSurrogate,
    PreparedRows,
    ReverseKL,
    VTrace,
)
from triax.learners.actor_critic.losses import ClipFraction, loss_inputs
from triax.learners.actor_critic.state import ActorCriticNetworks, ActorCriticStatistics
from triax.learners.interface import LearnerConfig, OnPolicyPlan
from triax.learners.optimizer import OptimizerConfig, apply_gradients, initial_trainable
from triax.learners.ppo import PPOConfig
from triax.learners.registry import registered
from triax.learners.reinforce import Reinforce, ReinforceConfig
from triax.learners.terms import LinearSchedule, weighted_sum
from triax.networks import Bernoulli, MLPConfig, NetworkConfig
from triax.spaces import space_spec
from triax.training.building import Parts, build
from triax.trees import Tree, replace
from triax.types import Trajectory

QUICK = {"xla_backend_optimization_level": 0}
SMALL = NetworkConfig(torso=MLPConfig(hidden=(16,), activation="tanh"))
FAST = OptimizerConfig(learning_rate=0.03)

BITS = PreparedRows(
    observation=jnp.zeros((2, 1)),
    action=jnp.array([[1], [0]], jnp.int8),
    log_probability=jnp.log(jnp.array([0.5, 0.5])),
    advantage=jnp.array([1.0, 3.0]),
    value_target=jnp.array([2.0, 1.0]),
    value=jnp.zeros(2),
    valid=jnp.array([True, True]),
)
"""A bit with p(1) = 0.8 chose 1 and 0 when both had probability 0.5: ratios 1.6 and 0.4, and Â = 1, 3."""


def _terms(config: ActorCriticConfig) -> tuple[jax.Array, dict[str, jax.Array]]:
    inputs = loss_inputs(
        rows=BITS,
        parameters=ActorCriticNetworks(actor={}, critic={}),
        distribution=Bernoulli(logits=jnp.log(4.0) * jnp.ones((2, 1)), shape=(1,)),
        value_output=jnp.array([1.0, 3.0]),
        statistics=ActorCriticStatistics(observation=None, returns=None),
        normalise_advantages=False,
        key=jax.random.key(0),
    )
    return weighted_sum(terms=config.terms, inputs=inputs, updates=jnp.zeros((), jnp.int32))


@pytest.mark.parametrize(
    ("surrogate", "expected"),
    [
        # −(1 · log 0.8 + 3 · log 0.2) / 2
        (PlainSurrogate(), 2.5257287),
        # −(1.6 · 1 + 0.4 · 3) / 2
        (ImportanceWeightedSurrogate(), -1.4),
        # −(min(1.6, 1.2) · 1 + min(0.4, 0.8) · 3) / 2
        (ClippedSurrogate(clip_range=0.2), -1.2),
    ],
    ids=["plain", "importance-weighted", "clipped"],
)
def test_every_surrogate_by_hand(surrogate: Any, expected: float) -> None:
    # Values 1, 3 and targets 2, 1: ½ · (1 + 4) / 2 = 1.25, with the weight 0.5; entropy 0.5004024 with the weight 0.01.
    total, reported = _terms(A2CConfig(surrogate=surrogate))
    np.testing.assert_allclose(reported["policy_loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(total, expected + 0.625 - 0.005004024, rtol=1e-5)


def test_reverse_and_forward_kl_are_penalties_by_hand() -> None:
    # Reverse: 1.6 log 1.6 − 0.6 = 0.1520058, 0.4 log 0.4 + 0.6 = 0.2334837: mean 0.1927447, with the weight 2.
    # Forward: 0.6 − log 1.6 = 0.1299964, −0.6 − log 0.4 = 0.3162907: mean 0.2231436.
    config = A2CConfig(
        surrogate=ImportanceWeightedSurrogate(),
        further_terms=(ReverseKL(weight=2.0),),
        value_coefficient=0.0,
        entropy_coefficient=0.0,
    )
    total, reported = _terms(config)
    np.testing.assert_allclose(total, -1.4 + 2.0 * 0.1927447, rtol=1e-5)
    np.testing.assert_allclose(reported["approximate_kl"], 0.2231436, rtol=1e-5)
    assert ApproximateKL(weight=0.0) in config.terms
    total, reported = _terms(dataclasses.replace(config, further_terms=(ApproximateKL(weight=2.0),)))
    np.testing.assert_allclose(total, -1.4 + 2.0 * 0.2231436, rtol=1e-5)
    np.testing.assert_allclose(reported["approximate_kl"], 0.2231436, rtol=1e-5)


def _chunk() -> Trajectory:
    """Three environments of six rows; in the first an episode is cut off after row 1, in the second it terminates."""
    generator = np.random.default_rng(0)
    is_last = np.zeros((7, 3), np.bool_)
    is_last[2, :2] = True
    return Trajectory(
        observation=generator.normal(size=(7, 3, 2)).astype(np.float32),
        action=generator.integers(2, size=(6, 3)).astype(np.int32),
        reward=np.where(is_last[:-1], 0.0, generator.normal(size=(6, 3))).astype(np.float32),
        terminated=is_last[1:] & (np.arange(3) == 1),
        truncated=is_last[1:] & (np.arange(3) == 0),
        is_first=np.roll(is_last, 1, axis=0),
        is_last=is_last,
        extras={"log_probability": np.full((6, 3), np.log(0.5), np.float32)},
    )


def _built(config: Any) -> ActorCritic:
    learner: ActorCritic = config.build(
        observation_spec=space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32), role="observation"),
        action_spec=space_spec(space=gymnasium.spaces.Discrete(2), role="action"),
    )
    return learner


def _updated(learner: ActorCritic) -> tuple[ActorCriticState, Tree]:
    @functools.partial(jax.jit, compiler_options=QUICK)
    def run(key: jax.Array) -> tuple[ActorCriticState, Tree]:
        state, rows = learner.ingest(state=learner.initial_state(key=key), chunk=_chunk())
        state, output = learner.update(state=state, batch=rows, key=key)
        return state, output.metrics

    result: tuple[ActorCriticState, Tree] = run(jax.random.key(0))
    return result


def _assert_same_bits(first: Tree, second: Tree) -> None:
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_a2c_with_the_parts_of_ppo_is_ppo_to_the_bit() -> None:
    common: dict[str, Any] = {"actor": SMALL, "critic": SMALL, "normalise_advantages": True, "stop_at_kl": 0.5}
    ppo = PPOConfig(entropy_coefficient=0.02, clip_range=0.1, gae_lambda=0.8, **common)
    a2c = A2CConfig(
        entropy_coefficient=0.02,
        surrogate=ClippedSurrogate(clip_range=0.1),
        advantages=Generalised(gae_lambda=0.8),
        further_terms=(ClipFraction(clip_range=0.1),),
        normalise_returns=True,
        optimizer=ppo.optimizer,
        **common,
    )
    learned = _updated(_built(ppo))
    _assert_same_bits(learned, _updated(_built(a2c)))
    # Something was learned.
    start = _built(ppo).initial_state(key=jax.random.key(0)).networks.parameters.actor
    moved = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), start, learned[0].networks.parameters.actor)
    assert min(jax.tree.leaves(moved)) > 1e-5


def test_trap_10_every_estimator_has_a_truncated_step_bootstrap_from_its_own_final_observation() -> None:
    # Row 1 ends an episode, row 2 is its final observation: target r + γ V(row 2) if cut off, r if it terminated.
    chunk = _chunk()
    for advantages in (MonteCarlo(), MonteCarlo(baseline=False), NStep(), NStep(n=2), Generalised(), VTrace()):
        learner = _built(A2CConfig(advantages=advantages, normalise_returns=False, actor=SMALL, critic=SMALL))
        state = learner.initial_state(key=jax.random.key(0))
        _, rows = learner.ingest(state=state, chunk=chunk)
        value = np.asarray(learner.critic.bind(parameters=state.networks.parameters.critic)(chunk.observation))
        target = np.asarray(rows.value_target).reshape(6, 3)[1]
        np.testing.assert_allclose(target[0], chunk.reward[1, 0] + 0.99 * value[2, 0], rtol=1e-4, atol=1e-5)
        if not isinstance(advantages, VTrace):  # truncated at 1, its ratio weighs the whole difference
            np.testing.assert_allclose(target[1], chunk.reward[1, 1], rtol=1e-4, atol=1e-5)
        # Negative control: the next episode's first observation has another value.
        assert abs(value[2, 0] - value[3, 0]) > 1e-3
        baseline = 0.0 if advantages == MonteCarlo(baseline=False) else value[1, 0]
        if not isinstance(advantages, VTrace):
            np.testing.assert_allclose(
                np.asarray(rows.advantage).reshape(6, 3)[1, 0], target[0] - baseline, rtol=1e-4, atol=1e-5
            )


def test_the_critic_can_have_an_optimiser_of_its_own() -> None:
    # Adam's first step has the size of the learning rate, whatever the gradient.
    config = A2CConfig(
        optimizer=OptimizerConfig(learning_rate=1e-3), critic_optimizer=OptimizerConfig(learning_rate=0.1)
    )
    networks = ActorCriticNetworks(actor={"a": jnp.zeros(2)}, critic={"b": jnp.zeros(2)})
    optimizer = config.build_optimizer()
    gradients = jax.tree.map(lambda leaf: leaf + 3.0, networks)
    trainable = initial_trainable(parameters=networks, optimizer=optimizer)
    moved = apply_gradients(trainable=trainable, gradients=gradients, optimizer=optimizer).parameters
    np.testing.assert_allclose(moved.actor["a"], -1e-3, rtol=1e-4)
    np.testing.assert_allclose(moved.critic["b"], -0.1, rtol=1e-4)


def _run(config: LearnerConfig, *, steps: int, environments: int = 4, **changes: Any) -> Parts:
    experiment = triax.Experiment(
        name="probe",
        learner=config,
        rollout=triax.RolloutConfig(environments_per_worker=environments),
        total_steps=steps,
        **changes,
    )
    parts = build(experiment=experiment)
    try:
        while parts.loop.steps < steps:
            parts.loop.advance(limit=steps)
    finally:
        parts.close()
    return parts


@pytest.mark.parametrize(
    "config",
    [
        A2CConfig(steps=1),
        pytest.param(ReinforceConfig(steps=5, baseline=False), marks=pytest.mark.slow),
        pytest.param(A2CConfig(steps=5), marks=pytest.mark.slow),
        pytest.param(ReinforceConfig(steps=5), marks=pytest.mark.slow),
    ],
    ids=["A2C on a stream", "REINFORCE without baseline", "A2C", "REINFORCE"],
)
def test_trap_11_reward_one_for_ever_is_worth_its_closed_form_in_chunks_and_on_a_stream(config: Any) -> None:
    # Reward 1 for ever, cut off after 2 steps, γ = 0.8: V = 1 / (1 − 0.8) = 5. Taken for a termination, a limit of two
    # steps gives at most 1 + 0.8 = 1.8.
    learner = dataclasses.replace(
        config, discount=0.8, normalise_returns=False, actor=SMALL, critic=SMALL, critic_optimizer=FAST
    )
    environment = triax.EnvironmentConfig(factory=EndlessRewardProbe, arguments={"steps": 2})
    parts = _run(learner, steps=200 * config.steps + 200, environment=environment)
    assert isinstance(parts.learner, ActorCritic)
    critic = parts.learner.critic.bind(parameters=parts.loop.learner_state.networks.parameters.critic)
    assert float(critic(jnp.zeros((1, 1)))[0]) == pytest.approx(5.0, abs=0.4)


def test_a_row_without_an_action_moves_nothing() -> None:
    # Episodes of one step: every second row of the stream is a final observation, and no update is made for it.
    parts = _run(
        A2CConfig(steps=1, actor=SMALL, critic=SMALL),
        steps=6,
        environments=1,
        environment=triax.EnvironmentConfig(factory=ConstantRewardProbe),
    )
    assert parts.loop.counters.updates == 6
    learner = _built(A2CConfig(actor=SMALL, critic=SMALL))
    _, rows = learner.ingest(state=learner.initial_state(key=jax.random.key(0)), chunk=_chunk())
    assert learner.learns_from(batch=rows)
    assert not learner.learns_from(batch=replace(rows, valid=jnp.zeros_like(rows.valid)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        A2CConfig(steps=1, entropy_coefficient=LinearSchedule(initial=0.05, final=0.0, updates=150)),
        ReinforceConfig(steps=8, normalise_advantages=True),
    ],
    ids=["A2C on a stream", "REINFORCE"],
)
def test_trap_42_learns_what_the_observation_asks_for_and_untrained_it_would_not_pass(config: Any) -> None:
    learner = dataclasses.replace(config, actor=SMALL, critic=SMALL, optimizer=FAST)
    environment = triax.EnvironmentConfig(factory=ActionObservationProbe)
    evaluation = triax.EvaluationConfig(episodes=40, environments=20)
    parts = _run(learner, steps=2400, environments=8, environment=environment, evaluation=evaluation)
    learned = _of_right_choices(parts.learner, parts.loop.learner_state)
    untrained = _of_right_choices(parts.learner, parts.learner.initial_state(key=jax.random.key(0)))
    # Half of random choices are right.
    np.testing.assert_allclose(untrained, 0.5, atol=0.1)
    assert np.min(learned) > 0.8


def _of_right_choices(learner: Any, state: Any) -> np.ndarray:
    """How probable the right choice is at both observations."""
    distribution = learner.policy.distribution(
        parameters=learner.policy_parameters(state=state), observation=jnp.array([[0.0], [1.0]])
    )
    return np.asarray(jnp.exp(distribution.log_prob(action=jnp.array([0, 1]))))


def test_a_stream_is_chunks_of_one_step_and_resumes_to_the_same_bits() -> None:
    config = A2CConfig(steps=1, actor=SMALL, critic=SMALL, normalise_observations=True)
    experiment = triax.Experiment(
        name="stream",
        learner=config,
        environment=triax.EnvironmentConfig(id="CartPole-v1"),
        rollout=triax.RolloutConfig(environments_per_worker=2),
        total_steps=200,
    )
    parts = build(experiment=experiment)
    try:
        for _ in range(40):
            parts.loop.advance(limit=1)
        # Each row of both environments was learned from once, in one update.
        assert parts.loop.counters.updates == int(parts.loop.learner_state.updates) == 40
        kept, counters, ends = parts.loop.state(), dataclasses.replace(parts.loop.counters), []
        for _ in range(2):
            parts.loop.restore(state=kept, counters=dataclasses.replace(counters))
            for _ in range(40):
                parts.loop.advance(limit=1)
            ends.append(parts.loop.state().learner)
        _assert_same_bits(*ends)
        # Negative control: what was restored is not where the run ends.
        pairs = zip(jax.tree.leaves(kept.learner), jax.tree.leaves(ends[0]), strict=True)
        assert any(np.any(before != after) for before, after in pairs)
    finally:
        parts.close()


def test_updates_are_traced_once_and_a_seed_gives_the_same_bits() -> None:
    learner = _built(A2CConfig(actor=SMALL, critic=SMALL))
    traces = []

    @functools.partial(jax.jit, donate_argnums=0, compiler_options=QUICK)
    def learn(state: ActorCriticState, chunk: Trajectory, key: jax.Array) -> ActorCriticState:
        traces.append("learn")
        state, rows = learner.ingest(state=state, chunk=chunk)
        return learner.update(state=state, batch=rows, key=key)[0]

    ends = []
    for seed in (0, 0, 1):
        state = learner.initial_state(key=jax.random.key(seed))
        for number in range(2):
            state = learn(state, _chunk(), jax.random.key(number))
        ends.append(state)
    assert traces == ["learn"]
    _assert_same_bits(ends[0], ends[1])
    first, other = (jax.tree.leaves(end.networks.parameters)[1] for end in ends[1:])
    assert float(jnp.max(jnp.abs(first - other))) > 1e-3


def test_configs_are_registered_say_their_plans_and_refuse_nonsense() -> None:
    assert isinstance(A2CConfig(), LearnerConfig)
    assert registered("triax.learners.a2c.config:A2CConfig") is A2CConfig
    assert registered("triax.learners.reinforce.config:ReinforceConfig") is ReinforceConfig
    assert isinstance(_built(A2CConfig()), A2C)
    assert isinstance(_built(ReinforceConfig()), Reinforce)
    assert _built(A2CConfig()).data_plan == OnPolicyPlan(steps=5, epochs=1, minibatch_size=None)
    assert not ReinforceConfig(baseline=False).estimator.baseline
    wrong: tuple[tuple[str, Any], ...] = (
        ("discount", -0.1),
        ("steps", 0),
        ("minibatch_size", 0),
        ("entropy_coefficient", LinearSchedule(initial=0.1, final=-0.1, updates=5)),
        ("value_coefficient", -1.0),
        ("stop_at_kl", 0.0),
    )
    for name, value in wrong:
        with pytest.raises(ValueError, match=f"A2CConfig.{name}"):
            dataclasses.replace(A2CConfig(), **{name: value})
    with pytest.raises(ValueError, match=r"NStep.n=0"):
        NStep(n=0)
    with pytest.raises(ValueError, match=r"VTrace.importance_limit"):
        VTrace(importance_limit=0.5)


def test_a2c_leaves_returns_as_they_are_by_default() -> None:
    # Standardised, values of short chunks drive themselves: on CartPole, until nothing is finite.
    state = _built(A2CConfig(actor=SMALL, critic=SMALL)).initial_state(key=jax.random.key(0))
    assert state.statistics.returns is None

"""What chunks of an older policy do to PPO: in closed form without a rule, and corrected by V-trace.

Two steps, two choices in each, and all four sequences of choices are in a chunk, as often as the policy that acted
makes them: means over the chunk are expectations. Choice 1 brings 1 in the first step and 2 in the second, choice 0
nothing. Either policy chooses alike in both steps: 1 with probability 1/4 the one that acted, with 3/4 the one that
learns. γ = 0.5, λ = 1, and all values are 0 before anything was learned.
"""

import itertools
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.learners.actor_critic import ActorCriticState, PreparedRows
from triax.learners.actor_critic.losses import loss_inputs
from triax.learners.optimizer import OptimizerConfig
from triax.learners.ppo import PPO, PPOConfig
from triax.learners.terms import weighted_sum
from triax.networks import MLPConfig, NetworkConfig
from triax.spaces import space_spec
from triax.trees import Tree, replace
from triax.types import Trajectory

ACTED, LEARNS = 0.25, 0.75
SMALL = NetworkConfig(torso=MLPConfig(hidden=(8,), activation="tanh"))
VTRACE: dict[str, Any] = {"off_policy_correction": "vtrace", "importance_limit": 3.0, "trace_limit": 3.0}
"""The largest ratio is 3: nothing is truncated."""


def _learner(**changes: Any) -> PPO:
    settings: dict[str, Any] = {
        "discount": 0.5,
        "gae_lambda": 1.0,
        "normalise_returns": False,
        "normalise_advantages": False,
        "actor": SMALL,
        "critic": SMALL,
        "optimizer": OptimizerConfig(learning_rate=0.05),
    } | changes
    return PPOConfig(**settings).build(
        observation_spec=space_spec(space=gymnasium.spaces.Box(0.0, 1.0, (3,), np.float32), role="observation"),
        action_spec=space_spec(space=gymnasium.spaces.Discrete(2), role="action"),
    )


def _state(learner: PPO) -> ActorCriticState:
    """The policy that learns: features of the observation, that its last layer does not look at yet."""
    state = learner.initial_state(key=jax.random.key(0))
    actor, critic = state.networks.parameters.actor, state.networks.parameters.critic
    linear = actor["head"]["linear"]
    actor["head"]["linear"] = {
        "kernel": jnp.zeros_like(linear["kernel"]),
        "bias": jnp.log(jnp.array([1.0 - LEARNS, LEARNS])),
    }
    critic["output"] = jax.tree.map(jnp.zeros_like, critic["output"])
    return state


def _chunk(probability: float) -> Trajectory:
    """All sequences of a policy that chooses 1 with a probability that is a multiple of 1/4, in 16 environments."""
    often = round(4 * probability)
    choices = [0] * (4 - often) + [1] * often
    action = np.zeros((3, 16), np.int32)
    action[:2] = np.array(list(itertools.product(choices, choices))).T
    step = np.broadcast_to(np.array([0, 1, 2, 0])[:, None], (4, 16))
    return Trajectory(
        observation=np.eye(3, dtype=np.float32)[step],
        action=action,
        reward=(action * np.array([[1.0], [2.0], [0.0]])).astype(np.float32),
        terminated=step[:-1] == 1,
        truncated=np.zeros((3, 16), np.bool_),
        is_first=step == 0,
        is_last=step == 2,
        extras={"log_probability": np.log(np.where(action == 1, probability, 1.0 - probability)).astype(np.float32)},
    )


def _rows(*, learner: PPO, probability: float) -> PreparedRows:
    return learner.ingest(state=_state(learner), chunk=_chunk(probability))[1]


def _gradient(*, learner: PPO, rows: PreparedRows) -> Tree:
    """The gradient of the loss in the actor's parameters."""
    state = _state(learner)

    def loss_of(actor: Tree) -> jax.Array:
        inputs = loss_inputs(
            rows=rows,
            parameters=replace(state.networks.parameters, actor=actor),
            distribution=learner.actor.bind(parameters=actor)(rows.observation),
            value_output=learner.critic.bind(parameters=state.networks.parameters.critic)(rows.observation),
            statistics=state.collected,
            normalise_advantages=learner.config.normalise_advantages,
            key=jax.random.key(0),
        )
        return weighted_sum(terms=learner.config.terms, inputs=inputs, updates=state.updates)[0]

    return jax.grad(loss_of)(state.networks.parameters.actor)


def _mean_targets(rows: PreparedRows) -> np.ndarray:
    """Of the two steps."""
    targets = np.asarray(rows.value_target).reshape(3, 16)[:2]
    return np.asarray(np.mean(targets, axis=1))


def _flat(tree: Tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_without_a_rule_values_and_advantages_are_those_of_the_policy_that_acted() -> None:
    # V(second step) = 2 p, V(first step) = p + γ · 2 p = 2 p, with p = 3/4 fresh and 1/4 stale: a bias of −1 in both.
    learner = _learner()
    fresh, stale = (_rows(learner=learner, probability=probability) for probability in (LEARNS, ACTED))
    np.testing.assert_allclose(_mean_targets(fresh), 2.0 * LEARNS, rtol=1e-6)
    np.testing.assert_allclose(_mean_targets(stale), 2.0 * ACTED, rtol=1e-6)
    # The advantage of a first choice has γ · 2 p of the second in it: it is off by γ · 2 · (1/4 − 3/4) = −1/2.
    for choice in (0, 1):
        means = [
            np.asarray(rows.advantage)[:16][np.asarray(rows.action)[:16] == choice].mean() for rows in (fresh, stale)
        ]
        np.testing.assert_allclose(means, [choice + 0.75, choice + 0.25], rtol=1e-6)


def test_without_a_rule_the_policy_is_pushed_the_wrong_way() -> None:
    # The gradient in the logarithm of the odds of choice 1, which d log π(a) / d(log odds) = a − p, p = 3/4, makes of:
    # fresh, Σ π(a) (a − p) Â(a) = p (1 − p) (Â(1) − Â(0)): 3/16 · 1 in the first step and 3/16 · 2 in the second.
    # Stale, choice 1 has the ratio 3, beyond 1.2 with Â > 0: clipped, no gradient. Choice 0 has the ratio 1/3 and
    # μ(0) · 1/3 = π(0) = 1/4: with Â = 1/4 in the first step (0 in the second), 1/4 · 1/4 · (0 − 3/4) = −3/64.
    # The bias of choice 1 has minus the mean over both steps: −9/32 and +3/128.
    learner = _learner()
    gradients = [
        _gradient(learner=learner, rows=_rows(learner=learner, probability=probability))["head"]["linear"]["bias"]
        for probability in (LEARNS, ACTED)
    ]
    np.testing.assert_allclose(gradients[0], [9 / 32, -9 / 32], rtol=1e-5)
    np.testing.assert_allclose(gradients[1], [-3 / 128, 3 / 128], rtol=1e-5)


def test_corrected_the_expected_update_is_that_of_fresh_experience() -> None:
    learner, corrected = _learner(), _learner(**VTRACE)
    fresh, stale = _rows(learner=learner, probability=LEARNS), _rows(learner=corrected, probability=ACTED)
    np.testing.assert_allclose(_mean_targets(stale), _mean_targets(fresh), rtol=1e-5)
    expected = _flat(_gradient(learner=learner, rows=fresh))
    assert np.count_nonzero(np.abs(expected) > 1e-3) > 10
    np.testing.assert_allclose(_flat(_gradient(learner=corrected, rows=stale)), expected, rtol=1e-4, atol=1e-6)


def test_corrected_standardised_advantages_point_where_fresh_ones_point() -> None:
    # Their scale is not the same, since ratios add to the variance. Their direction is, as they are centred by the mean
    # of the policy that learns, before they are weighted.
    learner, corrected = _learner(normalise_advantages=True), _learner(normalise_advantages=True, **VTRACE)
    fresh, stale = _rows(learner=learner, probability=LEARNS), _rows(learner=corrected, probability=ACTED)
    assert stale.importance is not None

    def direction(one: PPO, rows: PreparedRows) -> np.ndarray:
        gradient = _flat(_gradient(learner=one, rows=rows))
        return np.asarray(gradient / np.linalg.norm(gradient))

    np.testing.assert_allclose(direction(corrected, stale), direction(learner, fresh), rtol=1e-4, atol=1e-6)
    # Negative control: weighted first and centred by the rows as they are, they point elsewhere.
    weighted_first = replace(stale, advantage=stale.importance * stale.advantage, importance=None)
    assert np.dot(direction(corrected, weighted_first), direction(learner, fresh)) < 0.99


@pytest.mark.parametrize(("changes", "value"), [({}, 0.5), (VTRACE, 1.5)], ids=["without a rule", "corrected"])
def test_values_learned_from_stale_chunks_alone(changes: dict[str, Any], value: float) -> None:
    # The policy is put back to where it was after each update; the values go on learning:
    # V = 2 · 1/4 = 0.5 of the policy that acted in both steps, or 2 · 3/4 = 1.5 of the one that learns.
    learner = _learner(**changes)
    state, chunk = _state(learner), jax.tree.map(jnp.asarray, _chunk(ACTED))
    actor = state.networks.parameters.actor

    @jax.jit
    def learned(state: ActorCriticState, _: None) -> tuple[ActorCriticState, None]:
        state, rows = learner.ingest(state=state, chunk=chunk)
        state, _output = learner.update(state=state, batch=rows, key=jax.random.key(0))
        parameters = replace(state.networks.parameters, actor=actor)
        return replace(state, networks=replace(state.networks, parameters=parameters)), None

    state, _ = jax.lax.scan(learned, state, length=400)
    found = learner.critic.bind(parameters=state.networks.parameters.critic)(jnp.eye(3)[:2])
    np.testing.assert_allclose(found, value, rtol=1e-2)

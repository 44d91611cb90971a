"""PPO learns on tiny environments with known answers; each test says what a random policy scores.

Nothing that the policy does changes what it sees, so a whole chunk is acted at once: rows of an episode of L steps,
then the row of its final observation, then the next episode.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.learners.actor_critic import ActorCriticState
from triax.learners.optimizer import OptimizerConfig
from triax.learners.ppo import PPO, PPOConfig
from triax.networks import MLPConfig, NetworkConfig
from triax.spaces import space_spec
from triax.trees import Tree
from triax.types import ActionMode, Trajectory

ROWS, ENVIRONMENTS, EPOCHS, MINIBATCHES = 24, 16, 4, 2
QUICK = {"xla_backend_optimization_level": 0}

Reward = Callable[[Tree, Tree, jax.Array], jax.Array]
"""From observation [T, B, ...], action [T, B, ...] and step of the episode [T, B] to the reward, [T, B]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """A tiny environment. Observations are two components: ±1 at random, and the step of the episode (0 throughout if
    the episode is cut off: a final observation that is never acted at would have a value that nobody learns).

    :ivar action: the action space.
    :ivar reward: what an action brings.
    :ivar length: steps of an episode.
    :ivar truncated: whether episodes end by a time limit.
    """

    action: "gymnasium.Space[Any]"
    reward: Reward
    length: int = 1
    truncated: bool = False


OBSERVATION = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
CHOICE = gymnasium.spaces.Discrete(2)


def _learner(probe: Probe, *, iterations: int, **changes: Any) -> PPO:
    small = NetworkConfig(torso=MLPConfig(hidden=(32,), activation="tanh", initialisation="orthogonal"))
    settings: dict[str, Any] = {
        "discount": 0.5,
        "steps": ROWS,
        "minibatch_size": ROWS * ENVIRONMENTS // MINIBATCHES,
        "normalise_observations": True,
        "actor": small,
        "critic": small,
        "optimizer": OptimizerConfig(
            learning_rate=0.01,
            schedule="linear",
            schedule_updates=iterations * EPOCHS * MINIBATCHES,
            max_gradient_norm=0.5,
            epsilon=1e-5,
        ),
    } | changes
    return PPOConfig(**settings).build(
        observation_spec=space_spec(space=OBSERVATION, role="observation"),
        action_spec=space_spec(space=probe.action, role="action"),
    )


def _act(*, learner: PPO, state: ActorCriticState, observation: Tree, key: jax.Array, mode: ActionMode) -> Any:
    return learner.policy.act(
        parameters=learner.policy_parameters(state=state),
        carry=(),
        observation=observation,
        is_first=jnp.zeros(observation.shape[:1], jnp.bool_),
        key=key,
        mode=mode,
    )


def _chunk(*, learner: PPO, probe: Probe, state: ActorCriticState, key: jax.Array) -> Trajectory:
    sign_key, act_key = jax.random.split(key)
    step = jnp.broadcast_to((jnp.arange(ROWS + 1) % (probe.length + 1))[:, None], (ROWS + 1, ENVIRONMENTS))
    is_last = step == probe.length
    sign = jnp.where(jax.random.bernoulli(sign_key, shape=step.shape), 1.0, -1.0)
    observation = jnp.stack([sign, jnp.where(probe.truncated, 0.0, step.astype(jnp.float32))], axis=-1)
    result = _act(
        learner=learner,
        state=state,
        observation=observation[:-1].reshape(-1, 2),
        key=act_key,
        mode=ActionMode.SAMPLE,
    )
    action, extras = jax.tree.map(
        lambda leaf: leaf.reshape(ROWS, ENVIRONMENTS, *leaf.shape[1:]), (result.action, result.extras)
    )
    reward = probe.reward(observation[:-1], action, step[:-1])
    return Trajectory(
        observation=observation,
        action=action,
        reward=jnp.where(is_last[:-1], 0.0, reward),
        terminated=is_last[1:] & (not probe.truncated),
        truncated=is_last[1:] & probe.truncated,
        is_first=step == 0,
        is_last=is_last,
        extras=extras,
    )


def _trained(*, learner: PPO, probe: Probe, iterations: int, seed: int = 0) -> ActorCriticState:
    """The loop of on-policy learning in a few lines: a chunk, its preparation, epochs of minibatches."""

    def iterate(state: ActorCriticState, key: jax.Array) -> tuple[ActorCriticState, Tree]:
        chunk_key, order_key, update_key = jax.random.split(key, 3)
        chunk = _chunk(learner=learner, probe=probe, state=state, key=chunk_key)
        state, rows = learner.ingest(state=state, chunk=chunk)

        def step(state: ActorCriticState, inputs: tuple[jax.Array, jax.Array]) -> tuple[ActorCriticState, Tree]:
            order, key = inputs
            state, output = learner.update(state=state, batch=jax.tree.map(lambda leaf: leaf[order], rows), key=key)
            return state, output.metrics

        orders = jax.vmap(lambda key: jax.random.permutation(key, ROWS * ENVIRONMENTS))(
            jax.random.split(order_key, EPOCHS)
        ).reshape(EPOCHS * MINIBATCHES, -1)
        return jax.lax.scan(step, state, (orders, jax.random.split(update_key, len(orders))))

    def train(key: jax.Array) -> ActorCriticState:
        state = learner.initial_state(key=key)
        return jax.lax.scan(iterate, state, jax.random.split(key, iterations))[0]

    state: ActorCriticState = jax.jit(train, compiler_options=QUICK)(jax.random.key(seed))
    return state


def _value(*, learner: PPO, state: ActorCriticState, sign: float, step: float) -> float:
    observation = state.statistics.normalised_observation(observation=jnp.array([[sign, step]]))
    output = learner.critic.bind(parameters=state.networks.parameters.critic)(observation)
    return float(state.statistics.actual_value(output=output)[0])


def _score(*, learner: PPO, probe: Probe, state: ActorCriticState, mode: ActionMode) -> jax.Array:
    """The mean reward of a step at random observations."""
    sign = jnp.tile(jnp.array([-1.0, 1.0]), 500)
    observation = jnp.stack([sign, jnp.zeros(1000)], axis=-1)
    result = _act(learner=learner, state=state, observation=observation, key=jax.random.key(9), mode=mode)
    return jnp.mean(probe.reward(observation, result.action, jnp.zeros(1000, jnp.int32)))


def test_trap_11_constant_reward_with_time_limits_is_worth_its_closed_form() -> None:
    # Reward 1 for ever, γ = 0.5: V = 1 / (1 − γ) = 2 in every step, though episodes are cut off after 3. If the limit
    # were a termination, the three steps would be worth 1.75, 1.5 and 1, on average 1.42. The policy has no part in it.
    probe = Probe(
        action=CHOICE, reward=lambda observation, action, step: jnp.ones(step.shape), length=3, truncated=True
    )
    learner = _learner(probe, iterations=40, normalise_returns=False)
    state = _trained(learner=learner, probe=probe, iterations=40)
    values = [_value(learner=learner, state=state, sign=sign, step=0.0) for sign in (-1.0, 1.0)]
    np.testing.assert_allclose(values, 2.0, atol=0.05)


def test_reward_read_from_the_observation_two_steps_and_a_termination() -> None:
    # Step 0 brings 0; step 1 brings 140 or −60, as the sign says that is seen there, and the episode terminates.
    # V(step 1) = 140 or −60. The next sign is random, so V(step 0) = γ · (140 − 60) / 2 = 20, whatever is seen.
    probe = Probe(
        action=CHOICE,
        reward=lambda observation, action, step: jnp.where(step == 1, 100.0 * observation[..., 0] + 40.0, 0.0),
        length=2,
    )
    learner = _learner(probe, iterations=80)
    state = _trained(learner=learner, probe=probe, iterations=80)
    np.testing.assert_allclose(_value(learner=learner, state=state, sign=1.0, step=1.0), 140.0, atol=8.0)
    np.testing.assert_allclose(_value(learner=learner, state=state, sign=-1.0, step=1.0), -60.0, atol=8.0)
    np.testing.assert_allclose(_value(learner=learner, state=state, sign=1.0, step=0.0), 20.0, atol=8.0)


def _right_choice(observation: jax.Array, action: jax.Array, step: jax.Array) -> jax.Array:
    return (action == (observation[..., 0] > 0.0)).astype(jnp.float32)


def _near(observation: jax.Array, action: jax.Array, step: jax.Array) -> jax.Array:
    return 1.0 - jnp.square(action[..., 0] - 0.5 * observation[..., 0])


MIXED = gymnasium.spaces.Dict(
    {
        "bits": gymnasium.spaces.MultiBinary(2),
        "rest": gymnasium.spaces.Tuple(
            (gymnasium.spaces.MultiDiscrete([2, 3]), gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32))
        ),
    }
)


def _mixed(observation: jax.Array, action: Tree, step: jax.Array) -> jax.Array:
    positive = (observation[..., 0] > 0.0).astype(jnp.int32)
    bits, (grid, move) = action["bits"], action["rest"]
    parts = (
        jnp.mean((bits == jnp.stack([positive, 1 - positive], axis=-1)).astype(jnp.float32), axis=-1),
        (grid[..., 0] == positive).astype(jnp.float32),
        (grid[..., 1] == 2 * positive).astype(jnp.float32),
        _near(observation, move, step),
    )
    return jnp.mean(jnp.stack(parts), axis=0)


@pytest.mark.parametrize(
    ("action", "reward", "random_score", "threshold"),
    [
        # Half of the choices are right.
        (CHOICE, _right_choice, 0.5, 0.98),
        # tanh(u), u ~ N(0, 1), has the second moment 0.394: 1 − (0.394 + 0.25) = 0.356.
        (gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32), _near, 0.356, 0.97),
        # A quarter each of 0.5, 0.5, 1/3 and 0.356: 0.422.
        (MIXED, _mixed, 0.422, 0.95),
    ],
    ids=["discrete", "continuous", "mixed"],
)
def test_trap_42_learns_what_the_observation_asks_for_and_untrained_it_would_not_pass(
    action: "gymnasium.Space[Any]", reward: Reward, random_score: float, threshold: float
) -> None:
    probe = Probe(action=action, reward=reward)
    learner = _learner(probe, iterations=40)

    def scores(state: ActorCriticState) -> list[jax.Array]:
        modes = (ActionMode.SAMPLE, ActionMode.MODE)
        return [_score(learner=learner, probe=probe, state=state, mode=mode) for mode in modes]

    score = jax.jit(scores, compiler_options=QUICK)
    # The untrained policy is almost the same everywhere, and so as good as a random one.
    sampled, _ = score(jax.jit(learner.initial_state, compiler_options=QUICK)(key=jax.random.key(0)))
    assert float(sampled) == pytest.approx(random_score, abs=0.05)
    _, best = score(_trained(learner=learner, probe=probe, iterations=40))
    assert float(best) > threshold > random_score + 0.3

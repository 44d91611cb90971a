"""PPO's loss, worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from triax.learners.actor_critic.losses import loss_inputs
from triax.learners.actor_critic.state import ActorCriticNetworks, ActorCriticStatistics, PreparedRows
from triax.learners.ppo import PPOConfig
from triax.learners.terms import weighted_sum
from triax.networks import Bernoulli
from triax.trees import replace

BIT_ROWS = PreparedRows(
    observation=jnp.zeros((2, 1)),
    action=jnp.array([[1], [0]], jnp.int8),
    log_probability=jnp.log(jnp.array([0.5, 0.5])),
    advantage=jnp.ones(2),
    value_target=jnp.array([2.0, 1.0]),
    value=jnp.zeros(2),
    valid=jnp.array([True, True]),
)


def _bit_loss(*, logit: jax.Array, rows: PreparedRows, config: PPOConfig) -> tuple[jax.Array, dict[str, jax.Array]]:
    inputs = loss_inputs(
        rows=rows,
        parameters=ActorCriticNetworks(actor={}, critic={}),
        distribution=Bernoulli(logits=jnp.broadcast_to(logit, (2, 1)), shape=(1,)),
        value_output=jnp.array([1.0, 3.0]),
        statistics=ActorCriticStatistics(observation=None, returns=None),
        normalise_advantages=config.normalise_advantages,
        key=jax.random.key(0),
    )
    return weighted_sum(terms=config.terms, inputs=inputs, updates=jnp.zeros((), jnp.int32))


def test_loss_by_hand() -> None:
    # A bit with p(1) = 0.8, actions 1 and 0, taken when both had probability 0.5: ratios 1.6 and 0.4. Â = 1, 1.
    # Clipped at 0.2: min(1.6, 1.2) = 1.2, min(0.4, 0.8) = 0.4: policy loss −0.8.
    # Values 1, 3 and targets 2, 1: ½ · (1 + 4) / 2 = 1.25.
    # Entropy: −0.8 log 0.8 − 0.2 log 0.2 = 0.5004024.
    # Loss: −0.8 + 0.5 · 1.25 − 0.1 · 0.5004024 = −0.2250402.
    config = PPOConfig(entropy_coefficient=0.1, normalise_advantages=False)
    loss, metrics = _bit_loss(logit=jnp.log(4.0), rows=BIT_ROWS, config=config)
    np.testing.assert_allclose(metrics["policy_loss"], -0.8, rtol=1e-5)
    np.testing.assert_allclose(metrics["value_loss"], 1.25, rtol=1e-5)
    np.testing.assert_allclose(metrics["entropy"], 0.5004024, rtol=1e-5)
    np.testing.assert_allclose(metrics["clip_fraction"], 1.0)
    np.testing.assert_allclose(loss, -0.2250402, rtol=1e-5)


def test_trap_06_the_entropy_bonus_raises_the_entropy() -> None:
    # Without advantages only the bonus moves the policy: d(−c H)/d logit = c · logit · p (1 − p) for a bit.
    # p = 0.8: 0.1 · log 4 · 0.8 · 0.2 = 0.0221807, and descent lowers the logit, towards p = 0.5.
    rows = replace(BIT_ROWS, advantage=jnp.zeros(2))
    config = PPOConfig(entropy_coefficient=0.1, normalise_advantages=False)

    def loss_of(logit: jax.Array) -> jax.Array:
        return _bit_loss(logit=logit, rows=rows, config=config)[0]

    np.testing.assert_allclose(jax.grad(loss_of)(jnp.log(4.0)), 0.0221807, rtol=1e-4)


def test_loss_weighted_by_vtrace_by_hand() -> None:
    # Ratios 1.6 and 0.4 as above, Â = 1, 5, weights ρ = 0.5, 1.5.
    # Weighted, Â has the mean (0.5 · 1 + 1.5 · 5) / 2 = 4 and the variance (0.5 · 9 + 1.5 · 1) / 2 = 3: standardised
    # −√3 and 1/√3, and times ρ: −0.8660254 and 0.8660254.
    # min(1.6 · −0.866, 1.2 · −0.866) = −1.3856406, min(0.4 · 0.866, 0.8 · 0.866) = 0.3464102: policy loss 0.5196152.
    # KL: 0.6 − log 1.6 = 0.1299964 and −0.6 − log 0.4 = 0.3162907, weighted (0.0649982 + 0.4744361) / 2 = 0.2697171.
    # The values are not weighted: 1.25 as above.
    rows = replace(BIT_ROWS, advantage=jnp.array([1.0, 5.0]), importance=jnp.array([0.5, 1.5]))
    _, metrics = _bit_loss(logit=jnp.log(4.0), rows=rows, config=PPOConfig())
    np.testing.assert_allclose(metrics["policy_loss"], 0.5196152, rtol=1e-5)
    np.testing.assert_allclose(metrics["approximate_kl"], 0.2697171, rtol=1e-5)
    np.testing.assert_allclose(metrics["value_loss"], 1.25, rtol=1e-5)

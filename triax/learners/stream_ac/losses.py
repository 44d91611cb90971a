"""What the eligibility traces of Stream AC(λ) are made of."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.stream_ac.state import StreamedStep
from triax.networks import Distribution
from triax.objectives.averages import weighted_mean
from triax.objectives.checks import check_vectors
from triax.random import KeyArray


def td_error(*, value: Float[Array, " N"], next_value: Float[Array, " N"], step: StreamedStep) -> Float[Array, ""]:
    """Compute δ = r + γ V(o') − V(o), Elsayed et al. 2024 (arXiv:2410.14606), algorithm 7.

    A truncated step bootstraps from the observation that its episode ended in. (The code of the paper's authors takes
    time limits for terminations, and shows the time to the networks.)

    :param value: V(o), [N].
    :param next_value: V(o'), [N].
    :param step: the step.
    :return: the error; 0 if no action was taken. No gradient flows through it.
    """
    check_vectors(value=value, next_value=next_value, reward=step.reward, discount=step.discount, valid=step.valid)
    errors = step.reward + step.discount * next_value - value
    return jax.lax.stop_gradient(weighted_mean(values=errors, weight=step.valid))


def eligibility(
    *,
    distribution: Distribution,
    value: Float[Array, " N"],
    error: Float[Array, ""],
    step: StreamedStep,
    entropy_coefficient: float | Float[Array, ""],
    key: KeyArray,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Compute V(o) + log π(a|o) + τ sgn(δ) H(o), whose gradient enters the traces.

    Algorithm 7 of the paper; the entropy: appendix E. The gradient is multiplied by δ afterwards; with the sign, the
    entropy always rises.

    :param distribution: the policy at the observation.
    :param value: V(o), [N].
    :param error: δ.
    :param step: the step.
    :param entropy_coefficient: τ.
    :param key: for the entropy, if it is estimated.
    :return: the sum, and H(o) in nats.
    """
    log_probability = weighted_mean(values=distribution.log_prob(action=step.action), weight=step.valid)
    entropy = jnp.mean(distribution.entropy(key=key))
    total = weighted_mean(values=value, weight=step.valid) + log_probability
    return total + entropy_coefficient * jnp.sign(error) * entropy, entropy

"""Objectives of policies that learn from their own recent actions. Arrays in, arrays out.

``old`` is the policy that acted, ``new`` the one that learns; r = π_new(a|o) / π_old(a|o). Rows that do not count (no
action was taken in them) have no part in any mean and in any gradient.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.objectives.averages import Weight, weighted_mean
from triax.objectives.checks import check_vectors


def log_ratio(
    *, log_probability: Float[Array, " N"], old_log_probability: Float[Array, " N"], weight: Weight
) -> Float[Array, " N"]:
    """Compute log r, and 0 in rows that do not count, where exponentiating it could overflow.

    :param log_probability: log π_new(a|o), [N].
    :param old_log_probability: log π_old(a|o), [N].
    :param weight: [N].
    :return: [N].
    :raises ValueError: if the shapes differ.
    """
    check_vectors(log_probability=log_probability, old_log_probability=old_log_probability, weight=weight)
    return jnp.where(weight > 0, log_probability - old_log_probability, 0.0)


def score_function_loss(
    *, log_probability: Float[Array, " N"], advantage: Float[Array, " N"], weight: Weight
) -> Float[Array, ""]:
    """Compute −E[Â log π_new(a|o)], whose gradient is that of REINFORCE (Williams 1992, theorem 1).

    :param log_probability: log π_new(a|o), [N].
    :param advantage: Â; no gradient flows through it, [N].
    :param weight: [N].
    :return: the loss.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(log_probability=log_probability, advantage=advantage, weight=weight)
    return -weighted_mean(values=log_probability * jax.lax.stop_gradient(advantage), weight=weight)


def importance_weighted_loss(
    *, log_ratio: Float[Array, " N"], advantage: Float[Array, " N"], weight: Weight
) -> Float[Array, ""]:
    """Compute −E[r Â], Schulman et al. 2017 (arXiv:1707.06347), equation 6.

    :param log_ratio: log r, [N].
    :param advantage: Â; no gradient flows through it, [N].
    :param weight: [N].
    :return: the loss.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(log_ratio=log_ratio, advantage=advantage, weight=weight)
    return -weighted_mean(values=jnp.exp(log_ratio) * jax.lax.stop_gradient(advantage), weight=weight)


def clipped_surrogate_loss(
    *, log_ratio: Float[Array, " N"], advantage: Float[Array, " N"], clip_range: float, weight: Weight
) -> Float[Array, ""]:
    """Compute −E[min(r Â, clip(r, 1 − ε, 1 + ε) Â)], Schulman et al. 2017 (arXiv:1707.06347), equation 7.

    :param log_ratio: log r, [N].
    :param advantage: Â; no gradient flows through it, [N].
    :param clip_range: ε.
    :param weight: [N].
    :return: the loss.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(log_ratio=log_ratio, advantage=advantage, weight=weight)
    advantage = jax.lax.stop_gradient(advantage)
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1.0 - clip_range, 1.0 + clip_range)
    return -weighted_mean(values=jnp.minimum(ratio * advantage, clipped * advantage), weight=weight)


def value_loss(
    *,
    value: Float[Array, " N"],
    target: Float[Array, " N"],
    old_value: Float[Array, " N"],
    clip_range: float | None,
    weight: Weight,
) -> Float[Array, ""]:
    """Compute ½ E[(V − y)²]; where clipped, ½ E[max((V − y)², (V_clip − y)²)], V_clip = V_old + clip(V − V_old, ±ε).

    Clipping is not in the paper but in the code of its authors (OpenAI Baselines, ``ppo2``).

    :param value: V, [N].
    :param target: y; no gradient flows through it, [N].
    :param old_value: V_old, what the values were when the advantages were estimated, [N].
    :param clip_range: ε, in the units of the values; None: not clipped.
    :param weight: [N].
    :return: the loss.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(value=value, target=target, old_value=old_value, weight=weight)
    target, old_value = jax.lax.stop_gradient(target), jax.lax.stop_gradient(old_value)
    error = jnp.square(value - target)
    if clip_range is not None:
        clipped = old_value + jnp.clip(value - old_value, -clip_range, clip_range)
        error = jnp.maximum(error, jnp.square(clipped - target))
    return 0.5 * weighted_mean(values=error, weight=weight)


def approximate_kl(*, log_ratio: Float[Array, " N"], weight: Weight) -> Float[Array, ""]:
    """Estimate KL(π_old ‖ π_new) by E[r − 1 − log r], actions sampled from π_old.

    Unbiased, and never below 0: "k3" in Schulman 2020, "Approximating KL divergence" (joschu.net/blog/kl-approx.html).

    :param log_ratio: log r, [N].
    :param weight: [N].
    :return: nats.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(log_ratio=log_ratio, weight=weight)
    # r − 1 by expm1: the plain difference loses all digits while the policies are close.
    return weighted_mean(values=jnp.expm1(log_ratio) - log_ratio, weight=weight)


def reverse_kl(*, log_ratio: Float[Array, " N"], weight: Weight) -> Float[Array, ""]:
    """Estimate KL(π_new ‖ π_old) by E[r log r − (r − 1)], actions sampled from π_old.

    Unbiased, since E[r log r] is the divergence and E[r] = 1; and never below 0. As a penalty it is that of Hsu et al.
    2020, "Revisiting design choices in proximal policy optimization" (arXiv:2009.10897).

    :param log_ratio: log r, [N].
    :param weight: [N].
    :return: nats.
    :raises ValueError: if the shapes differ.
    """
    check_vectors(log_ratio=log_ratio, weight=weight)
    return weighted_mean(values=jnp.exp(log_ratio) * log_ratio - jnp.expm1(log_ratio), weight=weight)


def clip_fraction(*, log_ratio: Float[Array, " N"], clip_range: float, weight: Weight) -> Float[Array, ""]:
    """Compute the share of rows whose ratio is outside of [1 − ε, 1 + ε].

    :param log_ratio: log r, [N].
    :param clip_range: ε.
    :param weight: [N].
    :return: in [0, 1].
    :raises ValueError: if the shapes differ.
    """
    check_vectors(log_ratio=log_ratio, weight=weight)
    outside = jnp.abs(jnp.expm1(log_ratio)) > clip_range
    return weighted_mean(values=outside.astype(log_ratio.dtype), weight=weight)

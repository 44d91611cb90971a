"""Advantages and returns along trajectories. Arrays in, arrays out."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from triax.objectives.checks import check_shape
from triax.trees import tree_dataclass
from triax.types import AnyArray


@tree_dataclass
class Advantages:
    """What is estimated of each row.

    :ivar advantage: Â_t; 0 in rows in which no action was taken, [T, B].
    :ivar value_target: what the value network learns: the return V(o_t) + Â_t, or v_t of V-trace, [T, B].
    :ivar importance: ρ_t of V-trace, by which Â_t is to be weighted; 1 in rows in which no action was taken, [T, B].
        None where nothing is corrected.
    """

    advantage: Float[Array, "T B"]
    value_target: Float[Array, "T B"]
    importance: Float[Array, "T B"] | None = None


def generalised_advantages(
    *,
    reward: Float[AnyArray, "T B"],
    terminated: Bool[AnyArray, "T B"],
    is_last: Bool[AnyArray, "T+1 B"],
    value: Float[AnyArray, "T+1 B"],
    discount: float,
    gae_lambda: float,
) -> Advantages:
    """Estimate advantages, Schulman et al. 2016 (arXiv:1506.02438), equations 11 and 16.

    In the rows of a :class:`triax.types.Trajectory`::

        δ_t = r_{t+1} + γ · V(o_{t+1}) · [not terminated_t] − V(o_t)
        Â_t = δ_t + γ λ · Â_{t+1},  and Â_t = 0 in the rows of final observations

    A step that ended an episode, one way or the other, is followed by the row of its own final observation. So a
    truncated step bootstraps from the observation that its episode really ended in, a terminated one from 0, and since
    Â is 0 in that row, nothing of the next episode comes back through it.

    :param reward: r_{t+1}, what the action of row t brought, [T, B].
    :param terminated: whether it ended the episode for good, [T, B].
    :param is_last: whether row t is a final observation, in which no action was taken, [T + 1, B].
    :param value: V(o_t), final observations included, [T + 1, B].
    :param discount: γ.
    :param gae_lambda: λ: 0 gives one-step advantages, 1 Monte Carlo returns less the value.
    :return: advantages and value targets.
    :raises ValueError: if the shapes do not fit together.
    """
    _check_trajectory(reward=reward, terminated=terminated, is_last=is_last, value=value)
    values, valid = jnp.asarray(value), ~jnp.asarray(is_last)[:-1]
    difference = _differences(reward=reward, terminated=terminated, value=values, discount=discount)

    def backwards(
        next_advantage: Float[Array, " B"], row: tuple[Float[Array, " B"], Bool[Array, " B"]]
    ) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        row_difference, row_valid = row
        advantage = jnp.where(row_valid, row_difference + discount * gae_lambda * next_advantage, 0.0)
        return advantage, advantage

    _, advantage = jax.lax.scan(backwards, jnp.zeros_like(values[0]), (difference, valid), reverse=True)
    return Advantages(advantage=advantage, value_target=values[:-1] + advantage)


def n_step_advantages(
    *,
    reward: Float[AnyArray, "T B"],
    terminated: Bool[AnyArray, "T B"],
    is_last: Bool[AnyArray, "T+1 B"],
    value: Float[AnyArray, "T+1 B"],
    discount: float,
    n: int,
) -> Advantages:
    """Estimate advantages by n-step returns, Sutton and Barto 2018, equation 7.1.

    In the rows of a :class:`triax.types.Trajectory`::

        Â_t = r_{t+1} + γ r_{t+2} + … + γ^{k−1} r_{t+k} + γ^k V(o_{t+k}) − V(o_t)
            = δ_t + γ δ_{t+1} + … + γ^{k−1} δ_{t+k−1}

    with δ as in :func:`generalised_advantages`, and k the smallest of n, the steps to the end of the episode, and the
    rows to the end of the trajectory. A step that ended the episode for good is followed by no value, a truncated one
    by that of its own final observation.

    :param reward: r_{t+1}, what the action of row t brought, [T, B].
    :param terminated: whether it ended the episode for good, [T, B].
    :param is_last: whether row t is a final observation, in which no action was taken, [T + 1, B].
    :param value: V(o_t), final observations included, [T + 1, B].
    :param discount: γ.
    :param n: steps, at least 1; from T on they are all that there are.
    :return: advantages and value targets.
    :raises ValueError: if the shapes do not fit together.
    """
    _check_trajectory(reward=reward, terminated=terminated, is_last=is_last, value=value)
    values, valid = jnp.asarray(value), ~jnp.asarray(is_last)[:-1]
    difference = _differences(reward=reward, terminated=terminated, value=values, discount=discount)

    def one_step_further(_: Int[Array, ""], advantage: Float[Array, "T B"]) -> Float[Array, "T B"]:
        following = jnp.concatenate([advantage[1:], jnp.zeros_like(advantage[:1])])
        return jnp.where(valid, difference + discount * following, 0.0)

    steps = min(n, values.shape[0] - 1)
    advantage = jax.lax.fori_loop(0, steps, one_step_further, jnp.zeros_like(difference))
    return Advantages(advantage=advantage, value_target=values[:-1] + advantage)


def vtrace(
    *,
    reward: Float[AnyArray, "T B"],
    terminated: Bool[AnyArray, "T B"],
    is_last: Bool[AnyArray, "T+1 B"],
    value: Float[AnyArray, "T+1 B"],
    log_ratio: Float[AnyArray, "T B"],
    discount: float,
    trace_lambda: float,
    importance_limit: float = 1.0,
    trace_limit: float = 1.0,
) -> Advantages:
    """Estimate what a policy is worth from what another one did, Espeholt et al. 2018 (arXiv:1802.01561), section 4.

    With μ the policy that acted, π the one that learns, and the rows as in :func:`generalised_advantages`::

        ρ_t = min(ρ̄, π(a_t|o_t) / μ(a_t|o_t)),   c_t = λ · min(c̄, π(a_t|o_t) / μ(a_t|o_t))
        δ_t = r_{t+1} + γ · V(o_{t+1}) · [not terminated_t] − V(o_t)
        v_t − V(o_t) = ρ_t δ_t + γ c_t · (v_{t+1} − V(o_{t+1}))           (equation 1 as remark 1 has it; λ: remark 2)
        Â_t = δ_t + γ λ · (v_{t+1} − V(o_{t+1}))

    and v_t = V(o_t), Â_t = 0 in the rows of final observations. The fixed point of v is the value of the policy in
    proportion to min(ρ̄ μ, π) (equation 3): with ρ̄ at least the largest ratio that is π, with ρ̄ near 0 it is μ.

    The paper's policy gradient weighs each row's ∇ log π by ρ_t Â_t. The two are kept apart because advantages have to
    be centred before they are weighted: where μ acted, ∇ log π has a mean other than 0, and ρ ∇ log π has the mean 0
    (unless ρ is truncated).

    Â is the paper's r_{t+1} + γ v_{t+1} − V(o_t) (section 4.2) for λ = 1. For λ below 1 it bootstraps from
    (1 − λ) V(o_{t+1}) + λ v_{t+1} instead of v_{t+1}, so that where all ratios are 1, advantages and targets are those
    of generalised advantage estimation with the same λ; the paper's is then another estimate, Â_t + γ (1 − λ) Â_{t+1}.

    :param reward: r_{t+1}, what the action of row t brought, [T, B].
    :param terminated: whether it ended the episode for good, [T, B].
    :param is_last: whether row t is a final observation, in which no action was taken, [T + 1, B].
    :param value: V(o_t), final observations included, [T + 1, B].
    :param log_ratio: log π(a_t|o_t) − log μ(a_t|o_t); anything in rows of final observations, [T, B].
    :param discount: γ.
    :param trace_lambda: λ: 0 looks one step ahead, 1 to the episode's end.
    :param importance_limit: ρ̄, above 0: which policy's value is learned. The paper wants it no smaller than c̄.
    :param trace_limit: c̄, above 0: how far later steps reach back; a matter of variance and speed, not of the result.
    :return: advantages, their weights, and value targets.
    :raises ValueError: if the shapes do not fit together.
    """
    _check_trajectory(reward=reward, terminated=terminated, is_last=is_last, value=value)
    check_shape(expected=jnp.shape(reward), log_ratio=log_ratio)
    values, valid = jnp.asarray(value), ~jnp.asarray(is_last)[:-1]
    difference = _differences(reward=reward, terminated=terminated, value=values, discount=discount)
    # Truncated before the exponential, which could overflow.
    logarithm = jnp.where(valid, jnp.asarray(log_ratio), 0.0)
    importance = jnp.where(valid, jnp.exp(jnp.minimum(logarithm, math.log(importance_limit))), 1.0)
    trace = jnp.exp(jnp.minimum(logarithm, math.log(trace_limit)))

    def backwards(
        next_correction: Float[Array, " B"], row: tuple[Array, Array, Array, Array]
    ) -> tuple[Float[Array, " B"], tuple[Array, Array]]:
        row_difference, row_importance, row_trace, row_valid = row
        later = discount * trace_lambda * next_correction
        correction = jnp.where(row_valid, row_importance * row_difference + row_trace * later, 0.0)
        advantage = jnp.where(row_valid, row_difference + later, 0.0)
        return correction, (correction, advantage)

    _, (correction, advantage) = jax.lax.scan(
        backwards, jnp.zeros_like(values[0]), (difference, importance, trace, valid), reverse=True
    )
    return Advantages(advantage=advantage, value_target=values[:-1] + correction, importance=importance)


def _check_trajectory(*, reward: AnyArray, terminated: AnyArray, is_last: AnyArray, value: AnyArray) -> None:
    if jnp.ndim(reward) != 2:
        raise ValueError(f"reward has the shape {jnp.shape(reward)}, but time and environments, [T, B], are needed.")
    steps, environments = jnp.shape(reward)
    check_shape(expected=(steps, environments), terminated=terminated)
    check_shape(expected=(steps + 1, environments), is_last=is_last, value=value)


def _differences(
    *,
    reward: Float[AnyArray, "T B"],
    terminated: Bool[AnyArray, "T B"],
    value: Float[Array, "T+1 B"],
    discount: float,
) -> Float[Array, "T B"]:
    """Compute δ_t = r_{t+1} + γ · V(o_{t+1}) · [not terminated_t] − V(o_t)."""
    next_value = jnp.where(jnp.asarray(terminated), 0.0, value[1:])
    return jnp.asarray(reward) + discount * next_value - value[:-1]

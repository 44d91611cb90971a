"""Advantages and returns along trajectories. Arrays in, arrays out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.objectives.checks import check_shape
from triax.trees import tree_dataclass
from triax.types import AnyArray


@tree_dataclass
class Advantages:
    """What generalised advantage estimation says of each row.

    :ivar advantage: Â_t; 0 in rows in which no action was taken, [T, B].
    :ivar value_target: the λ-return V(o_t) + Â_t, which the value network learns, [T, B].
    """

    advantage: Float[Array, "T B"]
    value_target: Float[Array, "T B"]


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
    if jnp.ndim(reward) != 2:
        raise ValueError(f"reward has the shape {jnp.shape(reward)}, but time and environments, [T, B], are needed.")
    steps, environments = jnp.shape(reward)
    check_shape(expected=(steps, environments), terminated=terminated)
    check_shape(expected=(steps + 1, environments), is_last=is_last, value=value)
    values, valid = jnp.asarray(value), ~jnp.asarray(is_last)[:-1]
    next_value = jnp.where(jnp.asarray(terminated), 0.0, values[1:])
    difference = jnp.asarray(reward) + discount * next_value - values[:-1]

    def backwards(
        next_advantage: Float[Array, " B"], row: tuple[Float[Array, " B"], Bool[Array, " B"]]
    ) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        row_difference, row_valid = row
        advantage = jnp.where(row_valid, row_difference + discount * gae_lambda * next_advantage, 0.0)
        return advantage, advantage

    _, advantage = jax.lax.scan(backwards, jnp.zeros_like(values[0]), (difference, valid), reverse=True)
    return Advantages(advantage=advantage, value_target=values[:-1] + advantage)

"""What the loss of cloning is made of: terms that put the policy's distribution against the expert's actions."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from triax.learners.registry import register
from triax.learners.terms import LossTerm, Scheduled
from triax.networks import Distribution
from triax.objectives.averages import weighted_mean
from triax.objectives.cloning import absolute_error, agreement
from triax.random import KeyArray
from triax.trees import Tree

ContinuousLoss: TypeAlias = Literal["squared_error", "likelihood"]
"""How continuous components are compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloningInputs:
    """A batch of labelled steps as the network sees it now.

    :ivar distribution: the policy at the observations.
    :ivar action: the expert's, inside form, [N, ...].
    :ivar weight: of each row, [N].
    :ivar task: of each row, [N].
    :ivar parameters: of the network.
    :ivar key: for estimates.
    """

    distribution: Distribution
    action: Tree
    weight: Float[Array, " N"]
    task: Int[Array, " N"]
    parameters: Tree
    key: KeyArray


CloningTerm: TypeAlias = LossTerm[CloningInputs]
"""A part of the loss of cloning."""


def cloning_loss(
    *, distribution: Distribution, action: Tree, weight: Float[Array, " N"], continuous_loss: ContinuousLoss
) -> Float[Array, ""]:
    """Compute the mean over rows of the sum over leaves of −log π(a*|o), or of ½ ‖a − a*‖² in continuous ones.

    Both are in nats (see :meth:`triax.networks.Distribution.fixed_spread_loss`), and leaves have no weights of their
    own: the sum is the negative log-likelihood of the whole action, with a fixed spread under squared errors.

    :param distribution: the policy at the observations.
    :param action: the expert's, inside form, [N, ...].
    :param weight: of each row, [N].
    :param continuous_loss: which of them.
    :return: the loss.
    """
    if continuous_loss == "likelihood":
        losses = -distribution.log_prob(action=action)
    else:
        losses = distribution.fixed_spread_loss(action=action)
    return weighted_mean(values=losses, weight=weight)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class CloningLoss(CloningTerm):
    """How far the policy is from the expert: :func:`cloning_loss`."""

    name: ClassVar[str] = "loss"

    continuous_loss: ContinuousLoss
    """How continuous components are compared."""

    def value(self, inputs: CloningInputs) -> Float[Array, ""]:
        """Compute the loss."""
        return cloning_loss(
            distribution=inputs.distribution,
            action=inputs.action,
            weight=inputs.weight,
            continuous_loss=self.continuous_loss,
        )


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement(CloningTerm):
    """The share of choices and bits in which the deterministic action is the expert's, a mean over leaves; 1 where the
    action has none. To be watched.
    """

    name: ClassVar[str] = "agreement"

    weight: Scheduled = 0.0
    """It has no gradient."""

    def value(self, inputs: CloningInputs) -> Float[Array, ""]:
        """Compute it."""
        shares = _compared(inputs=inputs, compare=agreement, continuous=False)
        return jnp.mean(jnp.stack(shares)) if shares else jnp.ones(())


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class AbsoluteError(CloningTerm):
    """The error of the deterministic action's continuous components, in [−1, 1] units, a mean over leaves; 0 where the
    action has none. To be watched.
    """

    name: ClassVar[str] = "absolute_error"

    weight: Scheduled = 0.0
    """It is not what is learned."""

    def value(self, inputs: CloningInputs) -> Float[Array, ""]:
        """Compute it."""
        errors = _compared(inputs=inputs, compare=absolute_error, continuous=True)
        return jnp.mean(jnp.stack(errors)) if errors else jnp.zeros(())


def _compared(
    *, inputs: CloningInputs, compare: Callable[..., Float[Array, " N"]], continuous: bool
) -> Sequence[Float[Array, ""]]:
    """Compare the deterministic action with the expert's, in the leaves of one kind."""
    expert_action = inputs.distribution.without_unused(action=inputs.action)
    pairs = zip(jax.tree.leaves(inputs.distribution.mode()), jax.tree.leaves(expert_action), strict=True)
    return [
        weighted_mean(values=compare(chosen=chosen, expert=expert), weight=inputs.weight)
        for chosen, expert in pairs
        if jnp.issubdtype(chosen.dtype, jnp.floating) == continuous
    ]

"""Overshooting-bounded gradient descent: steps of one size, as long as they do not overshoot."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from triax.learners.optimizer import GradientTransformation
from triax.learners.registry import register
from triax.trees import Tree


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ObGDConfig:
    """Overshooting-bounded gradient descent.

    Elsayed et al. 2024 (arXiv:2410.14606), algorithm 3::

        M = α κ max(|δ|, 1) ‖z‖₁,   α' = min(α / M, α),   w ← w + α' δ z

    δ being the error of temporal differences, and z the eligibility trace of all of a network's weights.
    """

    kappa: float
    """κ, above 0: the larger, the shorter the longest step."""
    learning_rate: float = 1.0
    """α, above 0; it hardly matters, for the bound is almost always reached."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("kappa", "learning_rate"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"ObGDConfig.{name}={getattr(self, name)} must be above 0.")

    def build(self) -> GradientTransformation:
        """Build the Optax transformation.

        :return: from eligibility traces, in the place of gradients, and the extra argument ``td_error``, a scalar, to
            updates. They go uphill: δ z is added.
        """

        def update(
            traces: Tree, state: Tree, parameters: Tree = None, *, td_error: Float[Array, ""], **_: Array
        ) -> tuple[Tree, Tree]:
            size = sum((jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(traces)), jnp.zeros(()))
            overshoot = self.learning_rate * self.kappa * jnp.maximum(jnp.abs(td_error), 1.0) * size
            step = self.learning_rate / jnp.maximum(overshoot, 1.0)
            return jax.tree.map(lambda leaf: step * td_error * leaf, traces), state

        return optax.GradientTransformationExtraArgs(lambda parameters: optax.EmptyState(), update)

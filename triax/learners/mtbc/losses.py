"""How the losses of several tasks are put together, and watched one by one."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from triax.learners.cloning.losses import CloningInputs, CloningTerm, ContinuousLoss, cloning_loss
from triax.learners.registry import register
from triax.learners.terms import Scheduled
from triax.objectives.checks import check_vectors


def balanced_weight(
    *, weight: Float[Array, " N"], task: Int[Array, " N"], task_weights: Float[Array, " K"]
) -> Float[Array, " N"]:
    """Weigh rows such that their weighted mean is Σ_k λ_k L_k / Σ_k λ_k, L_k being the weighted mean over task k.

    The sums go over the tasks that have rows. So λ decides what is optimised, and the tasks' shares of the batch how
    noisy the estimate of it is.

    :param weight: w, of each row within its task, [N].
    :param task: k, of each row, [N].
    :param task_weights: λ, [K].
    :return: λ_k w / Σ_{rows of k} w, [N].
    """
    check_vectors(weight=weight, task=task)
    totals = jax.ops.segment_sum(weight, task, num_segments=task_weights.shape[0])
    return weight * (task_weights / jnp.where(totals > 0.0, totals, 1.0))[task]


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskLoss(CloningTerm):
    """The loss on one task's rows; 0 where it has none. To be watched, as ``loss_of_task_K``."""

    name: ClassVar[str] = "loss_of_task"

    task: int
    """Which."""
    continuous_loss: ContinuousLoss
    """How continuous components are compared."""
    weight: Scheduled = 0.0
    """It is a part of the whole loss already."""

    @property
    def label(self) -> str:
        """With the task's number."""
        return f"{self.name}_{self.task}"

    def value(self, inputs: CloningInputs) -> Float[Array, ""]:
        """Compute it."""
        return cloning_loss(
            distribution=inputs.distribution,
            action=inputs.action,
            weight=jnp.where(inputs.task == self.task, inputs.weight, 0.0),
            continuous_loss=self.continuous_loss,
        )

"""What can be set in multi-task behavioural cloning."""

import dataclasses
import math
from typing import TYPE_CHECKING

from triax.learners.cloning.config import RecordedCloningConfig
from triax.learners.cloning.losses import CloningTerm
from triax.learners.interface import DatasetPlan
from triax.learners.mtbc.losses import TaskLoss
from triax.learners.registry import register
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.mtbc.learner import MTBC


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class MTBCConfig(RecordedCloningConfig):
    """Multi-task behavioural cloning. How many rows of a batch each task has is said by its dataset's ``share``."""

    tasks: int = 2
    """How many heads: the tasks 0 to this, less one."""
    task_weights: tuple[float, ...] | None = None
    """How much each task's mean loss counts, whatever its number of rows; None: all the same."""
    acting_task: int = 0
    """Whose head acts, and is evaluated; see :class:`~triax.learners.mtbc.policy.MultiTaskParameters`."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        weights = self.weights
        self._require(
            (self.tasks >= 1, "tasks", "must be at least 1"),
            (len(weights) == self.tasks, "task_weights", f"must have one weight for each of the {self.tasks} tasks"),
            (
                all(0.0 <= weight < math.inf for weight in weights) and sum(weights) > 0.0,
                "task_weights",
                "must be finite, at least 0, and not all 0",
            ),
            (0 <= self.acting_task < self.tasks, "acting_task", f"must lie in 0 to {self.tasks - 1}"),
        )

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each task."""
        return (1.0,) * self.tasks if self.task_weights is None else self.task_weights

    @property
    def terms(self) -> tuple[CloningTerm, ...]:
        """All terms of the loss, and what is watched: the loss of each task, too."""
        watched = (TaskLoss(task=task, continuous_loss=self.continuous_loss) for task in range(self.tasks))
        return (*super().terms, *watched)

    @property
    def data_plan(self) -> DatasetPlan:
        """Single steps of datasets of the tasks that have a head."""
        return dataclasses.replace(super().data_plan, tasks=self.tasks)

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "MTBC":
        """Build the learner.

        :param observation_spec: the recorded observations.
        :param action_spec: the recorded actions.
        :return: the learner.
        """
        from triax.learners.mtbc.learner import MTBC

        return MTBC(config=self, observation_spec=observation_spec, action_spec=action_spec)

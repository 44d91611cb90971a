"""What can be set in online supervised learning."""

import dataclasses
from typing import TYPE_CHECKING

from triax.learners.cloning.interactive import InteractiveCloningConfig
from triax.learners.interface import OnPolicyPlan
from triax.learners.registry import register
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.online_supervised.learner import OnlineSupervised


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class OnlineSupervisedConfig(InteractiveCloningConfig):
    """Online supervised learning. ``batch_size`` divides ``steps`` times the number of environments."""

    steps: int = 256
    """Steps of each environment between updates; with 1, and as many rows a batch as environments, it is a stream."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        self._require((self.steps >= 1, "steps", "must be at least 1"))

    @property
    def data_plan(self) -> OnPolicyPlan:
        """Fresh steps, each seen once. Who acts does not change with what is learned, so that no chunk is too old."""
        return OnPolicyPlan(steps=self.steps, minibatch_size=self.batch_size, corrects_lag=True)

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "OnlineSupervised":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.online_supervised.learner import OnlineSupervised

        return OnlineSupervised(config=self, observation_spec=observation_spec, action_spec=action_spec)

"""What can be set in behavioural cloning."""

import dataclasses
from typing import TYPE_CHECKING

from triax.learners.cloning.config import RecordedCloningConfig
from triax.learners.registry import register
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.bc.learner import BC


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class BCConfig(RecordedCloningConfig):
    """Behavioural cloning."""

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "BC":
        """Build the learner.

        :param observation_spec: the recorded observations.
        :param action_spec: the recorded actions.
        :return: the learner.
        """
        from triax.learners.bc.learner import BC

        return BC(config=self, observation_spec=observation_spec, action_spec=action_spec)

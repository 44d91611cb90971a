"""What can be set in DAgger."""

import dataclasses
from typing import TYPE_CHECKING

from triax.learners.cloning.interactive import InteractiveCloningConfig
from triax.learners.interface import ReplayPlan, TransitionUnit
from triax.learners.registry import register
from triax.learners.terms import LinearSchedule, Scheduled, lowest_value
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.dagger.learner import DAgger


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class DAggerConfig(InteractiveCloningConfig):
    """Dataset aggregation, in iterations as short as a call of updates. The replay is the aggregated dataset: its
    capacity should hold all steps of the run.
    """

    expert_share: Scheduled = LinearSchedule(initial=1.0, final=0.0, updates=1)
    """β, the probability with which the expert takes a step in the learner's place, over updates. The default is that
    of the paper without parameters (section 3): the expert until there is a policy, and the learner from then on."""
    learner_samples: bool = False
    """Whether the learner's actions are sampled while it learns; squared errors do not teach the spread."""
    updates_per_step: float = 1.0
    """Updates for each environment step after the warm-up."""
    warmup_steps: int = 1000
    """Environment steps before the first update."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        share = self.expert_share
        highest = max(share.initial, share.final) if isinstance(share, LinearSchedule) else share
        self._require(
            (lowest_value(share) >= 0.0 and highest <= 1.0, "expert_share", "must lie in [0, 1]"),
            (self.updates_per_step > 0.0, "updates_per_step", "must be above 0"),
            (self.warmup_steps >= 0, "warmup_steps", "must be at least 0"),
        )

    @property
    def data_plan(self) -> ReplayPlan:
        """Single steps of all that was labelled so far; no action is random, since those have no label."""
        return ReplayPlan(
            batch_size=self.batch_size,
            unit=TransitionUnit(discount=0.0, steps=1),
            updates_per_step=self.updates_per_step,
            warmup_steps=self.warmup_steps,
            random_warmup=False,
        )

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "DAgger":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.dagger.learner import DAgger

        return DAgger(config=self, observation_spec=observation_spec, action_spec=action_spec)

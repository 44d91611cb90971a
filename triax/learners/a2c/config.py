"""What can be set in A2C. Defaults are those of OpenAI Baselines (``a2c``), with Adam in the place of RMSProp."""

import dataclasses
from typing import TYPE_CHECKING

from triax.learners.actor_critic.advantages import AdvantageEstimator, NStep
from triax.learners.actor_critic.config import ActorCriticConfig
from triax.learners.actor_critic.losses import PlainSurrogate, Surrogate
from triax.learners.optimizer import OptimizerConfig
from triax.learners.registry import register
from triax.learners.terms import Scheduled
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.a2c.learner import A2C


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class A2CConfig(ActorCriticConfig):
    """Advantage actor-critic."""

    steps: int = 5
    """Steps of each environment between updates. 1 is a stream: each step is learned from as it is made, and then
    forgotten."""
    advantages: AdvantageEstimator = dataclasses.field(default_factory=NStep)
    """How advantages are estimated."""
    surrogate: Surrogate = dataclasses.field(default_factory=PlainSurrogate)
    """What the policy minimises; for several updates a chunk, one that knows the policy that acted."""
    entropy_coefficient: Scheduled = 0.01
    """Weight of the entropy bonus."""
    normalise_returns: bool = False
    """Whether the value network learns standardised returns. In short chunks these are made of values for the greatest
    part, which grow with the deviation that they are multiplied by, and this with them, until nothing is finite."""
    optimizer: OptimizerConfig = dataclasses.field(
        default_factory=lambda: OptimizerConfig(learning_rate=7e-4, max_gradient_norm=0.5, epsilon=1e-5)
    )
    """For both networks, unless ``critic_optimizer`` is set."""

    @property
    def estimator(self) -> AdvantageEstimator:
        """The field's."""
        return self.advantages

    @property
    def policy_term(self) -> Surrogate:
        """The field's."""
        return self.surrogate

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "A2C":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.a2c.learner import A2C

        return A2C(config=self, observation_spec=observation_spec, action_spec=action_spec)

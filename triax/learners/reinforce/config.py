"""What can be set in REINFORCE. The paper has no numbers; the defaults are usual values."""

import dataclasses
from typing import TYPE_CHECKING

from triax.learners.actor_critic.advantages import MonteCarlo
from triax.learners.actor_critic.config import ActorCriticConfig
from triax.learners.actor_critic.losses import PlainSurrogate
from triax.learners.optimizer import OptimizerConfig
from triax.learners.registry import register
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.reinforce.learner import Reinforce


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinforceConfig(ActorCriticConfig):
    """REINFORCE, with or without a baseline."""

    steps: int = 512
    """Steps of each environment between updates; as long as episodes last, or longer."""
    baseline: bool = True
    """Whether the value of the observation is subtracted from the return. Without, the value network is learned all the
    same, and stands for the rest of the return where an episode was cut off."""
    optimizer: OptimizerConfig = dataclasses.field(
        default_factory=lambda: OptimizerConfig(learning_rate=1e-3, max_gradient_norm=0.5, epsilon=1e-5)
    )
    """For both networks, unless ``critic_optimizer`` is set."""

    @property
    def estimator(self) -> MonteCarlo:
        """Returns to the end of the episode."""
        return MonteCarlo(baseline=self.baseline)

    @property
    def policy_term(self) -> PlainSurrogate:
        """The paper's theorem 1."""
        return PlainSurrogate()

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "Reinforce":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.reinforce.learner import Reinforce

        return Reinforce(config=self, observation_spec=observation_spec, action_spec=action_spec)

"""What can be set in SAC. Defaults are those of Haarnoja et al. 2018 (arXiv:1812.05905), table 1, unless said."""

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from triax.learners.optimizer import OptimizerConfig
from triax.learners.registry import register
from triax.networks import ActionHeadConfig, NetworkConfig
from triax.networks.actions import highest_choice_entropy
from triax.networks.noise import ExplorationNoise, WhiteNoise
from triax.spaces import BoxLeaf, SpaceSpec, choice_table, component_sizes

if TYPE_CHECKING:
    from triax.learners.sac.learner import SAC


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class SACConfig:
    """Soft actor-critic."""

    discount: float = 0.99
    """γ, in [0, 1]."""
    batch_size: int = 256
    """Transitions an update."""
    updates_per_step: float = 1.0
    """Updates per environment step, above or below one."""
    warmup_steps: int = 1000
    """Environment steps with random actions before the first update."""
    n_step: int = 1
    """Rewards that are summed before bootstrapping."""
    target_rate: float = 0.005
    """How far the target critics move towards the critics in an update, in (0, 1]."""
    reward_scale: float = 1.0
    """A factor on rewards."""
    critics: int = 2
    """How many critics; targets take their minimum."""
    initial_temperature: float = 1.0
    """α at the start, of all parts."""
    learn_temperature: bool = True
    """Whether α is adjusted to hold the entropy at its target."""
    target_entropy: float | None = None
    """Of the continuous parameters, in nats, below that of uniform ones; None: minus the number of parameters that the
    choice uses."""
    target_choice_entropy: float | None = None
    """Of the choices, in nats, above 0 and below that of uniform ones; None: ``choice_entropy_share`` of the highest
    that is possible where the agent is."""
    choice_entropy_share: float = 0.3
    """Share of the highest possible entropy that choices keep, in (0, 1)."""
    normalise_observations: bool = False
    """Whether observations are scaled by their running mean and variance."""
    exploration: ExplorationNoise = dataclasses.field(default_factory=WhiteNoise)
    """The noise that the policy acts with: white, or correlated in time."""
    actor: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """The policy's network."""
    actor_head: ActionHeadConfig = dataclasses.field(default_factory=ActionHeadConfig)
    """The policy's last layer."""
    critic: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """The network of each critic."""
    actor_optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    """For the policy."""
    critic_optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    """For the critics."""
    temperature_optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    """For log α."""

    def __post_init__(self) -> None:
        """Check the values."""
        checks = (
            (0.0 <= self.discount <= 1.0, "discount", "must lie in [0, 1]"),
            (self.batch_size >= 1, "batch_size", "must be at least 1"),
            (self.updates_per_step > 0.0, "updates_per_step", "must be above 0"),
            (self.warmup_steps >= 0, "warmup_steps", "must be at least 0"),
            (self.n_step >= 1, "n_step", "must be at least 1"),
            (0.0 < self.target_rate <= 1.0, "target_rate", "must lie in (0, 1]"),
            (self.critics >= 1, "critics", "must be at least 1"),
            (self.initial_temperature > 0.0, "initial_temperature", "must be above 0"),
            (0.0 < self.choice_entropy_share < 1.0, "choice_entropy_share", "must lie in (0, 1)"),
        )
        for holds, name, rule in checks:
            if not holds:
                raise ValueError(f"SACConfig.{name}={getattr(self, name)!r} {rule}.")

    def check_target_entropies(self, *, action_spec: SpaceSpec) -> None:
        """Refuse targets that no policy reaches: the temperature would move for ever.

        :param action_spec: the environment's actions.
        :raises ValueError: if a target is out of reach.
        """
        table = choice_table(spec=action_spec, limit=self.actor_head.listed_choices)
        if table is None:
            possible = {part: np.ones(size, np.bool_) for part, size in component_sizes(spec=action_spec).items()}
            highest_of_choices = float(highest_choice_entropy(spec=action_spec, possible=possible))
            parameters = sum(math.prod(leaf.shape) for leaf in action_spec.leaves() if isinstance(leaf, BoxLeaf))
        else:
            highest_of_choices = math.log(len(table))
            parameters = int(table.parameters_used.sum(axis=1).max())
        highest = parameters * math.log(2.0)
        if self.target_choice_entropy is not None and not (
            0.0 < self.target_choice_entropy < (1.0 - 1e-6) * highest_of_choices  # which is computed in float32
        ):
            raise ValueError(
                f"SACConfig.target_choice_entropy={self.target_choice_entropy!r} is out of reach: the entropy of these "
                f"choices lies between 0 and {highest_of_choices:.4g} nats; choose a target in between, or None."
            )
        if self.target_entropy is not None and not self.target_entropy < highest:
            raise ValueError(
                f"SACConfig.target_entropy={self.target_entropy!r} is out of reach: {parameters} parameters in (-1, 1) "
                f"have an entropy of at most {highest:.4g} nats, if uniform; choose a lower target, or None."
            )

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "SAC":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.sac.learner import SAC

        return SAC(config=self, observation_spec=observation_spec, action_spec=action_spec)

"""What can be set in behavioural cloning. The defaults are usual values; no paper stands behind them."""

import dataclasses
from typing import TYPE_CHECKING

from triax.learners.bc.losses import AbsoluteError, Agreement, CloningLoss, CloningTerm, ContinuousLoss
from triax.learners.optimizer import OptimizerConfig
from triax.learners.registry import register
from triax.learners.terms import EntropyBonus, Scheduled, lowest_value
from triax.networks import ActionHeadConfig, NetworkConfig
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.bc.learner import BC


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class BCConfig:
    """Behavioural cloning."""

    batch_size: int = 256
    """Recorded steps an update."""
    held_out_fraction: float = 0.1
    """Share of the recorded episodes that is not learned from but watched, in [0, 1)."""
    held_out_interval: int = 500
    """Updates between looks at the held-out loss."""
    patience: int | None = 10
    """End after so many looks without improvement, and keep the best policy; None: never."""
    continuous_loss: ContinuousLoss = "squared_error"
    """For continuous actions: squared error of the deterministic action (the spread is not learned: evaluate without
    sampling), or the negative log-likelihood (which learns the spread too, for experts that vary)."""
    entropy_coefficient: Scheduled = 0.0
    """Weight of an entropy bonus."""
    further_terms: tuple[CloningTerm, ...] = ()
    """Added to the loss: terms of your own, or :class:`~triax.learners.terms.SquaredParameters`."""
    normalise_observations: bool = False
    """Whether observations are scaled by the mean and variance of the recorded ones."""
    actor: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """The policy's network."""
    actor_head: ActionHeadConfig = dataclasses.field(default_factory=lambda: ActionHeadConfig(lowest_log_std=-5.0))
    """The policy's last layer. The spread's lower bound keeps the likelihood of experts that never vary finite."""
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    """For the policy."""

    def __post_init__(self) -> None:
        """Check the values."""
        checks = (
            (self.batch_size >= 1, "batch_size", "must be at least 1"),
            (0.0 <= self.held_out_fraction < 1.0, "held_out_fraction", "must lie in [0, 1)"),
            (self.held_out_interval >= 1, "held_out_interval", "must be at least 1"),
            (self.patience is None or self.patience >= 1, "patience", "must be at least 1, or None"),
            (
                self.continuous_loss in ("squared_error", "likelihood"),
                "continuous_loss",
                "must be squared_error or likelihood",
            ),
            (lowest_value(self.entropy_coefficient) >= 0.0, "entropy_coefficient", "must be at least 0"),
        )
        for holds, name, rule in checks:
            if not holds:
                raise ValueError(f"BCConfig.{name}={getattr(self, name)!r} {rule}.")

    @property
    def terms(self) -> tuple[CloningTerm, ...]:
        """All terms of the loss, and what is watched."""
        return (
            CloningLoss(continuous_loss=self.continuous_loss),
            EntropyBonus(weight=self.entropy_coefficient),
            *self.further_terms,
            Agreement(),
            AbsoluteError(),
        )

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "BC":
        """Build the learner.

        :param observation_spec: the recorded observations.
        :param action_spec: the recorded actions.
        :return: the learner.
        """
        from triax.learners.bc.learner import BC

        return BC(config=self, observation_spec=observation_spec, action_spec=action_spec)

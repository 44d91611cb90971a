"""What can be set wherever an expert is cloned. The defaults are usual values; no paper stands behind them."""

import abc
import dataclasses
from typing import Any

from triax.learners.cloning.losses import AbsoluteError, Agreement, CloningLoss, CloningTerm, ContinuousLoss
from triax.learners.interface import DatasetPlan, Learner, TransitionUnit
from triax.learners.optimizer import OptimizerConfig
from triax.learners.terms import EntropyBonus, Scheduled, lowest_value
from triax.networks import ActionHeadConfig, NetworkConfig
from triax.spaces import SpaceSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloningConfig(abc.ABC):
    """The policy and its loss, wherever observations and labels come from."""

    batch_size: int = 256
    """Labelled steps an update."""
    continuous_loss: ContinuousLoss = "squared_error"
    """For continuous actions: squared error of the deterministic action (the spread is not learned: evaluate without
    sampling), or the negative log-likelihood (which learns the spread too, for experts that vary)."""
    entropy_coefficient: Scheduled = 0.0
    """Weight of an entropy bonus."""
    further_terms: tuple[CloningTerm, ...] = ()
    """Added to the loss: terms of your own, or :class:`~triax.learners.terms.SquaredParameters`."""
    normalise_observations: bool = False
    """Whether observations are scaled by the mean and variance of those that are learned from."""
    actor: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    """The policy's network."""
    actor_head: ActionHeadConfig = dataclasses.field(default_factory=lambda: ActionHeadConfig(lowest_log_std=-5.0))
    """The policy's last layer. The spread's lower bound keeps the likelihood of experts that never vary finite."""
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    """For the policy."""

    def __post_init__(self) -> None:
        """Check the values."""
        self._require(
            (self.batch_size >= 1, "batch_size", "must be at least 1"),
            (
                self.continuous_loss in ("squared_error", "likelihood"),
                "continuous_loss",
                "must be squared_error or likelihood",
            ),
            (lowest_value(self.entropy_coefficient) >= 0.0, "entropy_coefficient", "must be at least 0"),
        )

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

    @abc.abstractmethod
    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> Learner[Any]:
        """Build the learner.

        :param observation_spec: the observations.
        :param action_spec: the actions.
        :return: the learner.
        """

    def _require(self, *checks: tuple[bool, str, str]) -> None:
        """Refuse a value: whether it is right, the field's name, and the rule."""
        for holds, name, rule in checks:
            if not holds:
                raise ValueError(f"{type(self).__name__}.{name}={getattr(self, name)!r} {rule}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedCloningConfig(CloningConfig):
    """Cloning of what was recorded."""

    held_out_fraction: float = 0.1
    """Share of the recorded episodes that is not learned from but watched, in [0, 1)."""
    held_out_interval: int = 500
    """Updates between looks at the held-out loss."""
    patience: int | None = 10
    """End after so many looks without improvement, and keep the best policy; None: never."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        self._require(
            (0.0 <= self.held_out_fraction < 1.0, "held_out_fraction", "must lie in [0, 1)"),
            (self.held_out_interval >= 1, "held_out_interval", "must be at least 1"),
            (self.patience is None or self.patience >= 1, "patience", "must be at least 1, or None"),
        )

    @property
    def data_plan(self) -> DatasetPlan:
        """Single steps of a dataset."""
        return DatasetPlan(
            batch_size=self.batch_size,
            unit=TransitionUnit(discount=0.0, steps=1),
            held_out_fraction=self.held_out_fraction,
            held_out_interval=self.held_out_interval,
            patience=self.patience,
        )

"""What can be set in Stream AC(λ). Defaults are those of the code of Elsayed et al. 2024 (arXiv:2410.14606), for all of
its environments.
"""

import dataclasses
from typing import TYPE_CHECKING

from triax.learners.registry import register
from triax.learners.stream_ac.optimizer import ObGDConfig
from triax.learners.terms import Scheduled, lowest_value
from triax.networks import ActionHeadConfig, MLPConfig, NetworkConfig
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.stream_ac.learner import StreamAC


def _network() -> NetworkConfig:
    return NetworkConfig(
        torso=MLPConfig(
            hidden=(128, 128),
            activation="leaky_relu",
            layer_norm=True,
            layer_norm_parameters=False,
            initialisation="sparse",
        )
    )


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamACConfig:
    """Streaming actor-critic with eligibility traces, Stream AC(λ)."""

    discount: float = 0.99
    """γ, in [0, 1]."""
    trace_lambda: float = 0.8
    """λ, in [0, 1]: by γ λ eligibility traces fade each step."""
    entropy_coefficient: Scheduled = 0.01
    """τ: the entropy's weight beside log π in the actor's trace (the paper's appendix E)."""
    normalise_observations: bool = True
    """Whether observations are scaled by their running mean and variance (algorithm 6)."""
    scale_rewards: bool = True
    """Whether rewards are scaled by the running deviation of discounted sums (algorithm 5)."""
    actor: NetworkConfig = dataclasses.field(default_factory=_network)
    """The policy's network: layers normalised before the activation, without parameters; sparse weights
    (algorithm 1)."""
    actor_head: ActionHeadConfig = dataclasses.field(default_factory=lambda: ActionHeadConfig(initialisation="sparse"))
    """The policy's last layer."""
    critic: NetworkConfig = dataclasses.field(default_factory=_network)
    """The value network, made in the same way."""
    actor_optimizer: ObGDConfig = dataclasses.field(default_factory=lambda: ObGDConfig(kappa=3.0))
    """For the policy."""
    critic_optimizer: ObGDConfig = dataclasses.field(default_factory=lambda: ObGDConfig(kappa=2.0))
    """For the value network."""

    def __post_init__(self) -> None:
        """Check the values."""
        checks = (
            (0.0 <= self.discount <= 1.0, "discount", "must lie in [0, 1]"),
            (0.0 <= self.trace_lambda <= 1.0, "trace_lambda", "must lie in [0, 1]"),
            (lowest_value(self.entropy_coefficient) >= 0.0, "entropy_coefficient", "must be at least 0"),
        )
        for holds, name, rule in checks:
            if not holds:
                raise ValueError(f"StreamACConfig.{name}={getattr(self, name)!r} {rule}.")

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "StreamAC":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.stream_ac.learner import StreamAC

        return StreamAC(config=self, observation_spec=observation_spec, action_spec=action_spec)

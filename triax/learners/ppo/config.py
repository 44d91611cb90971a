"""What can be set in PPO. Defaults are those of Schulman et al. 2017 (arXiv:1707.06347), table 3 (one environment,
continuous control), unless said.
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

from triax.learners.optimizer import OptimizerConfig
from triax.learners.registry import register
from triax.networks import ActionHeadConfig, MLPConfig, NetworkConfig
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.ppo.learner import PPO


def _small_network() -> NetworkConfig:
    return NetworkConfig(
        torso=MLPConfig(hidden=(64, 64), activation="tanh", initialisation="orthogonal", scale=2.0**0.5)
    )


def _small_head() -> ActionHeadConfig:
    return ActionHeadConfig(state_dependent_std=False, initialisation="orthogonal", scale=0.01)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Proximal policy optimisation."""

    discount: float = 0.99
    """γ, in [0, 1]."""
    gae_lambda: float = 0.95
    """λ of generalised advantage estimation, in [0, 1]."""
    steps: int = 2048
    """Steps of each environment between updates; with many environments take fewer, so that the product stays."""
    epochs: int = 10
    """Passes over these steps."""
    minibatch_size: int = 64
    """Steps an update."""
    clip_range: float = 0.2
    """ε: how far probability ratios may leave 1 before the gradient vanishes."""
    clip_value_range: float | None = None
    """The same for values, in their own units (standard deviations, if returns are normalised); None: not clipped."""
    value_coefficient: float = 0.5
    """Weight of the value loss; not in the table, where networks are not shared; 0.5 is that of OpenAI Baselines."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus."""
    off_policy_correction: Literal["none", "vtrace"] = "none"
    """What is done about chunks that an older policy made, as workers' often are. "none": nothing, and the loop leaves
    out those older than ``rollout.maximum_policy_lag``. "vtrace": advantages and value targets are corrected by V-trace
    (Espeholt et al. 2018, arXiv:1802.01561), no chunk is left out for its age, workers run ahead as far as
    ``rollout.lead`` lets them, and clipping and ``stop_at_kl`` measure from the policy before the updates instead of
    the one that acted."""
    importance_limit: float = 1.0
    """ρ̄ of V-trace, where the probability ratios are truncated that weigh a step: what is learned is the value of the
    policy in proportion to min(ρ̄ μ, π), π being the policy and μ the one that acted. At least ``trace_limit``. 1 as in
    the code of the paper's authors."""
    trace_limit: float = 1.0
    """c̄ of V-trace, where the ratios are truncated that carry later steps back: lower has less variance, and learns
    more slowly. 1 as in the code of the paper's authors."""
    stop_at_kl: float | None = None
    """An update whose minibatch is further than this from the policy that acted (estimated KL, nats) is not made, and
    the epochs end. The number is taken as it is, not times 1.5; 0.015 is usual. None: all epochs are made."""
    normalise_advantages: bool = True
    """Whether advantages are scaled to mean 0 and standard deviation 1 in each minibatch; as OpenAI Baselines."""
    normalise_observations: bool = False
    """Whether observations are scaled by their running mean and variance."""
    normalise_returns: bool = True
    """Whether the value network learns returns scaled by their running mean and variance, so that its gradient has the
    same size whatever the scale of rewards; not in the paper."""
    actor: NetworkConfig = dataclasses.field(default_factory=_small_network)
    """The policy's network; shares nothing with the critic's. Orthogonal weights as in OpenAI Baselines."""
    actor_head: ActionHeadConfig = dataclasses.field(default_factory=_small_head)
    """The policy's last layer: almost the same policy everywhere at first, its spread a parameter of its own."""
    critic: NetworkConfig = dataclasses.field(default_factory=_small_network)
    """The value network."""
    optimizer: OptimizerConfig = dataclasses.field(
        default_factory=lambda: OptimizerConfig(max_gradient_norm=0.5, epsilon=1e-5)
    )
    """For both networks: one gradient of one objective (the paper's equation 9), clipped as a whole. Clipping and
    epsilon as OpenAI Baselines."""

    def __post_init__(self) -> None:
        """Check the values."""
        checks = (
            (0.0 <= self.discount <= 1.0, "discount", "must lie in [0, 1]"),
            (0.0 <= self.gae_lambda <= 1.0, "gae_lambda", "must lie in [0, 1]"),
            (self.steps >= 1, "steps", "must be at least 1"),
            (self.epochs >= 1, "epochs", "must be at least 1"),
            (self.minibatch_size >= 1, "minibatch_size", "must be at least 1"),
            (self.clip_range > 0.0, "clip_range", "must be above 0"),
            (self.clip_value_range is None or self.clip_value_range > 0.0, "clip_value_range", "must be above 0"),
            (self.value_coefficient >= 0.0, "value_coefficient", "must be at least 0"),
            (self.entropy_coefficient >= 0.0, "entropy_coefficient", "must be at least 0"),
            (self.stop_at_kl is None or self.stop_at_kl > 0.0, "stop_at_kl", "must be above 0"),
            (self.off_policy_correction in ("none", "vtrace"), "off_policy_correction", 'must be "none" or "vtrace"'),
            (0.0 < self.trace_limit < math.inf, "trace_limit", "must be above 0 and finite"),
            (
                self.trace_limit <= self.importance_limit < math.inf,
                "importance_limit",
                "must be at least trace_limit, and finite",
            ),
        )
        for holds, name, rule in checks:
            if not holds:
                raise ValueError(f"PPOConfig.{name}={getattr(self, name)!r} {rule}.")

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "PPO":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.ppo.learner import PPO

        return PPO(config=self, observation_spec=observation_spec, action_spec=action_spec)

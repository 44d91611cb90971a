"""What can be set in PPO. Defaults are those of Schulman et al. 2017 (arXiv:1707.06347), table 3 (one environment,
continuous control), unless said.
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

from triax.learners.actor_critic.advantages import AdvantageEstimator, Generalised, VTrace
from triax.learners.actor_critic.config import ActorCriticConfig
from triax.learners.actor_critic.losses import ActorCriticTerm, ClipFraction, ClippedSurrogate
from triax.learners.registry import register
from triax.spaces import SpaceSpec

if TYPE_CHECKING:
    from triax.learners.ppo.learner import PPO


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig(ActorCriticConfig):
    """Proximal policy optimisation."""

    gae_lambda: float = 0.95
    """λ of generalised advantage estimation, in [0, 1]."""
    steps: int = 2048
    """Steps of each environment between updates; with many environments take fewer, so that the product stays."""
    epochs: int = 10
    """Passes over these steps."""
    minibatch_size: int | None = 64
    """Steps an update."""
    clip_range: float = 0.2
    """ε: how far probability ratios may leave 1 before the gradient vanishes."""
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
    normalise_advantages: bool = True
    """Whether advantages are scaled to mean 0 and standard deviation 1 in each minibatch; as OpenAI Baselines."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        checks = (
            (0.0 <= self.gae_lambda <= 1.0, "gae_lambda", "must lie in [0, 1]"),
            (self.clip_range > 0.0, "clip_range", "must be above 0"),
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

    @property
    def estimator(self) -> AdvantageEstimator:
        """Generalised advantages, corrected by V-trace if asked to."""
        if self.off_policy_correction == "none":
            return Generalised(gae_lambda=self.gae_lambda)
        return VTrace(gae_lambda=self.gae_lambda, importance_limit=self.importance_limit, trace_limit=self.trace_limit)

    @property
    def policy_term(self) -> ClippedSurrogate:
        """The paper's equation 7."""
        return ClippedSurrogate(clip_range=self.clip_range)

    @property
    def terms(self) -> tuple[ActorCriticTerm, ...]:
        """The paper's equation 9, with its sign turned, and the clip fraction."""
        return (*super().terms, ClipFraction(clip_range=self.clip_range))

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "PPO":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        from triax.learners.ppo.learner import PPO

        return PPO(config=self, observation_spec=observation_spec, action_spec=action_spec)

"""Soft actor-critic, version 2 (Haarnoja et al. 2018, "Soft actor-critic algorithms and applications",
arXiv:1812.05905).

Off-policy, for continuous actions: twin critics (or any number), a squashed Gaussian actor, a temperature that holds
the policy's entropy at a target.
"""

from triax.learners.sac.config import SACConfig
from triax.learners.sac.learner import SAC
from triax.learners.sac.state import SACMetrics, SACState

__all__ = ["SAC", "SACConfig", "SACMetrics", "SACState"]

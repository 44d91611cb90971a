"""Advantage actor-critic, the synchronous form of Mnih et al. 2016, "Asynchronous methods for deep reinforcement
learning" (arXiv:1602.01783).

On-policy, for every action space: one update a chunk by the gradient of the policy that acted, n-step advantages, an
entropy bonus. With chunks of one step it learns from a stream. One of the family of
:mod:`triax.learners.actor_critic`.
"""

from triax.learners.a2c.config import A2CConfig
from triax.learners.a2c.learner import A2C

__all__ = ["A2C", "A2CConfig"]

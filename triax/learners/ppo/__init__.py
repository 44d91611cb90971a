"""Proximal policy optimisation (Schulman et al. 2017, "Proximal policy optimization algorithms", arXiv:1707.06347).

On-policy, for every action space: an actor improved within a clipped range of the policy that acted, a value network,
advantages by generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438). One of the family of
:mod:`triax.learners.actor_critic`.
"""

from triax.learners.ppo.config import PPOConfig
from triax.learners.ppo.learner import PPO

__all__ = ["PPO", "PPOConfig"]

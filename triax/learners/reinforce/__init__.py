"""REINFORCE (Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning").

On-policy, for every action space: actions become likelier by the return that followed them, less a baseline. One of the
family of :mod:`triax.learners.actor_critic`.
"""

from triax.learners.reinforce.config import ReinforceConfig
from triax.learners.reinforce.learner import Reinforce

__all__ = ["Reinforce", "ReinforceConfig"]

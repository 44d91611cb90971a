"""Dataset aggregation (Ross et al. 2011, "A reduction of imitation learning and structured prediction to no-regret
online learning", arXiv:1011.0686): the learner acts, and the expert says in every step what would have been right.

So the learner sees the states that it brings itself into. Everything that was ever labelled is learned from. One of the
family of :mod:`triax.learners.cloning`.
"""

from triax.learners.dagger.config import DAggerConfig
from triax.learners.dagger.learner import DAgger

__all__ = ["DAgger", "DAggerConfig"]

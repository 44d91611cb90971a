"""Behavioural cloning (Pomerleau 1989, "ALVINN: An autonomous land vehicle in a neural network").

Supervised: the policy learns to do what the recorded actions do, in every action space. No environment is stepped. One
of the family of :mod:`triax.learners.cloning`.
"""

from triax.learners.bc.config import BCConfig
from triax.learners.bc.learner import BC

__all__ = ["BC", "BCConfig"]

"""Behavioural cloning (Pomerleau 1989, "ALVINN: An autonomous land vehicle in a neural network").

Supervised: the policy learns to do what the recorded actions do, in every action space. No environment is stepped.
"""

from triax.learners.bc.config import BCConfig
from triax.learners.bc.learner import BC
from triax.learners.bc.losses import CloningInputs, CloningTerm
from triax.learners.bc.state import BCState

__all__ = ["BC", "BCConfig", "BCState", "CloningInputs", "CloningTerm"]

"""Multi-task behavioural cloning: an encoder and hidden layers that all tasks share, and a head for each task.

Each batch has rows of every task. What is shared can be loaded into another learner, to learn a new task from less. One
of the family of :mod:`triax.learners.cloning`.
"""

from triax.learners.mtbc.config import MTBCConfig
from triax.learners.mtbc.learner import MTBC
from triax.learners.mtbc.policy import MultiTaskParameters, MultiTaskPolicy

__all__ = ["MTBC", "MTBCConfig", "MultiTaskParameters", "MultiTaskPolicy"]

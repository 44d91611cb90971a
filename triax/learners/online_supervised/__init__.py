"""Online supervised learning: the expert acts, and the learner watches the stream of what it sees and does.

There is interaction, and the learner has no influence on what it gets to see: the distribution is the expert's, as in
a recording of it, but each step is seen once. One of the family of :mod:`triax.learners.cloning`.
"""

from triax.learners.online_supervised.config import OnlineSupervisedConfig
from triax.learners.online_supervised.learner import OnlineSupervised

__all__ = ["OnlineSupervised", "OnlineSupervisedConfig"]

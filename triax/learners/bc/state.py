"""What changes while a policy is cloned."""

from jaxtyping import Array, Int

from triax.learners.optimizer import Trainable
from triax.networks import ObservationStatistics
from triax.trees import tree_dataclass


@tree_dataclass
class BCState:
    """All that behavioural cloning learns.

    :ivar actor: the policy's parameters.
    :ivar statistics: of the recorded observations; None unless they are normalised.
    :ivar updates: updates made so far.
    """

    actor: Trainable
    statistics: ObservationStatistics | None
    updates: Int[Array, ""]

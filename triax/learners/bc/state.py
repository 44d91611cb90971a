"""What changes while a policy is cloned, and what is reported."""

from jaxtyping import Array, Float, Int

from triax.learners.optimizer import Trainable
from triax.networks import ObservationStatistics
from triax.trees import Tree, tree_dataclass


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


@tree_dataclass
class BCPolicyParameters:
    """All that the cloned policy acts with.

    :ivar actor: the network's parameters.
    :ivar statistics: of the recorded observations; None unless they are normalised.
    """

    actor: Tree
    statistics: ObservationStatistics | None


@tree_dataclass
class BCMetrics:
    """Scalars of one update.

    :ivar loss: summed over the leaves of the action, without the entropy bonus.
    :ivar agreement: share of choices and bits in which the deterministic action is the expert's, a mean over leaves; 1
        where the action has none.
    :ivar absolute_error: of the deterministic action's continuous components, in [−1, 1] units, a mean over leaves; 0
        where the action has none.
    :ivar entropy: of the policy, nats (an estimate where actions are continuous).
    """

    loss: Float[Array, ""]
    agreement: Float[Array, ""]
    absolute_error: Float[Array, ""]
    entropy: Float[Array, ""]

"""What changes while a policy is cloned, and what it learns from."""

from jaxtyping import Array, Float, Int

from triax.learners.optimizer import Trainable
from triax.networks import ObservationStatistics
from triax.trees import Tree, tree_dataclass
from triax.types import AnyArray


@tree_dataclass
class CloningState:
    """All that cloning learns.

    :ivar actor: the policy's parameters.
    :ivar statistics: of the observations; None unless they are normalised.
    :ivar updates: updates made so far.
    """

    actor: Trainable
    statistics: ObservationStatistics | None
    updates: Int[Array, ""]


@tree_dataclass
class LabelledRows:
    """Steps, and what the expert does there.

    :ivar observation: inside form, [N, ...].
    :ivar action: the expert's, inside form, [N, ...].
    :ivar weight: how much each row counts, at least 0, [N].
    :ivar task: the number of each row's task, [N].
    """

    observation: Tree
    action: Tree
    weight: Float[AnyArray, "*batches N"]
    task: Int[AnyArray, "*batches N"]

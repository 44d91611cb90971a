"""What changes while SAC learns, and what it reports."""

from jaxtyping import Array, Float, Int

from triax.learners.optimizer import Trainable
from triax.networks import ObservationStatistics
from triax.trees import Tree, tree_dataclass


@tree_dataclass
class SACState:
    """All that SAC learns.

    :ivar actor: the policy's parameters.
    :ivar critics: a tuple with the parameters of each critic.
    :ivar target_critics: their slowly moving copies.
    :ivar temperature: log α, of the continuous parameters and of the choices.
    :ivar statistics: of observations; None unless they are normalised.
    :ivar updates: updates made so far.
    """

    actor: Trainable
    critics: Trainable
    target_critics: tuple[Tree, ...]
    temperature: Trainable
    statistics: ObservationStatistics | None
    updates: Int[Array, ""]


@tree_dataclass
class SACPolicyParameters:
    """All that SAC's policy acts with.

    :ivar actor: the network's parameters.
    :ivar statistics: of observations; None unless they are normalised.
    """

    actor: Tree
    statistics: ObservationStatistics | None


@tree_dataclass
class SACMetrics:
    """Scalars of one update.

    :ivar critic_loss: half the mean squared error, summed over critics.
    :ivar critic_value: mean of the first critic's values.
    :ivar target_value: mean of the regression targets.
    :ivar actor_loss: minus the mean soft value of the policy.
    :ivar entropy: estimate of the entropy of the policy's continuous parameters, nats; None where there are none.
    :ivar temperature: α of the continuous parameters; None where there are none.
    :ivar choice_entropy: of the policy's choices, nats; None where there are none.
    :ivar choice_temperature: α of the choices; None where there are none.
    """

    critic_loss: Float[Array, ""]
    critic_value: Float[Array, ""]
    target_value: Float[Array, ""]
    actor_loss: Float[Array, ""]
    entropy: Float[Array, ""] | None
    temperature: Float[Array, ""] | None
    choice_entropy: Float[Array, ""] | None = None
    choice_temperature: Float[Array, ""] | None = None

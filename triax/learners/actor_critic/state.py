"""What changes while actor and critic learn, and what they learn from."""

from jaxtyping import Array, Bool, Float, Int

from triax.learners.optimizer import Trainable
from triax.networks import ObservationStatistics, RunningMoments
from triax.trees import Tree, tree_dataclass


@tree_dataclass
class ActorCriticNetworks:
    """The parameters that are optimised together; gradients have the same structure.

    :ivar actor: of the policy.
    :ivar critic: of the value network.
    """

    actor: Tree
    critic: Tree


@tree_dataclass
class ActorCriticStatistics:
    """Running moments.

    :ivar observation: of observations; None unless they are normalised.
    :ivar returns: of value targets, scalars; None unless they are normalised.
    """

    observation: ObservationStatistics | None
    returns: RunningMoments | None

    def normalised_observation(self, *, observation: Tree) -> Tree:
        """Scale observations, or leave them as they are.

        :param observation: inside form, [..., *leaf shape].
        :return: the same structure.
        """
        return observation if self.observation is None else self.observation.normalise(observation=observation)

    def normalised_return(self, *, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Go from the units of rewards to those of the value network.

        :param value: values or returns, [...].
        :return: [...].
        """
        return value if self.returns is None else self.returns.standardise(values=value, limit=float("inf"))

    def actual_value(self, *, output: Float[Array, "..."]) -> Float[Array, "..."]:
        """Go from the units of the value network to those of rewards.

        :param output: of the value network, [...].
        :return: values, [...].
        """
        return output if self.returns is None else self.returns.unstandardise(values=output)


@tree_dataclass
class ActorCriticState:
    """All that is learned.

    The statistics are kept twice. A policy version has fixed ones, ``statistics``: with them it acts, and with them
    ``ingest`` prepares all chunks that it made, however many. What these chunks add goes to ``collected``, and comes
    into use with the next policy version, which is made by the first update after.

    :ivar networks: the parameters of actor and critic, and their optimiser's state.
    :ivar statistics: in use by the policy.
    :ivar collected: of everything seen.
    :ivar updates: updates so far.
    """

    networks: Trainable
    statistics: ActorCriticStatistics
    collected: ActorCriticStatistics
    updates: Int[Array, ""]


@tree_dataclass
class PreparedRows:
    """Experience as updates learn from it: N rows, in any order.

    :ivar observation: scaled by the statistics that the policy acted with, [N, ...].
    :ivar action: as the policy chose it, [N, ...].
    :ivar log_probability: of the action, when it was taken; corrected by V-trace: before the updates, [N].
    :ivar advantage: in units of rewards, [N].
    :ivar value_target: returns as the estimator of advantages has them, in units of rewards, [N].
    :ivar value: what the value network said before the updates, in units of rewards, [N].
    :ivar valid: whether an action was taken in the row, [N].
    :ivar importance: how much V-trace has the policy learn from the row, [N]; None without it.
    """

    observation: Tree
    action: Tree
    log_probability: Float[Array, " N"]
    advantage: Float[Array, " N"]
    value_target: Float[Array, " N"]
    value: Float[Array, " N"]
    valid: Bool[Array, " N"]
    importance: Float[Array, " N"] | None = None

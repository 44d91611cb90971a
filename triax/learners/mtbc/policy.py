"""The policy of one of several tasks."""

from jaxtyping import Array, Int

from triax.learners.actor import ActorParameters, ActorPolicy
from triax.networks import Distribution
from triax.trees import Tree, tree_dataclass


@tree_dataclass
class MultiTaskParameters(ActorParameters):
    """All that a policy of several tasks acts with.

    :ivar task: whose head acts. It can be replaced in a loaded agent's parameters, to play another task.
    """

    task: Int[Array, ""]


class MultiTaskPolicy(ActorPolicy):
    """A :class:`triax.types.Policy` that acts by the head of the task that its parameters name."""

    def distribution(self, *, parameters: ActorParameters, observation: Tree) -> Distribution:
        """Compute the distribution over actions.

        :param parameters: of the network, statistics, and the task.
        :param observation: inside form, [B, ...].
        :return: with the leading axis [B].
        """
        assert isinstance(parameters, MultiTaskParameters)
        return self.distribution_of_tasks(parameters=parameters, observation=observation, task=parameters.task)

    def distribution_of_tasks(
        self, *, parameters: ActorParameters, observation: Tree, task: Int[Array, "*#N"]
    ) -> Distribution:
        """Compute the distributions over actions of rows of different tasks.

        :param parameters: of the network, and statistics.
        :param observation: inside form, [N, ...].
        :param task: one for all rows, or one for each, [] or [N].
        :return: with the leading axis [N].
        """
        if parameters.statistics is not None:
            observation = parameters.statistics.normalise(observation=observation)
        distribution: Distribution = self._actor.bind(parameters=parameters.actor)(observation, task)
        return distribution

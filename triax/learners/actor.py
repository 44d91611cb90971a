"""The policy that learners with an actor share: the distribution that a network gives, without memory."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Bool

from triax.networks import Distribution, FunctionalNetwork, ObservationStatistics
from triax.random import KeyArray
from triax.spaces import BoxLeaf, SpaceSpec
from triax.trees import Tree, tree_dataclass
from triax.types import ActionMode, PolicyOutput

LOG_PROBABILITY = "log_probability"
"""The name under which rollout stores the log-probability of each action."""


@tree_dataclass
class ActorParameters:
    """All that an actor acts with.

    :ivar actor: the network's parameters.
    :ivar statistics: of observations; None unless they are normalised.
    """

    actor: Tree
    statistics: ObservationStatistics | None


class ActorPolicy:
    """A :class:`triax.types.Policy`.

    :param actor: the network.
    :param stores_log_probability: whether rollout is to store the log-probability of each action.
    """

    def __init__(self, *, actor: FunctionalNetwork[Any], stores_log_probability: bool = False) -> None:
        self._actor = actor
        self._stores_log_probability = stores_log_probability

    @property
    def extras_spec(self) -> Mapping[str, SpaceSpec]:
        """What rollout stores beside each action."""
        if not self._stores_log_probability:
            return {}
        return {LOG_PROBABILITY: SpaceSpec(tree=BoxLeaf(shape=(), low=(-float("inf"),), high=(float("inf"),)))}

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> tuple[()]:
        """Make the memory: there is none.

        :param batch_shape: leading axes.
        :return: an empty tuple.
        """
        return ()

    def distribution(self, *, parameters: ActorParameters, observation: Tree) -> Distribution:
        """Compute the distribution over actions; learning and acting may both come through here.

        :param parameters: of the network, and statistics.
        :param observation: inside form, [B, ...].
        :return: with the leading axis [B].
        """
        if parameters.statistics is not None:
            observation = parameters.statistics.normalise(observation=observation)
        distribution: Distribution = self._actor.bind(parameters=parameters.actor)(observation)
        return distribution

    def act(
        self,
        *,
        parameters: ActorParameters,
        carry: tuple[()],
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        """Choose actions; see :class:`triax.types.Policy`."""
        distribution = self.distribution(parameters=parameters, observation=observation)
        action = distribution.mode() if mode is ActionMode.MODE else distribution.sample(key=key)
        if not self._stores_log_probability:
            return PolicyOutput(action=action, carry=carry, extras={})
        # Of the action as it is stored, by the formula that updates use: then the first ratio is 1.
        return PolicyOutput(action=action, carry=carry, extras={LOG_PROBABILITY: distribution.log_prob(action=action)})

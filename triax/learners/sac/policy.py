"""How SAC acts."""

import jax
from jaxtyping import Array, Bool

from triax.learners.sac.config import SACConfig
from triax.learners.sac.state import SACPolicyParameters
from triax.networks import ActionCode, ActorModel, ChoiceDistribution, FunctionalNetwork
from triax.random import KeyArray
from triax.trees import Tree
from triax.types import ActionMode, PolicyOutput


class SACPolicy:
    """Choices, and squashed Gaussians over their parameters, with noise that may be correlated in time.

    :param config: SAC's config.
    :param actor: the network.
    :param code: how actions are written.
    """

    def __init__(self, *, config: SACConfig, actor: FunctionalNetwork[ActorModel], code: ActionCode) -> None:
        self._noise = config.exploration
        self._actor = actor
        self._code = code

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> tuple[Array, ...]:
        """Make the state of the exploration noise.

        :param batch_shape: leading axes.
        :return: empty for white noise.
        """
        return self._noise.initial_carry(batch_shape=batch_shape, components=self._code.parameters)

    def act(
        self,
        *,
        parameters: SACPolicyParameters,
        carry: tuple[Array, ...],
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        """Choose actions; see :class:`triax.types.Policy`."""
        if parameters.statistics is not None:
            observation = parameters.statistics.normalise(observation=observation)
        distribution = self._actor.bind(parameters=parameters.actor)(observation)
        if mode is ActionMode.MODE:
            return PolicyOutput(action=distribution.mode(), carry=carry, extras={})
        choice_key, noise_key = jax.random.split(key) if self._code.sizes else (key, key)
        noise = self._noise.step(carry=carry, is_first=is_first, components=self._code.parameters, key=noise_key)
        assert isinstance(distribution, ChoiceDistribution)
        action = distribution.sample_from_noise(noise=noise.value, key=choice_key)
        return PolicyOutput(action=action, carry=noise.carry, extras={})

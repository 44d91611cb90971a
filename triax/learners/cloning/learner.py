"""Cloning as pure functions: one supervised step in every update."""

import abc
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.actor import ActorParameters, ActorPolicy
from triax.learners.cloning.config import CloningConfig
from triax.learners.cloning.losses import CloningInputs, cloning_loss
from triax.learners.cloning.state import CloningState, LabelledRows
from triax.learners.interface import Learner
from triax.learners.optimizer import apply_gradients, initial_trainable
from triax.learners.terms import weighted_sum
from triax.networks import ActorModel, Distribution, FunctionalNetwork, ObservationStatistics
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree, replace, tree_map
from triax.types import Trajectory, UpdateOutput


class Cloning(Learner[CloningState]):
    """A policy that learns to do what an expert does; subclasses say where the expert's actions stand.

    :param config: what can be set.
    :param observation_spec: the observations.
    :param action_spec: the actions.
    """

    def __init__(self, *, config: CloningConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        self.config = config
        self.observation_spec = observation_spec
        self.action_spec = action_spec
        self.actor: FunctionalNetwork[Any] = self.make_actor()
        self._terms = config.terms
        self._optimizer = config.optimizer.build()
        self._policy = ActorPolicy(actor=self.actor)
        self.ingests = config.normalise_observations

    @property
    def policy(self) -> ActorPolicy:
        """The cloned policy."""
        return self._policy

    @abc.abstractmethod
    def labelled(self, *, batch: Any) -> LabelledRows:
        """Find in a batch what is learned from.

        :param batch: what the data plan names.
        :return: its rows.
        """

    def make_actor(self) -> FunctionalNetwork[Any]:
        """Make the static side of the policy's network.

        :return: the network.
        """
        return FunctionalNetwork(
            make=lambda rngs: ActorModel(
                config=self.config.actor,
                head=self.config.actor_head,
                observation_spec=self.observation_spec,
                action_spec=self.action_spec,
                rngs=rngs,
            )
        )

    def distribution(self, *, parameters: ActorParameters, rows: LabelledRows) -> Distribution:
        """Compute the policy of each row.

        :param parameters: the network's, and the statistics.
        :param rows: of the batch.
        :return: with the leading axis [N].
        """
        return self._policy.distribution(parameters=parameters, observation=rows.observation)

    def initial_state(self, *, key: KeyArray) -> CloningState:
        """Make the state in which learning begins.

        :param key: randomness for the network.
        :return: the state.
        """
        statistics = ObservationStatistics.initial(spec=self.observation_spec)
        return CloningState(
            actor=initial_trainable(parameters=self.actor.initial_parameters(key=key), optimizer=self._optimizer),
            statistics=statistics if self.config.normalise_observations else None,
            updates=jnp.zeros((), jnp.int32),
        )

    def ingest(self, *, state: CloningState, chunk: Trajectory) -> tuple[CloningState, Any]:
        """Take the observations of a piece of experience into the statistics.

        :param state: the state.
        :param chunk: the experience; of a dataset, all that is learned from.
        :return: the new state, and the experience as it was.
        """
        if state.statistics is None:
            return state, chunk
        observation = tree_map(lambda leaf: leaf[:-1], chunk.observation)
        statistics = state.statistics.updated(observation=observation, valid=jnp.asarray(chunk.valid))
        return replace(state, statistics=statistics), chunk

    def update(self, *, state: CloningState, batch: Any, key: KeyArray) -> tuple[CloningState, UpdateOutput]:
        """Improve the policy once.

        :param state: the state.
        :param batch: what the data plan names.
        :param key: randomness.
        :return: the new state, and metrics.
        """
        rows = self.labelled(batch=tree_map(jnp.asarray, batch))

        def loss_of(parameters: Tree) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
            acting = ActorParameters(actor=parameters, statistics=state.statistics)
            inputs = CloningInputs(
                distribution=self.distribution(parameters=acting, rows=rows),
                action=rows.action,
                weight=jnp.asarray(rows.weight),
                task=jnp.asarray(rows.task),
                parameters=parameters,
                key=key,
            )
            return weighted_sum(terms=self._terms, inputs=inputs, updates=state.updates)

        gradients, metrics = jax.grad(loss_of, has_aux=True)(state.actor.parameters)
        actor = apply_gradients(trainable=state.actor, gradients=gradients, optimizer=self._optimizer)
        return replace(state, actor=actor, updates=state.updates + 1), UpdateOutput(metrics=metrics)

    def policy_parameters(self, *, state: CloningState) -> ActorParameters:
        """Extract the actor and the observation statistics.

        :param state: the state.
        :return: what the policy acts with.
        """
        return ActorParameters(actor=state.actor.parameters, statistics=state.statistics)

    def with_policy_parameters(self, *, state: CloningState, parameters: ActorParameters) -> CloningState:
        """Begin with another actor and statistics; see :meth:`Learner.with_policy_parameters`."""
        actor = replace(state.actor, parameters=parameters.actor)
        return replace(state, actor=actor, statistics=parameters.statistics)

    def held_out_loss(self, *, state: CloningState, batch: Any) -> Float[Array, ""]:
        """Compute how far the policy is from the expert, on steps that are not learned from.

        :param state: the state.
        :param batch: held-out steps.
        :return: the loss, without the entropy bonus and further terms.
        """
        rows = self.labelled(batch=tree_map(jnp.asarray, batch))
        acting = ActorParameters(actor=state.actor.parameters, statistics=state.statistics)
        return cloning_loss(
            distribution=self.distribution(parameters=acting, rows=rows),
            action=rows.action,
            weight=jnp.asarray(rows.weight),
            continuous_loss=self.config.continuous_loss,
        )

"""Behavioural cloning as pure functions: one supervised step in every update."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.actor import ActorParameters, ActorPolicy
from triax.learners.bc.config import BCConfig
from triax.learners.bc.losses import CloningInputs, cloning_loss
from triax.learners.bc.state import BCState
from triax.learners.interface import DatasetPlan, Learner, TransitionUnit
from triax.learners.optimizer import apply_gradients, initial_trainable
from triax.learners.terms import weighted_sum
from triax.networks import ActorModel, Distribution, FunctionalNetwork, ObservationStatistics
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree, replace, tree_map
from triax.types import Trajectory, Transitions, UpdateOutput


class BC(Learner[BCState]):
    """Behavioural cloning.

    :param config: what can be set.
    :param observation_spec: the recorded observations.
    :param action_spec: the recorded actions.
    """

    def __init__(self, *, config: BCConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        self.config = config
        self.observation_spec = observation_spec
        self.actor = FunctionalNetwork(
            make=lambda rngs: ActorModel(
                config=config.actor,
                head=config.actor_head,
                observation_spec=observation_spec,
                action_spec=action_spec,
                rngs=rngs,
            )
        )
        self._terms = config.terms
        self._optimizer = config.optimizer.build()
        self._policy = ActorPolicy(actor=self.actor)
        self.ingests = config.normalise_observations

    @property
    def data_plan(self) -> DatasetPlan:
        """Single steps of a dataset."""
        return DatasetPlan(
            batch_size=self.config.batch_size,
            unit=TransitionUnit(discount=0.0, steps=1),
            held_out_fraction=self.config.held_out_fraction,
            held_out_interval=self.config.held_out_interval,
            patience=self.config.patience,
        )

    @property
    def policy(self) -> ActorPolicy:
        """The cloned policy."""
        return self._policy

    def initial_state(self, *, key: KeyArray) -> BCState:
        """Make the state in which learning begins.

        :param key: randomness for the network.
        :return: the state.
        """
        statistics = ObservationStatistics.initial(spec=self.observation_spec)
        return BCState(
            actor=initial_trainable(parameters=self.actor.initial_parameters(key=key), optimizer=self._optimizer),
            statistics=statistics if self.config.normalise_observations else None,
            updates=jnp.zeros((), jnp.int32),
        )

    def ingest(self, *, state: BCState, chunk: Trajectory) -> tuple[BCState, Trajectory]:
        """Take the observations of the recorded steps into the statistics; once, before the first update.

        :param state: the state.
        :param chunk: the part of the dataset that is learned from.
        :return: the new state, and the experience as it was.
        """
        if state.statistics is None:
            return state, chunk
        observation = tree_map(lambda leaf: leaf[:-1], chunk.observation)
        statistics = state.statistics.updated(observation=observation, valid=jnp.asarray(chunk.valid))
        return replace(state, statistics=statistics), chunk

    def update(self, *, state: BCState, batch: Transitions, key: KeyArray) -> tuple[BCState, UpdateOutput]:
        """Improve the policy once.

        :param state: the state.
        :param batch: recorded steps; observations and actions are used.
        :param key: randomness.
        :return: the new state, and metrics.
        """
        batch = tree_map(jnp.asarray, batch)

        def loss_of(parameters: Tree) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
            inputs = CloningInputs(
                distribution=self._distribution(state=state, parameters=parameters, observation=batch.observation),
                action=batch.action,
                weight=jnp.asarray(batch.weight),
                parameters=parameters,
                key=key,
            )
            return weighted_sum(terms=self._terms, inputs=inputs, updates=state.updates)

        gradients, metrics = jax.grad(loss_of, has_aux=True)(state.actor.parameters)
        actor = apply_gradients(trainable=state.actor, gradients=gradients, optimizer=self._optimizer)
        return replace(state, actor=actor, updates=state.updates + 1), UpdateOutput(metrics=metrics)

    def policy_parameters(self, *, state: BCState) -> ActorParameters:
        """Extract the actor and the observation statistics.

        :param state: the state.
        :return: what the policy acts with.
        """
        return ActorParameters(actor=state.actor.parameters, statistics=state.statistics)

    def held_out_loss(self, *, state: BCState, batch: Transitions) -> Float[Array, ""]:
        """Compute how far the policy is from the expert, on recorded steps that are not learned from.

        :param state: the state.
        :param batch: held-out steps.
        :return: the loss, without the entropy bonus and further terms.
        """
        batch = tree_map(jnp.asarray, batch)
        return cloning_loss(
            distribution=self._distribution(
                state=state, parameters=state.actor.parameters, observation=batch.observation
            ),
            action=batch.action,
            weight=jnp.asarray(batch.weight),
            continuous_loss=self.config.continuous_loss,
        )

    def _distribution(self, *, state: BCState, parameters: Tree, observation: Tree) -> Distribution:
        policy_parameters = ActorParameters(actor=parameters, statistics=state.statistics)
        return self._policy.distribution(parameters=policy_parameters, observation=observation)

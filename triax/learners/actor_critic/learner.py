"""Actor-critics as pure functions: ``ingest`` estimates advantages, ``update`` takes one step on a batch of rows."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.learners.actor import LOG_PROBABILITY, ActorParameters, ActorPolicy
from triax.learners.actor_critic.config import ActorCriticConfig
from triax.learners.actor_critic.losses import loss_inputs
from triax.learners.actor_critic.state import (
    ActorCriticNetworks,
    ActorCriticState,
    ActorCriticStatistics,
    PreparedRows,
)
from triax.learners.interface import Learner, OnPolicyPlan
from triax.learners.optimizer import apply_gradients, initial_trainable
from triax.learners.terms import weighted_sum
from triax.networks import ActorModel, FunctionalNetwork, ObservationStatistics, RunningMoments, ValueModel
from triax.objectives.checks import check_shape
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree, replace, tree_map
from triax.types import Trajectory, UpdateOutput


class ActorCritic(Learner[ActorCriticState]):
    """A policy and a value network that learn from fresh experience; the config says by which terms.

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    """

    def __init__(self, *, config: ActorCriticConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
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
        self.critic = FunctionalNetwork(
            make=lambda rngs: ValueModel(config=config.critic, observation_spec=observation_spec, rngs=rngs)
        )
        self._estimator = config.estimator
        self._terms = config.terms
        self._optimizer = config.build_optimizer()
        self._policy = ActorPolicy(actor=self.actor, stores_log_probability=True)

    @property
    def data_plan(self) -> OnPolicyPlan:
        """Fresh chunks, used for some epochs; a stream, if they have one step and are used once."""
        return OnPolicyPlan(
            steps=self.config.steps,
            epochs=self.config.epochs,
            minibatch_size=self.config.minibatch_size,
            corrects_lag=self._estimator.corrects_lag,
        )

    @property
    def policy(self) -> ActorPolicy:
        """The actor's distribution."""
        return self._policy

    @property
    def extras_spec(self) -> Mapping[str, SpaceSpec]:
        """The log-probability of each action."""
        return self._policy.extras_spec

    def initial_state(self, *, key: KeyArray) -> ActorCriticState:
        """Make the state in which learning begins.

        :param key: randomness for the networks.
        :return: the state.
        """
        actor_key, critic_key = jax.random.split(key)
        networks = ActorCriticNetworks(
            actor=self.actor.initial_parameters(key=actor_key), critic=self.critic.initial_parameters(key=critic_key)
        )
        return ActorCriticState(
            networks=initial_trainable(parameters=networks, optimizer=self._optimizer),
            # Made twice: one buffer cannot be donated twice.
            statistics=self._initial_statistics(),
            collected=self._initial_statistics(),
            updates=jnp.zeros((), jnp.int32),
        )

    def ingest(self, *, state: ActorCriticState, chunk: Trajectory) -> tuple[ActorCriticState, PreparedRows]:
        """Estimate the advantages of a chunk, and take it into the statistics that the next policy will use.

        :param state: the state whose policy made the chunk; corrected by V-trace, an older one may have made it.
        :param chunk: the experience.
        :return: the new state, and T · B rows.
        """
        check_shape(expected=jnp.shape(chunk.reward), **{LOG_PROBABILITY: chunk.extras[LOG_PROBABILITY]})
        observation = state.statistics.normalised_observation(observation=chunk.observation)
        critic = self.critic.bind(parameters=state.networks.parameters.critic)
        value = state.statistics.actual_value(output=critic(observation))
        log_probability = jnp.asarray(chunk.extras[LOG_PROBABILITY])
        log_ratio = None
        if self._estimator.corrects_lag:
            now = self._log_probability(state=state, observation=observation, action=chunk.action)
            log_ratio, log_probability = now - log_probability, now
        estimated = self._estimator.estimate(
            chunk=chunk, value=value, log_ratio=log_ratio, discount=self.config.discount
        )
        rows = PreparedRows(
            observation=_flattened(tree_map(lambda leaf: leaf[:-1], observation)),
            action=_flattened(chunk.action),
            log_probability=_flattened(log_probability),
            advantage=_flattened(estimated.advantage),
            value_target=_flattened(estimated.value_target),
            value=_flattened(value[:-1]),
            valid=_flattened(chunk.valid),
            importance=_flattened(estimated.importance),
        )
        collected = self._collected(state=state, chunk=chunk, value_target=estimated.value_target)
        return replace(state, collected=collected), rows

    def learns_from(self, *, batch: PreparedRows) -> Bool[Array, ""]:
        """Tell whether an action was taken in any of the rows; see :meth:`Learner.learns_from`."""
        return jnp.any(batch.valid)

    def update(
        self, *, state: ActorCriticState, batch: PreparedRows, key: KeyArray
    ) -> tuple[ActorCriticState, UpdateOutput]:
        """Improve actor and critic once.

        :param state: the state.
        :param batch: some of the prepared rows.
        :param key: randomness.
        :return: the new state, and metrics; ``stop`` if the policy has gone far enough, and then it stays.
        """

        def loss_of(networks: ActorCriticNetworks) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
            inputs = loss_inputs(
                rows=batch,
                parameters=networks,
                distribution=self.actor.bind(parameters=networks.actor)(batch.observation),
                value_output=self.critic.bind(parameters=networks.critic)(batch.observation),
                statistics=state.collected,
                normalise_advantages=self.config.normalise_advantages,
                key=key,
            )
            return weighted_sum(terms=self._terms, inputs=inputs, updates=state.updates)

        gradients, metrics = jax.grad(loss_of, has_aux=True)(state.networks.parameters)
        networks = apply_gradients(trainable=state.networks, gradients=gradients, optimizer=self._optimizer)
        stop = None
        if self.config.stop_at_kl is not None:
            stop = metrics["approximate_kl"] > self.config.stop_at_kl
            networks = tree_map(lambda old, new: jnp.where(stop, old, new), state.networks, networks)
        new_state = ActorCriticState(
            networks=networks,
            # A copy: one buffer cannot be donated twice.
            statistics=tree_map(jnp.copy, state.collected),
            collected=state.collected,
            updates=state.updates + 1,
        )
        return new_state, UpdateOutput(metrics=metrics, stop=stop)

    def policy_parameters(self, *, state: ActorCriticState) -> ActorParameters:
        """Extract the actor and the observation statistics.

        :param state: the state.
        :return: what the policy acts with.
        """
        return ActorParameters(actor=state.networks.parameters.actor, statistics=state.statistics.observation)

    def with_policy_parameters(self, *, state: ActorCriticState, parameters: ActorParameters) -> ActorCriticState:
        """Begin with another actor and statistics; see :meth:`Learner.with_policy_parameters`."""
        networks = replace(state.networks.parameters, actor=parameters.actor)
        return replace(
            state,
            networks=replace(state.networks, parameters=networks),
            statistics=replace(state.statistics, observation=parameters.statistics),
            # A copy: one buffer cannot be donated twice.
            collected=replace(state.collected, observation=tree_map(jnp.copy, parameters.statistics)),
        )

    def _log_probability(self, *, state: ActorCriticState, observation: Tree, action: Tree) -> Float[Array, "T B"]:
        """Ask the policy of now. On rows as updates see them, by the formula that they use: the first ratio is 1."""
        before = tree_map(lambda leaf: leaf[:-1], observation)
        distribution = self.actor.bind(parameters=state.networks.parameters.actor)(_flattened(before))
        log_probability = distribution.log_prob(action=_flattened(action))
        return jnp.reshape(log_probability, jnp.shape(jax.tree.leaves(action)[0])[:2])

    def _initial_statistics(self) -> ActorCriticStatistics:
        observation = ObservationStatistics.initial(spec=self.observation_spec)
        return ActorCriticStatistics(
            observation=observation if self.config.normalise_observations else None,
            returns=RunningMoments.initial(shape=()) if self.config.normalise_returns else None,
        )

    def _collected(
        self, *, state: ActorCriticState, chunk: Trajectory, value_target: Float[Array, "T B"]
    ) -> ActorCriticStatistics:
        observation, returns = state.collected.observation, state.collected.returns
        if observation is not None:
            # Each chunk begins with the observation that the one before ended with: leave that one to the next.
            seen = tree_map(lambda leaf: leaf[:-1], chunk.observation)
            observation = observation.updated(observation=seen, valid=jnp.ones(jnp.shape(chunk.reward), jnp.bool_))
        if returns is not None:
            returns = returns.updated(values=value_target, valid=jnp.asarray(chunk.valid))
        return ActorCriticStatistics(observation=observation, returns=returns)


def _flattened(tree: Tree) -> Tree:
    """Join the axes of time and environments: [T, B, ...] to [T · B, ...]."""
    return tree_map(lambda leaf: jnp.reshape(jnp.asarray(leaf), (-1, *jnp.shape(leaf)[2:])), tree)

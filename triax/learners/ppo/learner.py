"""PPO as pure functions: ``ingest`` estimates advantages, ``update`` takes one step on a minibatch of rows."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.learners.interface import Learner, OnPolicyPlan
from triax.learners.optimizer import apply_gradients, initial_trainable
from triax.learners.ppo.config import PPOConfig
from triax.learners.ppo.losses import ppo_loss
from triax.learners.ppo.state import (
    PPOMetrics,
    PPONetworks,
    PPOPolicyParameters,
    PPOState,
    PPOStatistics,
    PreparedRows,
)
from triax.networks import ActorModel, FunctionalNetwork, ObservationStatistics, RunningMoments, ValueModel
from triax.objectives.advantage import Advantages, generalised_advantages, vtrace
from triax.objectives.checks import check_shape
from triax.random import KeyArray
from triax.spaces import BoxLeaf, SpaceSpec
from triax.trees import Tree, replace, tree_map
from triax.types import ActionMode, PolicyOutput, Trajectory, UpdateOutput

LOG_PROBABILITY = "log_probability"
"""The name under which rollout stores the log-probability of each action."""


class PPO(Learner[PPOState]):
    """Proximal policy optimisation.

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    """

    def __init__(self, *, config: PPOConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
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
        self._optimizer = config.optimizer.build()
        self._policy = PPOPolicy(actor=self.actor)

    @property
    def data_plan(self) -> OnPolicyPlan:
        """Fresh chunks, used for some epochs."""
        return OnPolicyPlan(
            steps=self.config.steps,
            epochs=self.config.epochs,
            minibatch_size=self.config.minibatch_size,
            corrects_lag=self.config.off_policy_correction == "vtrace",
        )

    @property
    def policy(self) -> "PPOPolicy":
        """The actor's distribution."""
        return self._policy

    @property
    def extras_spec(self) -> Mapping[str, SpaceSpec]:
        """The log-probability of each action."""
        return {LOG_PROBABILITY: SpaceSpec(tree=BoxLeaf(shape=(), low=(-float("inf"),), high=(float("inf"),)))}

    def initial_state(self, *, key: KeyArray) -> PPOState:
        """Make the state in which learning begins.

        :param key: randomness for the networks.
        :return: the state.
        """
        actor_key, critic_key = jax.random.split(key)
        networks = PPONetworks(
            actor=self.actor.initial_parameters(key=actor_key), critic=self.critic.initial_parameters(key=critic_key)
        )
        return PPOState(
            networks=initial_trainable(parameters=networks, optimizer=self._optimizer),
            # Made twice: one buffer cannot be donated twice.
            statistics=self._initial_statistics(),
            collected=self._initial_statistics(),
            updates=jnp.zeros((), jnp.int32),
        )

    def ingest(self, *, state: PPOState, chunk: Trajectory) -> tuple[PPOState, PreparedRows]:
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
        if self.config.off_policy_correction == "vtrace":
            now = self._log_probability(state=state, observation=observation, action=chunk.action)
            estimated = self._corrected(chunk=chunk, log_ratio=now - log_probability, value=value)
            log_probability = now
        else:
            estimated = self._estimated(chunk=chunk, value=value)
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

    def update(self, *, state: PPOState, batch: PreparedRows, key: KeyArray) -> tuple[PPOState, UpdateOutput]:
        """Improve actor and critic once.

        :param state: the state.
        :param batch: some of the prepared rows.
        :param key: randomness.
        :return: the new state, and metrics; ``stop`` if the policy has gone far enough, and then it stays.
        """

        def loss_of(networks: PPONetworks) -> tuple[Float[Array, ""], PPOMetrics]:
            return ppo_loss(
                distribution=self.actor.bind(parameters=networks.actor)(batch.observation),
                value_output=self.critic.bind(parameters=networks.critic)(batch.observation),
                batch=batch,
                statistics=state.collected,
                config=self.config,
                key=key,
            )

        gradients, metrics = jax.grad(loss_of, has_aux=True)(state.networks.parameters)
        networks = apply_gradients(trainable=state.networks, gradients=gradients, optimizer=self._optimizer)
        stop = None
        if self.config.stop_at_kl is not None:
            stop = metrics.approximate_kl > self.config.stop_at_kl
            networks = tree_map(lambda old, new: jnp.where(stop, old, new), state.networks, networks)
        new_state = PPOState(
            networks=networks,
            # A copy: one buffer cannot be donated twice.
            statistics=tree_map(jnp.copy, state.collected),
            collected=state.collected,
            updates=state.updates + 1,
        )
        return new_state, UpdateOutput(metrics=metrics, stop=stop)

    def policy_parameters(self, *, state: PPOState) -> PPOPolicyParameters:
        """Extract the actor and the observation statistics.

        :param state: the state.
        :return: what the policy acts with.
        """
        return PPOPolicyParameters(actor=state.networks.parameters.actor, statistics=state.statistics.observation)

    def _estimated(self, *, chunk: Trajectory, value: Float[Array, "rows B"]) -> Advantages:
        return generalised_advantages(
            reward=chunk.reward,
            terminated=chunk.terminated,
            is_last=chunk.is_last,
            value=value,
            discount=self.config.discount,
            gae_lambda=self.config.gae_lambda,
        )

    def _corrected(
        self, *, chunk: Trajectory, log_ratio: Float[Array, "T B"], value: Float[Array, "T+1 B"]
    ) -> Advantages:
        return vtrace(
            reward=chunk.reward,
            terminated=chunk.terminated,
            is_last=chunk.is_last,
            value=value,
            log_ratio=log_ratio,
            discount=self.config.discount,
            trace_lambda=self.config.gae_lambda,
            importance_limit=self.config.importance_limit,
            trace_limit=self.config.trace_limit,
        )

    def _log_probability(self, *, state: PPOState, observation: Tree, action: Tree) -> Float[Array, "T B"]:
        """Ask the policy of now. On rows as updates see them, by the formula that they use: the first ratio is 1."""
        before = tree_map(lambda leaf: leaf[:-1], observation)
        distribution = self.actor.bind(parameters=state.networks.parameters.actor)(_flattened(before))
        log_probability = distribution.log_prob(action=_flattened(action))
        return jnp.reshape(log_probability, jnp.shape(jax.tree.leaves(action)[0])[:2])

    def _initial_statistics(self) -> PPOStatistics:
        observation = ObservationStatistics.initial(spec=self.observation_spec)
        return PPOStatistics(
            observation=observation if self.config.normalise_observations else None,
            returns=RunningMoments.initial(shape=()) if self.config.normalise_returns else None,
        )

    def _collected(self, *, state: PPOState, chunk: Trajectory, value_target: Float[Array, "T B"]) -> PPOStatistics:
        observation, returns = state.collected.observation, state.collected.returns
        if observation is not None:
            # Each chunk begins with the observation that the one before ended with: leave that one to the next.
            seen = tree_map(lambda leaf: leaf[:-1], chunk.observation)
            observation = observation.updated(observation=seen, valid=jnp.ones(jnp.shape(chunk.reward), jnp.bool_))
        if returns is not None:
            returns = returns.updated(values=value_target, valid=jnp.asarray(chunk.valid))
        return PPOStatistics(observation=observation, returns=returns)


def _flattened(tree: Tree) -> Tree:
    """Join the axes of time and environments: [T, B, ...] to [T · B, ...]."""
    return tree_map(lambda leaf: jnp.reshape(jnp.asarray(leaf), (-1, *jnp.shape(leaf)[2:])), tree)


class PPOPolicy:
    """The distribution that the actor gives, without memory.

    :param actor: the network.
    """

    def __init__(self, *, actor: FunctionalNetwork[ActorModel]) -> None:
        self._actor = actor

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> tuple[()]:
        """Make the memory: there is none.

        :param batch_shape: leading axes.
        :return: an empty tuple.
        """
        return ()

    def act(
        self,
        *,
        parameters: PPOPolicyParameters,
        carry: tuple[()],
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        """Choose actions; see :class:`triax.types.Policy`."""
        if parameters.statistics is not None:
            observation = parameters.statistics.normalise(observation=observation)
        distribution = self._actor.bind(parameters=parameters.actor)(observation)
        action = distribution.mode() if mode is ActionMode.MODE else distribution.sample(key=key)
        # Of the action as it is stored, by the formula that updates use: then the first ratio is 1.
        return PolicyOutput(action=action, carry=carry, extras={LOG_PROBABILITY: distribution.log_prob(action=action)})

"""Stream AC(λ) as pure functions: one step of one environment an update, never seen again."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.learners.actor import ActorParameters, ActorPolicy
from triax.learners.interface import Learner, OnPolicyPlan
from triax.learners.optimizer import apply_gradients, by_part, initial_trainable
from triax.learners.stream_ac.config import StreamACConfig
from triax.learners.stream_ac.losses import eligibility, td_error
from triax.learners.stream_ac.state import RewardScale, StreamACState, StreamedStep, StreamNetworks
from triax.learners.terms import value_after
from triax.networks import ActorModel, FunctionalNetwork, ObservationStatistics, ValueModel
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import replace, tree_map
from triax.types import Trajectory, UpdateOutput


class StreamAC(Learner[StreamACState]):
    """Stream AC(λ).

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    """

    def __init__(self, *, config: StreamACConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
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
        self._optimizer = by_part(
            optimizers={"actor": config.actor_optimizer.build(), "critic": config.critic_optimizer.build()}
        )
        self._policy = ActorPolicy(actor=self.actor)

    @property
    def data_plan(self) -> OnPolicyPlan:
        """A stream."""
        return OnPolicyPlan(steps=1)

    @property
    def policy(self) -> ActorPolicy:
        """The actor's distribution."""
        return self._policy

    def initial_state(self, *, key: KeyArray) -> StreamACState:
        """Make the state in which learning begins.

        :param key: randomness for the networks.
        :return: the state.
        """
        actor_key, critic_key = jax.random.split(key)
        networks = StreamNetworks(
            actor=self.actor.initial_parameters(key=actor_key), critic=self.critic.initial_parameters(key=critic_key)
        )
        statistics = ObservationStatistics.initial(spec=self.observation_spec)
        return StreamACState(
            networks=initial_trainable(parameters=networks, optimizer=self._optimizer),
            traces=tree_map(jnp.zeros_like, networks),
            statistics=statistics if self.config.normalise_observations else None,
            reward_scale=RewardScale.initial() if self.config.scale_rewards else None,
            updates=jnp.zeros((), jnp.int32),
        )

    def ingest(self, *, state: StreamACState, chunk: Trajectory) -> tuple[StreamACState, StreamedStep]:
        """Take a step into the statistics, and scale it by them.

        Each observation is taken in when a step leads to it, so that the policy that acts on it knows of it.

        :param state: the state.
        :param chunk: one step of one environment.
        :return: the new state, and the step.
        :raises ValueError: if there are more steps or more environments.
        """
        if jnp.shape(chunk.reward) != (1, 1):
            steps, environments = jnp.shape(chunk.reward)
            raise ValueError(
                f"Stream AC(λ) follows one stream, and was given {steps} steps of {environments} environments; set "
                "rollout.environments_per_worker=1 and rollout.workers=1."
            )
        valid, is_first = jnp.asarray(chunk.valid)[0], jnp.asarray(chunk.is_first)[0]
        reward = jnp.asarray(chunk.reward)[0]
        statistics, scale = state.statistics, state.reward_scale
        observation = chunk.observation
        if statistics is not None:
            newest = tree_map(lambda leaf: leaf[1:], observation)
            statistics = statistics.updated(observation=newest, valid=jnp.ones((1, 1), jnp.bool_))
            observation = statistics.normalise(observation=observation)
        if scale is not None:
            scale = scale.updated(reward=reward[0], valid=valid[0], begins=is_first[0], discount=self.config.discount)
            reward = scale.scaled(reward=reward)
        step = StreamedStep(
            observation=tree_map(lambda leaf: jnp.asarray(leaf[0]), observation),
            action=tree_map(lambda leaf: jnp.asarray(leaf[0]), chunk.action),
            reward=reward,
            discount=jnp.where(jnp.asarray(chunk.terminated)[0], 0.0, self.config.discount),
            next_observation=tree_map(lambda leaf: jnp.asarray(leaf[1]), observation),
            valid=valid,
            is_first=is_first,
        )
        return replace(state, statistics=statistics, reward_scale=scale), step

    def learns_from(self, *, batch: StreamedStep) -> Bool[Array, ""]:
        """Tell whether an action was taken; see :meth:`Learner.learns_from`."""
        return jnp.any(batch.valid)

    def update(self, *, state: StreamACState, batch: StreamedStep, key: KeyArray) -> tuple[StreamACState, UpdateOutput]:
        """Make one step of algorithm 7 (Elsayed et al. 2024, arXiv:2410.14606).

        :param state: the state.
        :param batch: the step. If no action was taken, the episode is over: traces begin anew, and nothing is learned.
        :param key: randomness.
        :return: the new state, and metrics.
        """
        entropy_coefficient = value_after(self.config.entropy_coefficient, updates=state.updates)

        def eligibility_of(networks: StreamNetworks) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
            critic = self.critic.bind(parameters=networks.critic)
            value = critic(batch.observation)
            error = td_error(value=value, next_value=critic(batch.next_observation), step=batch)
            total, entropy = eligibility(
                distribution=self.actor.bind(parameters=networks.actor)(batch.observation),
                value=value,
                error=error,
                step=batch,
                entropy_coefficient=entropy_coefficient,
                key=key,
            )
            return total, {"td_error": error, "value": jnp.mean(value), "entropy": entropy}

        gradients, metrics = jax.grad(eligibility_of, has_aux=True)(state.networks.parameters)
        valid = batch.valid[0]
        # An episode's first step, too: a stream that was broken has no end of the episode before.
        fading = jnp.where(batch.is_first[0], 0.0, self.config.discount * self.config.trace_lambda)
        traces: StreamNetworks = tree_map(
            lambda trace, gradient: jnp.where(valid, fading * trace + gradient, 0.0), state.traces, gradients
        )
        networks = apply_gradients(
            trainable=state.networks, gradients=traces, optimizer=self._optimizer, td_error=metrics["td_error"]
        )
        new_state = replace(state, networks=networks, traces=traces, updates=state.updates + 1)
        return new_state, UpdateOutput(metrics=metrics)

    def policy_parameters(self, *, state: StreamACState) -> ActorParameters:
        """Extract the actor and the observation statistics.

        :param state: the state.
        :return: what the policy acts with.
        """
        return ActorParameters(actor=state.networks.parameters.actor, statistics=state.statistics)

    def with_policy_parameters(self, *, state: StreamACState, parameters: ActorParameters) -> StreamACState:
        """Begin with another actor and statistics; see :meth:`Learner.with_policy_parameters`."""
        networks = replace(state.networks.parameters, actor=parameters.actor)
        return replace(state, networks=replace(state.networks, parameters=networks), statistics=parameters.statistics)

"""SAC as pure functions: critics, actor, temperature, targets, in this order, in every update."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.interface import Learner, ReplayPlan, TransitionUnit
from triax.learners.optimizer import Trainable, apply_gradients, initial_trainable, moved_towards
from triax.learners.sac.config import SACConfig
from triax.learners.sac.losses import (
    CriticLoss,
    Temperatures,
    candidates_value,
    continuous_entropy,
    critic_loss,
    target_choice_entropy,
    target_entropy,
)
from triax.learners.sac.policy import SACPolicy
from triax.learners.sac.state import SACMetrics, SACPolicyParameters, SACState
from triax.networks import (
    ActionCode,
    ActorModel,
    Candidates,
    ChoiceDistribution,
    CriticModel,
    FunctionalNetwork,
    ObservationStatistics,
)
from triax.objectives.maximum_entropy import temperature_loss
from triax.objectives.temporal_difference import bootstrapped_target
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree, replace, tree_dataclass
from triax.types import Trajectory, Transitions, UpdateOutput


@tree_dataclass
class _UpdatedCritics:
    """The critics after their step, with what their loss reports."""

    trainable: Trainable
    loss: Float[Array, ""]
    report: CriticLoss


@tree_dataclass
class _UpdatedActor:
    """The actor after its step, with what its loss reports."""

    trainable: Trainable
    loss: Float[Array, ""]
    candidates: Candidates


class SAC(Learner[SACState]):
    """Soft actor-critic.

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    :raises ValueError: if a target entropy is out of reach with these actions.
    """

    def __init__(self, *, config: SACConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        config.check_target_entropies(action_spec=action_spec)
        self.config = config
        self.observation_spec = observation_spec
        self.code = ActionCode(spec=action_spec, observation_spec=observation_spec)
        self.actor = FunctionalNetwork(
            make=lambda rngs: ActorModel(
                config=config.actor,
                head=config.actor_head,
                observation_spec=observation_spec,
                action_spec=action_spec,
                candidates=True,
                rngs=rngs,
            )
        )
        self.critic = FunctionalNetwork(
            make=lambda rngs: CriticModel(
                config=config.critic, observation_spec=observation_spec, action_spec=action_spec, rngs=rngs
            )
        )
        self._actor_optimizer = config.actor_optimizer.build()
        self._critic_optimizer = config.critic_optimizer.build()
        self._temperature_optimizer = config.temperature_optimizer.build()
        self._policy = SACPolicy(config=config, actor=self.actor, code=self.code)
        self.ingests = config.normalise_observations

    @property
    def data_plan(self) -> ReplayPlan:
        """Transitions from a replay."""
        return ReplayPlan(
            batch_size=self.config.batch_size,
            unit=TransitionUnit(discount=self.config.discount, steps=self.config.n_step),
            updates_per_step=self.config.updates_per_step,
            warmup_steps=self.config.warmup_steps,
        )

    @property
    def policy(self) -> SACPolicy:
        """Choices, and squashed Gaussians over the parameters that they use."""
        return self._policy

    def initial_state(self, *, key: KeyArray) -> SACState:
        """Make the state in which learning begins.

        :param key: randomness for the networks.
        :return: the state.
        """
        actor_key, *critic_keys = jax.random.split(key, 1 + self.config.critics)
        critics = tuple(self.critic.initial_parameters(key=critic_key) for critic_key in critic_keys)
        temperatures = Temperatures(
            continuous=self._initial_log_temperature() if self.code.parameters > 0 else None,
            choices=self._initial_log_temperature() if self.code.sizes else None,
        )
        statistics = ObservationStatistics.initial(spec=self.observation_spec)
        return SACState(
            actor=initial_trainable(
                parameters=self.actor.initial_parameters(key=actor_key), optimizer=self._actor_optimizer
            ),
            critics=initial_trainable(parameters=critics, optimizer=self._critic_optimizer),
            # A copy: one buffer cannot be donated twice.
            target_critics=jax.tree.map(jnp.copy, critics),
            temperature=initial_trainable(parameters=temperatures, optimizer=self._temperature_optimizer),
            statistics=statistics if self.config.normalise_observations else None,
            updates=jnp.zeros((), jnp.int32),
        )

    def ingest(self, *, state: SACState, chunk: Trajectory) -> tuple[SACState, Trajectory]:
        """Take the observations of a piece of experience into the statistics.

        :param state: the state.
        :param chunk: the experience.
        :return: the new state, and the experience as it was.
        """
        if state.statistics is None:
            return state, chunk
        # Each chunk begins with the observation that the one before ended with: leave that one to the next.
        observation = jax.tree.map(lambda leaf: leaf[:-1], chunk.observation)
        everything = jnp.ones(chunk.reward.shape, jnp.bool_)
        return replace(state, statistics=state.statistics.updated(observation=observation, valid=everything)), chunk

    def update(self, *, state: SACState, batch: Transitions, key: KeyArray) -> tuple[SACState, UpdateOutput]:
        """Update the critics, the actor, the temperature and the targets once.

        :param state: the state.
        :param batch: transitions.
        :param key: randomness.
        :return: the new state, and metrics.
        """
        critic_key, actor_key = jax.random.split(key)
        if state.statistics is not None:
            batch = replace(
                batch,
                observation=state.statistics.normalise(observation=batch.observation),
                next_observation=state.statistics.normalise(observation=batch.next_observation),
            )
        temperatures: Temperatures = jax.tree.map(jnp.exp, state.temperature.parameters)
        target = self._critic_target(state=state, batch=batch, temperatures=temperatures, key=critic_key)
        critics = self._updated_critics(state=state, batch=batch, target=target)
        actor = self._updated_actor(
            state=state, critics=critics.trainable, batch=batch, temperatures=temperatures, key=actor_key
        )
        new_state = SACState(
            actor=actor.trainable,
            critics=critics.trainable,
            target_critics=moved_towards(
                target=state.target_critics, online=critics.trainable.parameters, rate=self.config.target_rate
            ),
            temperature=self._updated_temperature(state=state, candidates=actor.candidates),
            statistics=state.statistics,
            updates=state.updates + 1,
        )
        metrics = SACMetrics(
            critic_loss=critics.loss,
            critic_value=critics.report.value,
            target_value=jnp.mean(target),
            actor_loss=actor.loss,
            entropy=None
            if temperatures.continuous is None
            else jnp.mean(continuous_entropy(candidates=actor.candidates)),
            temperature=temperatures.continuous,
            choice_entropy=None if temperatures.choices is None else jnp.mean(actor.candidates.choice_entropy),
            choice_temperature=temperatures.choices,
        )
        return new_state, UpdateOutput(metrics=metrics)

    def policy_parameters(self, *, state: SACState) -> SACPolicyParameters:
        """Extract the actor and the observation statistics.

        :param state: the state.
        :return: what the policy acts with.
        """
        return SACPolicyParameters(actor=state.actor.parameters, statistics=state.statistics)

    def with_policy_parameters(self, *, state: SACState, parameters: SACPolicyParameters) -> SACState:
        """Begin with another actor and statistics; see :meth:`Learner.with_policy_parameters`."""
        actor = replace(state.actor, parameters=parameters.actor)
        return replace(state, actor=actor, statistics=parameters.statistics)

    def _initial_log_temperature(self) -> Float[Array, ""]:
        return jnp.log(jnp.asarray(self.config.initial_temperature, jnp.float32))

    def _candidates(self, *, actor: Tree, observation: Tree, key: KeyArray) -> Candidates:
        distribution = self.actor.bind(parameters=actor)(observation)
        assert isinstance(distribution, ChoiceDistribution)
        return distribution.candidates(key=key)

    def _critic_target(
        self, *, state: SACState, batch: Transitions, temperatures: Temperatures, key: KeyArray
    ) -> Float[Array, " N"]:
        observation = batch.next_observation
        next_value = candidates_value(
            candidates=self._candidates(actor=state.actor.parameters, observation=observation, key=key),
            network=self.critic,
            critics=state.target_critics,
            observation=observation,
            temperatures=temperatures,
        )
        return bootstrapped_target(
            reward=self.config.reward_scale * jnp.asarray(batch.reward),
            discount=jnp.asarray(batch.discount),
            next_value=next_value,
        )

    def _updated_critics(self, *, state: SACState, batch: Transitions, target: Float[Array, " N"]) -> _UpdatedCritics:
        (loss, report), gradients = jax.value_and_grad(critic_loss, has_aux=True)(
            state.critics.parameters,
            network=self.critic,
            observation=batch.observation,
            action=batch.action,
            target=target,
            weight=jnp.asarray(batch.weight),
        )
        trainable = apply_gradients(trainable=state.critics, gradients=gradients, optimizer=self._critic_optimizer)
        return _UpdatedCritics(trainable=trainable, loss=loss, report=report)

    def _updated_actor(
        self, *, state: SACState, critics: Trainable, batch: Transitions, temperatures: Temperatures, key: KeyArray
    ) -> _UpdatedActor:
        def loss_of(parameters: Tree) -> tuple[Float[Array, ""], Candidates]:
            candidates = self._candidates(actor=parameters, observation=batch.observation, key=key)
            value = candidates_value(
                candidates=candidates,
                network=self.critic,
                critics=critics.parameters,
                observation=batch.observation,
                temperatures=temperatures,
            )
            return -jnp.mean(value), candidates

        (loss, candidates), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.actor.parameters)
        trainable = apply_gradients(trainable=state.actor, gradients=gradients, optimizer=self._actor_optimizer)
        return _UpdatedActor(trainable=trainable, loss=loss, candidates=candidates)

    def _updated_temperature(self, *, state: SACState, candidates: Candidates) -> Trainable:
        if not self.config.learn_temperature:
            return state.temperature

        def loss_of(log_temperatures: Temperatures) -> Float[Array, ""]:
            loss = jnp.zeros(())
            if log_temperatures.continuous is not None:
                loss += temperature_loss(
                    log_temperature=log_temperatures.continuous,
                    entropy=continuous_entropy(candidates=candidates),
                    target_entropy=target_entropy(candidates=candidates, config=self.config),
                )
            if log_temperatures.choices is not None:
                loss += temperature_loss(
                    log_temperature=log_temperatures.choices,
                    entropy=candidates.choice_entropy,
                    target_entropy=target_choice_entropy(candidates=candidates, config=self.config),
                )
            return loss

        gradient = jax.grad(loss_of)(state.temperature.parameters)
        return apply_gradients(trainable=state.temperature, gradients=gradient, optimizer=self._temperature_optimizer)

"""An algorithm written outside of the package: REINFORCE (Williams 1992) with the mean return as its baseline.

The package has a fuller one, ``triax.ReinforceConfig``; this one shows how little it takes.

Run it like any experiment: python docs/examples/reinforce.py train
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

import triax
from triax.learners.interface import Learner, OnPolicyPlan
from triax.learners.optimizer import Trainable, apply_gradients, initial_trainable
from triax.networks import ActorModel, FunctionalNetwork
from triax.objectives.averages import standardised, weighted_mean
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree, tree_dataclass
from triax.types import ActionMode, PolicyOutput, Trajectory, UpdateOutput


@triax.register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinforceConfig:
    """REINFORCE."""

    discount: float = 0.99
    """γ, in [0, 1]."""
    steps: int = 512
    """Steps of each environment between updates."""
    minibatch_size: int = 4096
    """Steps an update: all of them, if the gradient is to be that of the policy that acted."""
    actor: triax.NetworkConfig = dataclasses.field(default_factory=triax.NetworkConfig)
    """The policy's network."""
    optimizer: triax.OptimizerConfig = dataclasses.field(default_factory=triax.OptimizerConfig)
    """For the policy."""

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> "Reinforce":
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        """
        return Reinforce(config=self, observation_spec=observation_spec, action_spec=action_spec)


@tree_dataclass
class ReinforceState:
    """All that REINFORCE learns.

    :ivar actor: the policy's parameters.
    """

    actor: Trainable


@tree_dataclass
class ReinforceRows:
    """What ``ingest`` prepares for ``update``, one row a step.

    :ivar observation: inside form, [N, ...].
    :ivar action: inside form, [N, ...].
    :ivar return_to_go: the discounted rewards from here to the episode's end, [N].
    :ivar weight: whether the row counts: an action was taken, and its episode ended within the chunk, [N].
    """

    observation: Tree
    action: Tree
    return_to_go: Float[Array, " N"]
    weight: Bool[Array, " N"]


@tree_dataclass
class ReinforceMetrics:
    """Scalars of one update.

    :ivar return_to_go: the mean over rows.
    """

    return_to_go: Float[Array, ""]


class Reinforce(Learner[ReinforceState]):
    """REINFORCE.

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    """

    def __init__(self, *, config: ReinforceConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        self.config = config
        self.actor = FunctionalNetwork(
            make=lambda rngs: ActorModel(
                config=config.actor,
                head=triax.ActionHeadConfig(scale=0.01),
                observation_spec=observation_spec,
                action_spec=action_spec,
                rngs=rngs,
            )
        )
        self._optimizer = config.optimizer.build()

    @property
    def data_plan(self) -> OnPolicyPlan:
        """Fresh chunks, each used once."""
        return OnPolicyPlan(steps=self.config.steps, epochs=1, minibatch_size=self.config.minibatch_size)

    @property
    def policy(self) -> "ReinforcePolicy":
        """The actor's distribution."""
        return ReinforcePolicy(actor=self.actor)

    def initial_state(self, *, key: KeyArray) -> ReinforceState:
        """Make the state in which learning begins."""
        parameters = self.actor.initial_parameters(key=key)
        return ReinforceState(actor=initial_trainable(parameters=parameters, optimizer=self._optimizer))

    def ingest(self, *, state: ReinforceState, chunk: Trajectory) -> tuple[ReinforceState, ReinforceRows]:
        """Sum the rewards to the end of each episode, from the last row to the first."""

        def step(
            carry: tuple[Float[Array, " B"], Bool[Array, " B"]], row: tuple[Array, Array]
        ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
            following, complete = carry
            reward, next_is_last = row
            total = reward + self.config.discount * jnp.where(next_is_last, 0.0, following)
            complete = complete | next_is_last
            return (total, complete), (total, complete)

        environments = jnp.shape(chunk.reward)[1]
        start = (jnp.zeros(environments), jnp.zeros(environments, jnp.bool_))
        # The row of a final observation has no action: its reward is 0, and the sum begins anew before it.
        rows = (jnp.asarray(chunk.reward), jnp.asarray(chunk.is_last[1:]))
        _, (returns, complete) = jax.lax.scan(step, start, rows, reverse=True)
        prepared = ReinforceRows(
            observation=jax.tree.map(lambda leaf: leaf[:-1], chunk.observation),
            action=chunk.action,
            return_to_go=returns,
            weight=complete & jnp.asarray(chunk.valid),
        )
        return state, jax.tree.map(lambda leaf: jnp.reshape(leaf, (-1, *jnp.shape(leaf)[2:])), prepared)

    def update(
        self, *, state: ReinforceState, batch: ReinforceRows, key: KeyArray
    ) -> tuple[ReinforceState, UpdateOutput]:
        """Make actions likelier whose return was above the mean."""
        advantage = standardised(values=batch.return_to_go, weight=batch.weight)

        def loss_of(parameters: Tree) -> Float[Array, ""]:
            log_probability = self.actor.bind(parameters=parameters)(batch.observation).log_prob(action=batch.action)
            return -weighted_mean(values=advantage * log_probability, weight=batch.weight)

        gradients = jax.grad(loss_of)(state.actor.parameters)
        actor = apply_gradients(trainable=state.actor, gradients=gradients, optimizer=self._optimizer)
        mean = weighted_mean(values=batch.return_to_go, weight=batch.weight)
        return ReinforceState(actor=actor), UpdateOutput(metrics=ReinforceMetrics(return_to_go=mean))

    def policy_parameters(self, *, state: ReinforceState) -> Tree:
        """Extract the actor's parameters."""
        return state.actor.parameters


class ReinforcePolicy:
    """The distribution that the actor gives, without memory.

    :param actor: the network.
    """

    def __init__(self, *, actor: FunctionalNetwork[ActorModel]) -> None:
        self._actor = actor

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> tuple[()]:
        """Make the memory: there is none."""
        return ()

    def act(
        self,
        *,
        parameters: Tree,
        carry: tuple[()],
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        """Choose actions; see :class:`triax.types.Policy`."""
        distribution = self._actor.bind(parameters=parameters)(observation)
        action = distribution.mode() if mode is ActionMode.MODE else distribution.sample(key=key)
        return PolicyOutput(action=action, carry=carry, extras={})


experiment = triax.Experiment(
    name="cart_pole_outside_reinforce",
    learner=ReinforceConfig(optimizer=triax.OptimizerConfig(learning_rate=3e-3)),
    environment=triax.EnvironmentConfig(id="CartPole-v1"),
    rollout=triax.RolloutConfig(environments_per_worker=8),
    total_steps=200_000,
    evaluation=triax.EvaluationConfig(interval=20_000, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)

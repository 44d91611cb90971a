"""Multi-task behavioural cloning: rows of all tasks, each judged by its own head."""

from typing import Any

import jax.numpy as jnp

from triax.learners.actor import ActorParameters
from triax.learners.cloning.learner import Cloning
from triax.learners.cloning.state import CloningState, LabelledRows
from triax.learners.interface import DatasetPlan
from triax.learners.mtbc.config import MTBCConfig
from triax.learners.mtbc.losses import balanced_weight
from triax.learners.mtbc.policy import MultiTaskParameters, MultiTaskPolicy
from triax.networks import Distribution, FunctionalNetwork, MultiTaskActorModel
from triax.spaces import SpaceSpec
from triax.types import Transitions


class MTBC(Cloning):
    """Multi-task behavioural cloning.

    :param config: what can be set.
    :param observation_spec: the recorded observations, of all tasks.
    :param action_spec: the recorded actions, of all tasks.
    """

    def __init__(self, *, config: MTBCConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        self._multi_task = config
        super().__init__(config=config, observation_spec=observation_spec, action_spec=action_spec)
        self._policy: MultiTaskPolicy = MultiTaskPolicy(actor=self.actor)

    @property
    def data_plan(self) -> DatasetPlan:
        """Single steps of datasets of the tasks that have a head."""
        return self._multi_task.data_plan

    def make_actor(self) -> FunctionalNetwork[Any]:
        """Make the network with its heads."""
        config = self._multi_task
        return FunctionalNetwork(
            make=lambda rngs: MultiTaskActorModel(
                config=config.actor,
                head=config.actor_head,
                observation_spec=self.observation_spec,
                action_spec=self.action_spec,
                tasks=config.tasks,
                rngs=rngs,
            )
        )

    def labelled(self, *, batch: Transitions) -> LabelledRows:
        """Take the recorded steps, weighed by their tasks.

        :param batch: recorded steps; observations, actions and tasks are used.
        :return: its rows.
        """
        task = jnp.asarray(batch.origin.task)
        weight = balanced_weight(
            weight=jnp.asarray(batch.weight), task=task, task_weights=jnp.asarray(self._multi_task.weights)
        )
        return LabelledRows(observation=batch.observation, action=batch.action, weight=weight, task=task)

    def distribution(self, *, parameters: ActorParameters, rows: LabelledRows) -> Distribution:
        """Compute the policy of each row, by its task's head; see :meth:`Cloning.distribution`."""
        return self._policy.distribution_of_tasks(
            parameters=parameters, observation=rows.observation, task=jnp.asarray(rows.task)
        )

    def policy_parameters(self, *, state: CloningState) -> MultiTaskParameters:
        """Extract the actor with all of its heads, the observation statistics, and the task that acts.

        :param state: the state.
        :return: what the policy acts with.
        """
        return MultiTaskParameters(
            actor=state.actor.parameters,
            statistics=state.statistics,
            task=jnp.asarray(self._multi_task.acting_task, jnp.int32),
        )

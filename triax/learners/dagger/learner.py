"""DAgger: the labels are the expert's, in the states that the learner came to."""

import jax.numpy as jnp

from triax.learners.cloning.expert import LABEL, GuidedParameters, LearnerActs
from triax.learners.cloning.interactive import InteractiveCloning
from triax.learners.cloning.state import CloningState, LabelledRows
from triax.learners.dagger.config import DAggerConfig
from triax.learners.interface import ReplayPlan
from triax.learners.terms import value_after
from triax.spaces import SpaceSpec
from triax.types import Transitions


class DAgger(InteractiveCloning):
    """Dataset aggregation.

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    """

    def __init__(self, *, config: DAggerConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        super().__init__(config=config, observation_spec=observation_spec, action_spec=action_spec)
        self._dagger = config

    @property
    def data_plan(self) -> ReplayPlan:
        """Single steps of all that was labelled so far."""
        return self._dagger.data_plan

    @property
    def rollout_policy(self) -> LearnerActs:
        """The learner, or the expert in its place."""
        return LearnerActs(learner=self.policy, expert=self.expert, samples=self._dagger.learner_samples)

    def rollout_parameters(self, *, state: CloningState) -> GuidedParameters:
        """Extract the policy's parameters, and the expert's share of now.

        :param state: the state.
        :return: what rollout acts with.
        """
        share = value_after(self._dagger.expert_share, updates=state.updates)
        return GuidedParameters(
            learner=self.policy_parameters(state=state), expert_share=jnp.asarray(share, jnp.float32)
        )

    def labelled(self, *, batch: Transitions) -> LabelledRows:
        """Take the steps with the expert's labels in the place of what was done.

        :param batch: steps; observations and labels are used.
        :return: its rows.
        """
        return LabelledRows(
            observation=batch.observation, action=batch.extras[LABEL], weight=batch.weight, task=batch.origin.task
        )

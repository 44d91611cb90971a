"""Behavioural cloning: the labels are the recorded actions."""

from triax.learners.bc.config import BCConfig
from triax.learners.cloning.learner import Cloning
from triax.learners.cloning.state import LabelledRows
from triax.learners.interface import DatasetPlan
from triax.spaces import SpaceSpec
from triax.types import Transitions


class BC(Cloning):
    """Behavioural cloning.

    :param config: what can be set.
    :param observation_spec: the recorded observations.
    :param action_spec: the recorded actions.
    """

    def __init__(self, *, config: BCConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        super().__init__(config=config, observation_spec=observation_spec, action_spec=action_spec)
        self._plan = config.data_plan

    @property
    def data_plan(self) -> DatasetPlan:
        """Single steps of a dataset."""
        return self._plan

    def labelled(self, *, batch: Transitions) -> LabelledRows:
        """Take the recorded steps as they are.

        :param batch: recorded steps; observations and actions are used.
        :return: its rows.
        """
        return LabelledRows(
            observation=batch.observation, action=batch.action, weight=batch.weight, task=batch.origin.task
        )

"""Online supervised learning: the labels are what the expert does, in the states that it came to itself."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from triax.learners.cloning.expert import LABEL, ExpertActs
from triax.learners.cloning.interactive import InteractiveCloning
from triax.learners.cloning.state import CloningState, LabelledRows
from triax.learners.interface import OnPolicyPlan
from triax.learners.online_supervised.config import OnlineSupervisedConfig
from triax.spaces import SpaceSpec
from triax.trees import Tree
from triax.types import Trajectory


class OnlineSupervised(InteractiveCloning):
    """Online supervised learning.

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    """

    def __init__(self, *, config: OnlineSupervisedConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        super().__init__(config=config, observation_spec=observation_spec, action_spec=action_spec)
        self._online = config

    @property
    def data_plan(self) -> OnPolicyPlan:
        """Fresh steps, each seen once."""
        return self._online.data_plan

    @property
    def rollout_policy(self) -> ExpertActs:
        """The expert."""
        return ExpertActs(expert=self.expert)

    def ingest(self, *, state: CloningState, chunk: Trajectory) -> tuple[CloningState, LabelledRows]:
        """Take the observations into the statistics, and make rows of the steps.

        :param state: the state.
        :param chunk: what the expert saw and did.
        :return: the new state, and T · B rows; those in which nothing was done have no weight.
        """
        state, _ = super().ingest(state=state, chunk=chunk)
        observation = jax.tree.map(lambda leaf: leaf[:-1], chunk.observation)
        weight = jnp.asarray(chunk.valid, jnp.float32)
        return state, LabelledRows(
            observation=_flattened(observation),
            action=_flattened(chunk.extras[LABEL]),
            weight=_flattened(weight),
            task=jnp.zeros(weight.size, jnp.int32),
        )

    def learns_from(self, *, batch: LabelledRows) -> Bool[Array, ""]:
        """Tell whether the expert acted in any of the rows; see :meth:`Learner.learns_from`."""
        return jnp.any(jnp.asarray(batch.weight) > 0.0)

    def labelled(self, *, batch: LabelledRows) -> LabelledRows:
        """Take the rows as :meth:`ingest` made them.

        :param batch: some of the rows.
        :return: the same.
        """
        return batch


def _flattened(tree: Tree) -> Tree:
    return jax.tree.map(lambda leaf: jnp.reshape(leaf, (-1, *jnp.shape(leaf)[2:])), tree)

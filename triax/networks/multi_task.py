"""A network whose encoder and hidden layers several tasks share, with a head for each."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from triax.networks.choice_heads import build_head
from triax.networks.distributions import Distribution, SampledAction
from triax.networks.encoders import ElementEncoder, Encoder, encode
from triax.networks.heads import ActionHeadConfig
from triax.networks.models import NetworkConfig
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree, tree_dataclass, tree_map
from triax.types import AnyArray


@tree_dataclass
class TaskDistribution(Distribution):
    """A distribution whose rows belong to different tasks.

    :ivar of_task: every task's distribution, over all rows.
    :ivar task: the task of each row, [N].
    """

    of_task: tuple[Distribution, ...]
    task: Int[Array, " N"]

    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample; see :meth:`Distribution.sample_with_log_prob`. One key serves all, since each row is of one task."""
        sampled: SampledAction = self._chosen([part.sample_with_log_prob(key=key) for part in self.of_task])
        return sampled

    def log_prob(self, *, action: Tree) -> Float[Array, "..."]:
        """Compute the log-probability; see :meth:`Distribution.log_prob`."""
        return jnp.asarray(self._chosen([part.log_prob(action=action) for part in self.of_task]))

    def entropy(self, *, key: KeyArray) -> Float[Array, "..."]:
        """Compute the entropy, or estimate it; see :meth:`Distribution.entropy`."""
        return jnp.asarray(self._chosen([part.entropy(key=key) for part in self.of_task]))

    def mode(self) -> Tree:
        """Choose the deterministic action; see :meth:`Distribution.mode`."""
        return self._chosen([part.mode() for part in self.of_task])

    def without_unused(self, *, action: Tree) -> Tree:
        """Make 0 what the choices leave unused, as in all tasks; see :meth:`Distribution.without_unused`."""
        return self.of_task[0].without_unused(action=action)

    def fixed_spread_loss(self, *, action: Tree) -> Float[Array, "..."]:
        """Compute the loss of a fixed spread; see :meth:`Distribution.fixed_spread_loss`."""
        return jnp.asarray(self._chosen([part.fixed_spread_loss(action=action) for part in self.of_task]))

    def _chosen(self, values: Sequence[Tree]) -> Tree:
        """Take each row from what its task's distribution says, leaves [N, ...]."""
        rows = jnp.arange(self.task.shape[0])
        return tree_map(lambda *leaves: jnp.stack(leaves)[self.task, rows], values[0], *values[1:])


class MultiTaskActorModel(nnx.Module):
    """From an observation and a task to a distribution over actions.

    Its encoder and torso have the names that they have in :class:`~triax.networks.models.ActorModel`.
    """

    def __init__(
        self,
        *,
        config: NetworkConfig,
        head: ActionHeadConfig,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        tasks: int,
        rngs: nnx.Rngs,
    ) -> None:
        """Make the network.

        :param config: encoder and hidden layers.
        :param head: the last layer of each task.
        :param observation_spec: of the observations.
        :param action_spec: of the actions, with their relations.
        :param tasks: how many heads.
        :param rngs: randomness for the weights.
        """
        self.encoder: Encoder = config.encoder.build(spec=observation_spec, rngs=rngs)
        self.torso = config.torso.build(inputs=self.encoder.size, rngs=rngs)
        self.heads = nnx.List(
            build_head(
                config=head,
                spec=action_spec,
                observation_spec=observation_spec,
                inputs=self.torso.size,
                element_sizes=self.encoder.element_sizes if isinstance(self.encoder, ElementEncoder) else {},
                candidates=False,
                rngs=rngs,
            )
            for _ in range(tasks)
        )

    def __call__(self, observation: Tree, task: Int[AnyArray, "*#N"]) -> Distribution:
        """Compute the policy of each row's task. Every head is asked about every row: heads are small.

        :param observation: inside form, [N, ...].
        :param task: one for all rows, or one for each, [] or [N]; from 0 to the number of tasks, less one.
        :return: a distribution with the leading axis [N].
        """
        encoding = encode(self.encoder, observation)
        features = self.torso(encoding.vector)
        return TaskDistribution(
            of_task=tuple(head(features, observation, encoding.elements) for head in self.heads),
            task=jnp.broadcast_to(jnp.asarray(task), features.shape[:1]),
        )

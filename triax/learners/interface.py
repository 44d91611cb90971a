"""The one pattern of all learners: pure functions over explicit state, and a plan of the data that they need.

A learner never knows where its data comes from. Its :class:`DataPlan` tells the training loop what to feed it, and the
loop knows plans, not algorithms.
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool

from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree
from triax.types import Policy, UpdateOutput
from triax.types import SequenceUnit as SequenceUnit
from triax.types import TransitionUnit as TransitionUnit
from triax.types import Unit as Unit

StateT = TypeVar("StateT")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnPolicyPlan:
    """Chunks of fresh experience, used for some epochs and thrown away. Chunks of one step, used once, are a *stream*:
    every step is seen once, in order, as it is made, and the next is taken by the policy that has learned from it.

    ``ingest`` turns a chunk into *prepared* rows (a tree with one leading axis); each epoch is one pass over all of
    them in a new random order, in minibatches.

    :ivar steps: steps an environment and chunk.
    :ivar epochs: passes over the prepared rows.
    :ivar minibatch_size: rows an update; None: all of the chunk.
    :ivar corrects_lag: whether ``ingest`` corrects for the age of the policy that acted; then no chunk is left out for
        being too old.
    """

    steps: int
    epochs: int = 1
    minibatch_size: int | None = None
    corrects_lag: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """Batches drawn from all experience kept so far.

    :ivar batch_size: rows a batch.
    :ivar unit: what a row is.
    :ivar updates_per_step: updates per environment step, above or below one.
    :ivar warmup_steps: environment steps before the first update.
    :ivar random_warmup: whether these are taken with random actions, which have no extras; else by the policy.
    """

    batch_size: int
    unit: Unit
    updates_per_step: float = 1.0
    warmup_steps: int = 1000
    random_warmup: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPlan:
    """Batches drawn from a recorded dataset; no environment is stepped.

    :ivar batch_size: rows a batch.
    :ivar unit: what a row is.
    :ivar held_out_fraction: share of the episodes kept for the held-out loss, in [0, 1).
    :ivar held_out_interval: updates between looks at the held-out loss.
    :ivar patience: end after so many looks without improvement, and keep the best policy; None: never.
    :ivar tasks: how many tasks the learner tells apart, from 0 on: rows of others are refused; None: it does not.
    """

    batch_size: int
    unit: Unit
    held_out_fraction: float = 0.0
    held_out_interval: int = 500
    patience: int | None = None
    tasks: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixturePlan:
    """Each batch holds rows of a replay and rows of a dataset, in exact shares.

    :ivar replay: the replay's part; its batch size is the number of its rows in each batch.
    :ivar dataset: the dataset's part, likewise. Its rows come after the replay's.
    """

    replay: ReplayPlan
    dataset: DatasetPlan


DataPlan: TypeAlias = OnPolicyPlan | ReplayPlan | DatasetPlan | MixturePlan


class Learner(abc.ABC, Generic[StateT]):
    """An algorithm. Holds static configuration only; everything that changes is in the state.

    :ivar ingests: whether ``ingest`` does anything; loops skip the call where it does not.
    """

    ingests: bool = True

    @property
    @abc.abstractmethod
    def data_plan(self) -> DataPlan:
        """What the training loop must feed this learner."""

    @property
    @abc.abstractmethod
    def policy(self) -> Policy:
        """How it acts."""

    @property
    def rollout_policy(self) -> Policy:
        """How experience is made while it learns: by its policy, unless someone else is to act."""
        return self.policy

    @property
    def extras_spec(self) -> Mapping[str, SpaceSpec]:
        """What rollout stores beside each action: a spec for each name in ``extras`` of the rollout policy's output."""
        return {}

    @abc.abstractmethod
    def initial_state(self, *, key: KeyArray) -> StateT:
        """Make the state in which learning begins. Can be mapped over keys with ``vmap``.

        :param key: randomness for the networks' initialisation.
        :return: the state, a pytree.
        """

    def ingest(self, *, state: StateT, chunk: Tree) -> tuple[StateT, Tree]:
        """Take in a piece of experience, once: statistics, advantages.

        :param state: the state.
        :param chunk: a :class:`triax.types.Trajectory`.
        :return: the new state, and the experience as prepared for updates.
        """
        return state, chunk

    def learns_from(self, *, batch: Any) -> Bool[Array, ""]:
        """Tell whether there is anything to learn from in a batch of fresh experience; loops leave other updates out.

        In a row between two episodes no action was taken, and a small batch may have no others: its gradient is 0, and
        yet an update would move what has momentum, or decays. Loops ask it of all minibatches at once, before the first
        update: so it should look at as few of the rows' fields as it can.

        :param batch: rows as :meth:`ingest` prepared them.
        :return: a scalar.
        """
        del batch
        return jnp.ones((), jnp.bool_)

    @abc.abstractmethod
    def update(self, *, state: StateT, batch: Any, key: KeyArray) -> tuple[StateT, UpdateOutput]:
        """Make one gradient step. Pure: ``jit``, ``scan`` and ``vmap`` apply.

        :param state: the state.
        :param batch: what the data plan names.
        :param key: randomness for this update.
        :return: the new state, and metrics and feedback.
        """

    @abc.abstractmethod
    def policy_parameters(self, *, state: StateT) -> Tree:
        """Extract all that acting needs: parameters and observation statistics.

        :param state: the state.
        :return: a pytree, for :meth:`triax.types.Policy.act`.
        """

    def rollout_parameters(self, *, state: StateT) -> Tree:
        """Extract all that the rollout policy acts with.

        :param state: the state.
        :return: a pytree, for ``rollout_policy.act``.
        """
        return self.policy_parameters(state=state)

    def with_policy_parameters(self, *, state: StateT, parameters: Tree) -> StateT:
        """Put other parameters in the place of those of the policy, to begin with what another run has learned.

        :param state: the state.
        :param parameters: structured as what :meth:`policy_parameters` gives.
        :return: the new state; the optimiser's is as it was.
        """
        raise TypeError(f"{type(self).__name__} cannot begin with parameters of another run; leave Experiment.load.")

    def held_out_loss(self, *, state: StateT, batch: Any) -> Tree:
        """Compute the loss on data that is not learned from; learners with a :class:`DatasetPlan` offer it.

        :param state: the state.
        :param batch: a batch of held-out rows.
        :return: the loss, a scalar.
        """
        raise TypeError(f"{type(self).__name__} has no held-out loss; set held_out_fraction to 0.")


@runtime_checkable
class LearnerConfig(Protocol):
    """The frozen dataclass that describes a learner in an experiment."""

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> Learner[Any]:
        """Build the learner.

        :param observation_spec: the environment's observations.
        :param action_spec: the environment's actions.
        :return: the learner.
        :raises UnsupportedSpace: if the learner cannot handle the spaces.
        """

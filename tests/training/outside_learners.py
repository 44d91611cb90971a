"""Learners that are not part of the package, as a user would write them: each exercises a path of the pattern."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Bool, Float

from triax.learners.interface import (
    DataPlan,
    DatasetPlan,
    Learner,
    MixturePlan,
    ReplayPlan,
    SequenceUnit,
    TransitionUnit,
)
from triax.random import KeyArray
from triax.replay import Candidates, Drawn
from triax.spaces import BoxLeaf, SpaceSpec
from triax.trees import Tree, tree_dataclass
from triax.types import ActionMode, Feedback, PolicyOutput, Sequences, Transitions, UpdateOutput


@tree_dataclass
class CountingState:
    """Counts updates."""

    updates: Float[Array, ""]


@tree_dataclass
class Report:
    """One number."""

    value: Float[Array, ""]


class MiddlePolicy:
    """Chooses 0 in every component; keeps an exponential sum of what it saw as its carry, if asked to."""

    def __init__(self, *, action_spec: SpaceSpec, carry_size: int = 0) -> None:
        self._action_spec = action_spec
        self._carry_size = carry_size

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        return jnp.zeros((*batch_shape, self._carry_size)) if self._carry_size else ()

    def act(
        self,
        *,
        parameters: Tree,
        carry: Tree,
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        action = jax.tree.map(jnp.asarray, self._action_spec.zeros(batch_shape=is_first.shape))
        if not self._carry_size:
            return PolicyOutput(action=action, carry=(), extras={})
        before = jnp.where(is_first[:, None], 0.0, carry)
        return PolicyOutput(action=action, carry=next_carry(before, observation), extras={"carry": before})


def next_carry(carry: Array, observation: Array) -> Array:
    """How the recurrent policy remembers."""
    return 0.5 * carry + observation


class OutsideLearner(Learner[CountingState]):
    """What the learners here share."""

    ingests = False

    def __init__(self, *, config: Any, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        self.config = config
        self.observation_spec = observation_spec
        self._policy = MiddlePolicy(action_spec=action_spec)

    @property
    def policy(self) -> MiddlePolicy:
        return self._policy

    def initial_state(self, *, key: KeyArray) -> CountingState:
        return CountingState(updates=jnp.zeros(()))

    def policy_parameters(self, *, state: CountingState) -> Tree:
        return {"updates": state.updates}


class PriorityLearner(OutsideLearner):
    """Asks for the rows whose reward is large: their priority is the reward's size."""

    @property
    def data_plan(self) -> DataPlan:
        return ReplayPlan(batch_size=16, unit=TransitionUnit(discount=0.9), warmup_steps=40)

    def update(self, *, state: CountingState, batch: Transitions, key: KeyArray) -> tuple[CountingState, UpdateOutput]:
        reward = jnp.asarray(batch.reward)
        return CountingState(updates=state.updates + 1), UpdateOutput(
            metrics=Report(value=jnp.mean(reward)), feedback=Feedback(priority=jnp.abs(reward), origin=batch.origin)
        )


class RecurrentLearner(OutsideLearner):
    """Learns from sequences, begins each with the stored carry, and reports by how much its own differs from the
    stored."""

    def __init__(self, *, config: Any, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        super().__init__(config=config, observation_spec=observation_spec, action_spec=action_spec)
        (leaf,) = observation_spec.leaves()
        self._size = leaf.shape[0]
        self._policy = MiddlePolicy(action_spec=action_spec, carry_size=self._size)

    @property
    def data_plan(self) -> DataPlan:
        return ReplayPlan(batch_size=8, unit=SequenceUnit(length=5, burn_in=2), updates_per_step=0.25, warmup_steps=0)

    @property
    def extras_spec(self) -> Mapping[str, SpaceSpec]:
        bounds = (float("inf"),) * self._size
        return {"carry": SpaceSpec(tree=BoxLeaf(shape=(self._size,), low=tuple(-b for b in bounds), high=bounds))}

    def update(self, *, state: CountingState, batch: Sequences, key: KeyArray) -> tuple[CountingState, UpdateOutput]:
        stored = batch.rows.extras["carry"]

        def step(carry: Array, row: tuple[Array, Any]) -> tuple[Array, Array]:
            observation, is_first = row
            carry = jnp.where(is_first[:, None], 0.0, carry)
            return next_carry(carry, observation), carry

        _, unrolled = jax.lax.scan(step, stored[0], (batch.rows.observation[:-1], batch.rows.is_first[:-1]))
        difference = jnp.where(jnp.asarray(batch.mask)[..., None], jnp.abs(unrolled - stored), 0.0)
        return CountingState(updates=state.updates + 1), UpdateOutput(metrics=Report(value=jnp.max(difference)))


class MixtureLearner(OutsideLearner):
    """Takes 12 rows of replay and 4 of a dataset, and reports which share came from the dataset."""

    @property
    def data_plan(self) -> DataPlan:
        unit = TransitionUnit(discount=0.9)
        return MixturePlan(
            replay=ReplayPlan(batch_size=12, unit=unit, warmup_steps=40), dataset=DatasetPlan(batch_size=4, unit=unit)
        )

    def update(self, *, state: CountingState, batch: Transitions, key: KeyArray) -> tuple[CountingState, UpdateOutput]:
        from_dataset = jnp.asarray(batch.origin.source) == 1
        # The dataset's rewards are 1000 each, those of the environment are not.
        agree = jnp.mean((jnp.asarray(batch.reward) == 1000.0) == from_dataset)
        share = jnp.mean(from_dataset)
        return CountingState(updates=state.updates + 1), UpdateOutput(metrics={"share": share, "agree": agree})


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutsideConfig:
    """Describes one of the learners here."""

    kind: type[OutsideLearner]

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> OutsideLearner:
        return self.kind(config=self, observation_spec=observation_spec, action_spec=action_spec)


class ProportionalSampler:
    """Draws rows with probabilities proportional to their priorities; new rows have the largest so far."""

    def __init__(self, *, slots: int) -> None:
        self.priorities = np.zeros(slots)
        self.largest = 1.0
        self.told = 0

    @property
    def uses_feedback(self) -> bool:
        return True

    def inserted(self, *, slots: npt.NDArray[np.int64]) -> None:
        self.priorities[slots] = self.largest

    def removed(self, *, slots: npt.NDArray[np.int64]) -> None:
        self.priorities[slots] = 0.0

    def draw(self, *, batches: int, batch_size: int, candidates: Candidates, generator: np.random.Generator) -> Drawn:
        acceptable = candidates.all()
        chances = self.priorities[acceptable] / self.priorities[acceptable].sum()
        slots = generator.choice(acceptable, size=(batches, batch_size), p=chances)
        return Drawn(slots=slots, weights=np.ones((batches, batch_size), np.float32))

    def feedback(self, *, slots: npt.NDArray[np.int64], priorities: npt.NDArray[Any]) -> None:
        self.priorities[slots] = priorities
        self.told += len(slots)

    def state(self) -> Tree:
        return {"priorities": self.priorities.copy(), "largest": np.array(self.largest)}

    def restore(self, state: Tree) -> None:
        self.priorities, self.largest = state["priorities"].copy(), float(state["largest"])

"""What all training loops share: counters, the learner's compiled functions, and what one iteration reports."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Int

from triax.learners.interface import Learner
from triax.random import KeyArray, derive_key
from triax.rollout import Fleet, FleetReport
from triax.training.devices import DEFAULT_PLACEMENT, Placement
from triax.training.loops.scanning import scan_drawing_ahead
from triax.trees import Tree, to_numpy, tree_dataclass
from triax.types import ActionMode, EpisodeSummary, Trajectory

COLLECT_SECONDS = 1.0
"""So long a loop waits for a fleet before it comes back to its boundary, where signals are heard."""


@dataclasses.dataclass(kw_only=True)
class Counters:
    """How far a run is.

    :ivar environment_steps: steps taken in, over all environments.
    :ivar updates: gradient steps.
    :ivar policy_version: policies published.
    """

    environment_steps: int = 0
    updates: int = 0
    policy_version: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iteration:
    """What one iteration of a loop reports.

    :ivar metrics: the learner's metrics dataclasses, leaves of shape [updates], still on the device.
    :ivar episodes: episodes that ended, in all experience that arrived.
    :ivar policy_lags: of each piece of experience that came, how many versions older than the newest policy the one was
        that made it.
    :ivar policy_ages: the same of rows that were learned from, where those are others than came: an array for each call
        of updates. Recorded rows are left out.
    :ivar rejected_steps: environment steps that were left out, because the policy that made them was too old.
    :ivar finished: why the loop has nothing more to do; None while it has.
    """

    metrics: tuple[Tree, ...] = ()
    episodes: tuple[EpisodeSummary, ...] = ()
    policy_lags: tuple[int, ...] = ()
    policy_ages: tuple[Int[np.ndarray, " _"], ...] = ()
    rejected_steps: int = 0
    finished: str | None = None


@tree_dataclass
class LoopState:
    """A loop's part of a checkpoint, as trees of arrays.

    :ivar learner: the learner's state.
    :ivar fleet: where the environments are; an empty tuple if there are none.
    :ivar source: what the replay holds; an empty tuple if there is none.
    :ivar own: the loop's own arrays.
    """

    learner: Tree
    fleet: Tree
    source: Tree
    own: Tree


class Loop(abc.ABC):
    """Advances learning in iterations. At the end of each, its state is one consistent cut.

    :param learner: the algorithm.
    :param seed: the run's seed.
    :param placement: on which devices updates are computed.
    """

    def __init__(self, *, learner: Learner[Any], seed: int, placement: Placement) -> None:
        self.learner = learner
        self.counters = Counters()
        self.placement = placement
        # Not compiled as a whole: that takes longer than its many small operations, which learners of a process share.
        self.learner_state = placement.everywhere(learner.initial_state(key=derive_key(seed=seed, name=("learner",))))
        self._update_key = placement.everywhere(derive_key(seed=seed, name=("update",)))
        self._ingest = placement.compile(learner.ingest, donate_argnames="state")

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """What the schedules count: environment steps, or updates where no environment is stepped."""

    @property
    def counts_updates(self) -> bool:
        """Whether :attr:`steps` are updates."""
        return False

    def fleet_report(self) -> FleetReport | None:
        """Count what the fleet has done; None where there is no fleet."""
        return None

    @abc.abstractmethod
    def advance(self, *, limit: int) -> Iteration:
        """Make one iteration.

        :param limit: how many steps until the next event of a schedule; an iteration may end there, and goes beyond
            only where it cannot be split.
        :return: what happened.
        """

    def policy_parameters(self) -> Tree:
        """Extract what the policy acts with, from the learner's state.

        :return: a tree on the device.
        """
        return self.placement.on_first(self.learner.policy_parameters(state=self.learner_state))

    def begin_with(self, *, parameters: Tree) -> None:
        """Put other parameters in the place of those of the policy, before the first iteration.

        :param parameters: structured as those of :meth:`policy_parameters`.
        """
        self.learner_state = self.learner.with_policy_parameters(
            state=self.learner_state, parameters=self.placement.everywhere(parameters)
        )

    def prefill(self, *, experience: Trajectory, task: npt.NDArray[Any]) -> None:
        """Take in recorded experience, before the first iteration.

        :param experience: episodes one after the other, [T, 1].
        :param task: the task of each row, [T, 1].
        :raises ValueError: if the loop keeps no experience.
        """
        raise ValueError(
            f"Experiment.prefill is set, and {type(self.learner).__name__} has no replay that could be filled; leave "
            "it out."
        )

    def agent_parameters(self) -> Tree:
        """Extract the parameters to evaluate and to keep; a learner with early stopping keeps its best.

        :return: a tree on the device.
        """
        return self.policy_parameters()

    @abc.abstractmethod
    def state(self) -> LoopState:
        """Copy everything that changes to the host.

        :return: trees of NumPy arrays.
        """

    @abc.abstractmethod
    def restore(self, *, state: LoopState, counters: Counters) -> None:
        """Take over a state.

        :param state: from :meth:`state`.
        :param counters: of the same moment.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """End what the loop holds open. Can be called twice."""


class FleetLoop(Loop):
    """A loop over experience that a fleet makes.

    :param learner: the algorithm.
    :param fleet: makes experience.
    :param seed: the run's seed.
    :param placement: on which devices updates are computed.
    """

    def __init__(self, *, learner: Learner[Any], fleet: Fleet, seed: int, placement: Placement) -> None:
        super().__init__(learner=learner, seed=seed, placement=placement)
        self.fleet = fleet

    @property
    def steps(self) -> int:
        """Environment steps."""
        return self.counters.environment_steps

    def state(self) -> LoopState:
        """Copy everything that changes; see :meth:`Loop.state`."""
        return LoopState(learner=to_numpy(self.learner_state), fleet=self.fleet.state(), source=(), own=())

    def restore(self, *, state: LoopState, counters: Counters) -> None:
        """Take over a state; see :meth:`Loop.restore`."""
        self.counters = counters
        self.learner_state = self.placement.everywhere(state.learner)
        self.fleet.restore(state.fleet)
        self._send_policy()

    def begin_with(self, *, parameters: Tree) -> None:
        """Put other parameters in the place of those of the policy; see :meth:`Loop.begin_with`."""
        super().begin_with(parameters=parameters)
        self.publish()

    def close(self) -> None:
        """Close the fleet."""
        self.fleet.close()

    def fleet_report(self) -> FleetReport:
        """Count what the fleet has done."""
        return self.fleet.report()

    def acting_mode(self) -> ActionMode:
        """Say how the fleet is to act now."""
        return ActionMode.SAMPLE

    def publish(self) -> None:
        """Give the fleet a new policy version: the learner's of now."""
        self.counters.policy_version += 1
        self._send_policy()

    def _send_policy(self) -> None:
        self.fleet.publish(
            parameters=self.placement.on_first(self.learner.rollout_parameters(state=self.learner_state)),
            version=self.counters.policy_version,
            mode=self.acting_mode(),
        )


def compiled_updates(*, learner: Learner[Any], placement: Placement = DEFAULT_PLACEMENT) -> Callable[..., Any]:
    """Compile several updates into one call, the learner's state donated.

    :param learner: the algorithm.
    :param placement: on which devices.
    :return: from (state, batches with a leading axis of updates, key, number of the first update) to the new state
        and the outputs of all updates. No value comes to the host in between.
    """

    def updates(state: Tree, batches: Tree, key: KeyArray, first_update: jax.Array) -> tuple[Tree, Tree]:
        def step(state: Tree, batch: Tree, key: KeyArray) -> tuple[Tree, Tree]:
            return learner.update(state=state, batch=placement.split(batch), key=key)

        numbers = first_update + jnp.arange(jax.tree.leaves(batches)[0].shape[0], dtype=jnp.uint32)
        keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
        return scan_drawing_ahead(step, state=state, batches=batches, keys=keys)

    return placement.compile(updates, donate_argnums=0)


def update_number(updates: int) -> np.uint32:
    """Number an update for the derivation of its key.

    :param updates: updates before it.
    :return: as an array scalar, so that a new number is no new compilation.
    """
    return np.uint32(updates)

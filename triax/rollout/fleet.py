"""The fleet: whatever makes experience with published policies, seen from the training loop.

The loop is the same for a fleet in its own process and for one of many workers. So what a fleet promises is what both
can keep: experience is counted in *rows* (one environment in one step), comes in whole chunks, each made by one policy
version.
"""

import dataclasses
import re
from typing import Literal, Protocol, runtime_checkable

from triax.rollout.supervision import SupervisionConfig
from triax.trees import Tree
from triax.types import ActionMode, Chunk


@dataclasses.dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How environments are stepped.

    :raises ValueError: if a field is out of its range.
    """

    backend: Literal["inline", "processes", "ray"] = "inline"
    """Where: "inline" is the trainer's own process, deterministic to the bit; "processes" are workers beside it; "ray"
    are Ray actors, on this machine or on a cluster."""
    ray_address: str | None = None
    """The Ray cluster, "auto" or "host:port"; None starts a Ray on this machine for the run. Ray only."""
    workers: int = 1
    """How many workers step environments. Inline, they all step in the same process, side by side."""
    environments_per_worker: int = 1
    """How many environments each worker steps side by side, in one call of the policy."""
    lead: int = 2
    """How many chunks a worker may be ahead of the trainer before it waits. Not inline."""
    niceness: int = 10
    """How much worker processes and the evaluator yield to the trainer where cores are scarce, 0 to 19; see nice(1)."""
    maximum_policy_lag: int = 1
    """On-policy learners leave chunks out that are made by a policy older than this many versions, unless they correct
    for that. Not inline."""
    supervision: SupervisionConfig = dataclasses.field(default_factory=SupervisionConfig)
    """When a worker counts as hung, and how often one is started again. Not inline."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.backend not in ("inline", "processes", "ray"):
            raise ValueError(f'RolloutConfig.backend={self.backend!r} must be "inline", "processes" or "ray".')
        if self.ray_address is not None and self.backend != "ray":
            raise ValueError(f'RolloutConfig.ray_address={self.ray_address!r} is of use with backend="ray" only.')
        if self.ray_address is not None and not re.fullmatch(r"auto|[^/\s]+:\d+", self.ray_address):
            raise ValueError(f'RolloutConfig.ray_address={self.ray_address!r} must be "auto" or "host:port".')
        if not 0 <= self.niceness <= 19:
            raise ValueError(f"RolloutConfig.niceness={self.niceness} must be from 0 to 19.")
        if self.maximum_policy_lag < 0:
            raise ValueError(f"RolloutConfig.maximum_policy_lag={self.maximum_policy_lag} must be at least 0.")
        for name in ("workers", "environments_per_worker", "lead"):
            if getattr(self, name) < 1:
                raise ValueError(f"RolloutConfig.{name}={getattr(self, name)} must be at least 1.")

    @property
    def environments(self) -> int:
        """How many environments there are in all."""
        return self.workers * self.environments_per_worker


@dataclasses.dataclass(frozen=True, kw_only=True)
class FleetReport:
    """What a fleet has done since the run began; resuming goes on counting.

    :ivar environment_steps: actions taken (valid rows) in the chunks that were handed out.
    :ivar episodes: episodes that ended in them.
    :ivar resets: episodes begun.
    :ivar restarts: workers that were started again after a failure.
    :ivar lost_steps: actions taken by these and never handed over, as far as that is known.
    :ivar steps_underway: actions that were taken and not yet taken in by the trainer, as far as that is known.
    :ivar seconds_waited: how long ``collect`` has waited for experience.
    :ivar worker_seconds_waited: how long workers have waited for the trainer, over all of them.
    """

    environment_steps: int
    episodes: int
    resets: int
    restarts: int = 0
    lost_steps: int = 0
    steps_underway: int = 0
    seconds_waited: float = 0.0
    worker_seconds_waited: float = 0.0


@runtime_checkable
class Fleet(Protocol):
    """Environments that make experience with the policy that was published last."""

    @property
    def environments(self) -> int:
        """How many environments there are in all; ``collect`` counts rows of all of them together."""

    @property
    def is_concurrent(self) -> bool:
        """Whether experience is made while the trainer does something else, not in ``collect`` itself."""

    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        """Give the fleet a policy. The newest one wins.

        :param parameters: the learner's ``policy_parameters``; copied, so they may be donated afterwards. Not looked at
            if the mode is RANDOM.
        :param version: its number, which the chunks made with it carry.
        :param mode: how to act with it.
        """

    def collect(self, *, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        """Take experience out of the fleet.

        Rows are one environment in one step, dead rows (``is_last``) among them, so that the shapes of an in-line
        fleet's chunks depend on the arguments only; :attr:`triax.types.Chunk.steps` counts the others.

        :param minimum: wait until there are so many rows. An in-line fleet makes just as many, rounded up to a multiple
            of its environments, as one chunk, whose T is ``minimum / environments``.
        :param maximum: take no more rows than this, rounded up to whole chunks; what is left over comes next time.
            None: all there is. An in-line fleet has no more than the minimum.
        :param timeout: seconds after which the call returns what there is, which may be less than the minimum or
            nothing. None: wait as long as it takes. An in-line fleet does not wait for anyone.
        :return: the chunks, oldest first.
        :raises ValueError: if the maximum is below the minimum, or nothing was published.
        :raises WorkersFailed: if workers have failed for good; again at each further call.
        """

    def report(self) -> FleetReport:
        """Count what was done.

        :return: the counts.
        """

    def state(self) -> Tree:
        """Describe where the fleet stands: environments, memories, counters; not the policy.

        :return: a tree of NumPy arrays of its own, in a fixed structure; some lengths change.
        """

    def restore(self, state: Tree) -> None:
        """Go on from where a fleet stood. A policy must be published after it.

        :param state: what :meth:`state` returned.
        """

    def close(self) -> None:
        """Close the environments and end the workers. Closing twice does nothing more."""

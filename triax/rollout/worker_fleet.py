"""What all fleets of workers do alike, wherever these run: wait for chunks, count, and begin new lives."""

import abc
import sys
import time
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from triax.rollout.fleet import FleetReport, RolloutConfig
from triax.rollout.supervision import RestartBudget, WorkersFailed
from triax.trees import Tree, tree_dataclass
from triax.types import ActionMode, Chunk

_WAKE_SECONDS = 0.2
_CLOSE_SECONDS = 3.0


@tree_dataclass
class WorkerFleetState:
    """Where a fleet stands; NumPy arrays. Environments are not restored: workers begin new lives.

    :ivar lives: how often each worker has been started, [W].
    :ivar environment_steps: actions taken in the chunks that were handed out, [].
    :ivar episodes: episodes that ended in them, [].
    :ivar resets: episodes begun, [].
    :ivar restarts: workers that were started again, [].
    :ivar lost_steps: environment steps that were made and never handed over, as far as that is known, [].
    :ivar seconds_waited: by ``collect``, and by all workers together, [2].
    """

    lives: Int[np.ndarray, " W"]
    environment_steps: Int[np.ndarray, ""]
    episodes: Int[np.ndarray, ""]
    resets: Int[np.ndarray, ""]
    restarts: Int[np.ndarray, ""]
    lost_steps: Int[np.ndarray, ""]
    seconds_waited: Float[np.ndarray, "2"]


@runtime_checkable
class Life(Protocol):
    """A worker from its start to its end, as the trainer sees it."""

    @property
    def is_first(self) -> bool:
        """Whether it is the worker's first one in this process."""

    @property
    def has_stepped(self) -> bool:
        """Whether it has come so far that it steps its environments."""

    @property
    def resets(self) -> int:
        """How many episodes it has begun."""

    @property
    def lost_steps(self) -> int | None:
        """How many environment steps it has made that are lost if it ends now; None if that cannot be known."""

    @property
    def seconds_waited(self) -> float:
        """How long it has waited for the trainer."""

    @property
    def place(self) -> str:
        """Where it runs, for the user."""

    @property
    def doing(self) -> str:
        """What it is at, for the user."""

    def request_stop(self) -> None:
        """Ask it to close its environments and end."""

    def close(self, *, deadline: float = 0.0) -> None:
        """End it. To be called once.

        :param deadline: when to use force, on the clock of ``time.monotonic``.
        """


LifeT = TypeVar("LifeT", bound=Life)


class WorkerFleet(abc.ABC, Generic[LifeT]):
    """A :class:`~triax.rollout.fleet.Fleet` of workers. They start when experience is first asked for."""

    def __init__(self, *, config: RolloutConfig) -> None:
        """Prepare.

        :param config: how many workers and environments, and how they are watched.
        """
        self._config = config
        self._workers: dict[int, LifeT] = {}
        self._lives = np.zeros(config.workers, np.int64)
        self._started: set[int] = set()
        self._next = 0
        self._failure: WorkersFailed | None = None
        self._budget = RestartBudget(config=config.supervision)
        self._restarts = 0
        self._lost_steps = 0
        self._environment_steps = 0
        self._episodes = 0
        self._resets_of_past_lives = 0
        self._waited_of_past_lives = 0.0
        self._seconds_waited = 0.0
        self._heard_last = time.monotonic()
        self._said_last = 0.0
        self._asked_last: float | None = None

    @property
    def environments(self) -> int:
        """How many environments there are, over all workers."""
        return self._config.environments

    @property
    def is_concurrent(self) -> bool:
        """Workers do not wait for the trainer."""
        return True

    @abc.abstractmethod
    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        """Show the workers a policy; see :meth:`triax.rollout.fleet.Fleet.publish`."""

    @property
    @abc.abstractmethod
    def _has_policy(self) -> bool:
        """Whether one was published."""

    @abc.abstractmethod
    def _start(self, *, worker: int, number: int, is_first: bool) -> LifeT:
        """Start a worker.

        :param worker: the worker's number.
        :param number: how often it was started before.
        :param is_first: whether it is the first one in this process.
        :return: its life.
        :raises OSError: if it cannot be started.
        """

    @abc.abstractmethod
    def _take(self, worker: int) -> Chunk | None:
        """Take the oldest chunk of a worker; None if there is none now. May replace the worker."""

    @abc.abstractmethod
    def _supervise(self) -> None:
        """Replace the workers that are gone or hang."""

    @abc.abstractmethod
    def _wait(self, *, seconds: float) -> None:
        """Wait until a worker has something to say, or so long."""

    def collect(self, *, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        """Take experience from the workers; see :meth:`triax.rollout.fleet.Fleet.collect`.

        :param minimum: rows to wait for.
        :param maximum: rows to take, rounded up to whole chunks.
        :param timeout: seconds after which the call returns what there is.
        :return: the chunks.
        :raises ValueError: if the maximum is below the minimum, or nothing was published.
        :raises WorkersFailed: if workers failed too often, or one could not start.
        """
        if minimum < 0 or (maximum is not None and maximum < minimum):
            raise ValueError(f"collect(minimum={minimum}, maximum={maximum}): 0 ≤ minimum ≤ maximum must hold.")
        if not self._has_policy:
            raise ValueError("the fleet has no policy: publish one before collecting, and after restoring.")
        if self._failure is not None:
            raise self._failure
        began = time.monotonic()
        self._say_if_kept_waiting(now=began)
        chunks: list[Chunk] = []
        rows = 0
        try:
            if not self._workers:
                self._heard_last = began
                for worker in range(self._config.workers):
                    self._begin(worker)
            while True:
                while (maximum is None or rows < maximum) and (chunk := self._next_chunk()) is not None:
                    chunks.append(chunk)
                    rows += chunk.trajectory.reward.size
                self._supervise()
                before = time.monotonic()
                if rows >= minimum or (timeout is not None and before - began >= timeout):
                    break
                self._say_if_waiting(now=before)
                self._wait(seconds=_WAKE_SECONDS if timeout is None else min(_WAKE_SECONDS, timeout + began - before))
                self._seconds_waited += time.monotonic() - before
        except WorkersFailed as failure:
            # What came before it is not lost; the next call says so.
            self._failure = failure
            if not chunks:
                raise
        self._environment_steps += sum(chunk.steps for chunk in chunks)
        self._episodes += sum(len(chunk.episodes) for chunk in chunks)
        self._asked_last = time.monotonic()
        return chunks

    def report(self) -> FleetReport:
        """Count what was done.

        :return: the counts.
        """
        lives = self._workers.values()
        return FleetReport(
            environment_steps=self._environment_steps,
            episodes=self._episodes,
            resets=self._resets_of_past_lives + sum(life.resets for life in lives),
            restarts=self._restarts,
            lost_steps=self._lost_steps,
            steps_underway=sum(life.lost_steps or 0 for life in lives),
            seconds_waited=self._seconds_waited,
            worker_seconds_waited=self._waited_of_past_lives + sum(life.seconds_waited for life in lives),
        )

    def state(self) -> WorkerFleetState:
        """Describe where the fleet stands.

        :return: NumPy arrays of its own.
        """
        report = self.report()
        return WorkerFleetState(
            lives=self._lives.copy(),
            environment_steps=np.array(self._environment_steps, np.int64),
            episodes=np.array(self._episodes, np.int64),
            resets=np.array(report.resets, np.int64),
            restarts=np.array(report.restarts, np.int64),
            lost_steps=np.array(report.lost_steps, np.int64),
            seconds_waited=np.array([report.seconds_waited, report.worker_seconds_waited], np.float64),
        )

    def restore(self, state: Any) -> None:
        """Go on counting from where a fleet stood. Its workers begin new lives with the next policy.

        :param state: what :meth:`state` returned.
        :raises ValueError: if it is one of another number of workers.
        """
        if len(state.lives) != self._config.workers:
            raise ValueError(
                f"rollout.workers={self._config.workers}: the checkpoint is one of {len(state.lives)} workers."
            )
        self._end_workers()
        self._lives = np.maximum(self._lives, np.asarray(state.lives, np.int64))
        self._environment_steps = int(state.environment_steps)
        self._episodes = int(state.episodes)
        self._resets_of_past_lives = int(state.resets)
        self._restarts = int(state.restarts)
        self._lost_steps = int(state.lost_steps)
        self._seconds_waited, self._waited_of_past_lives = (float(seconds) for seconds in state.seconds_waited)

    def close(self) -> None:
        """End the workers. Closing twice does nothing more."""
        self._end_workers()

    def _end_workers(self) -> None:
        """End the workers, and forget the policy."""
        workers, self._workers = self._workers, {}
        self._asked_last = None
        for life in workers.values():
            life.request_stop()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for life in workers.values():
            life.close(deadline=deadline)

    def _next_chunk(self) -> Chunk | None:
        """Take the next chunk, of each worker in turn; None if there is none."""
        for _ in range(self._config.workers):
            self._next = (self._next + 1) % self._config.workers
            chunk = self._take(self._next)
            if chunk is not None:
                self._heard_last = time.monotonic()
                return chunk
        return None

    def _replace(self, *, worker: int, reason: str, permanent: bool = False) -> None:
        """End a worker's life and begin its next one, if the budget allows that.

        :param worker: the worker's number.
        :param reason: what happened, for the user.
        :param permanent: whether it would happen again at once if nothing was ever stepped.
        """
        life = self._workers[worker]
        say(f"worker {worker} ({life.place}) {reason}")
        headline = reason.splitlines()[0]
        if permanent and not life.has_stepped and life.is_first:
            raise WorkersFailed(f"worker {worker} could not begin: it {headline}.{_remedy(headline)}")
        if not self._budget.take():
            supervision = self._config.supervision
            raise WorkersFailed(
                f"worker {worker} {headline}; {supervision.restarts} workers were started again within "
                f"{supervision.window_seconds:g} s, which is as many as rollout.supervision.restarts allows."
            )
        del self._workers[worker]
        self._resets_of_past_lives += life.resets
        self._waited_of_past_lives += life.seconds_waited
        self._restarts += 1
        if life.lost_steps is not None:
            self._lost_steps += life.lost_steps
            say(f"worker {worker} begins anew; {life.lost_steps} steps that it had not handed over are lost")
        else:
            lead = self._config.lead
            say(f"worker {worker} begins anew; what it had not handed over is lost, {lead} chunks at most")
        life.close()
        self._begin(worker)

    def _begin(self, worker: int) -> None:
        number = int(self._lives[worker])
        self._lives[worker] += 1
        try:
            self._workers[worker] = self._start(worker=worker, number=number, is_first=worker not in self._started)
        except OSError as error:
            raise WorkersFailed(f"worker {worker} could not be started: {error}") from error
        self._started.add(worker)

    def _say_if_kept_waiting(self, *, now: float) -> None:
        """Say so if the trainer has left the workers without an answer for long; they are ahead of it only so far."""
        away = 0.0 if self._asked_last is None else now - self._asked_last
        if away > self._config.supervision.patience_seconds:
            say(f"workers had to wait: for {away:.0f} s the trainer was learning, evaluating, saving or compiling")

    def _say_if_waiting(self, *, now: float) -> None:
        patience = self._config.supervision.patience_seconds
        if now - max(self._heard_last, self._said_last) > patience:
            self._said_last = now
            doing = ", ".join(f"worker {worker} {life.doing}" for worker, life in self._workers.items())
            say(f"no experience for {now - self._heard_last:.0f} s: {doing}")


def say(text: str) -> None:
    """Tell the user something, beside the progress bar.

    :param text: what.
    """
    print(f"triax: {text}", file=sys.stderr, flush=True)


def _remedy(headline: str) -> str:
    if "ModuleNotFoundError" not in headline:
        return ""
    return " A worker imports the experiment anew, in a process of its own: let it find the module there, too."

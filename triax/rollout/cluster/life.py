"""One life of a worker, as the trainer sees it: an actor, and the calls it has not answered yet."""

import collections
import contextlib
import time
from typing import Any

from triax.rollout.cluster.worker import WorkerNews, WorkerProgress
from triax.rollout.processes.status import overdue
from triax.rollout.supervision import SupervisionConfig
from triax.rollout.workers import WorkerFailure
from triax.types import Chunk

PROGRESS = "progress"
"""The group of calls that are answered while the actor is at another call."""

_ASK_SECONDS = 1.0


class ActorLife:
    """An actor from its creation to its end.

    :ivar is_first: whether it is the worker's first life in this process.
    :ivar has_begun: whether its environments have begun their first episodes.
    :ivar resets: how many episodes it has begun, as it said last.
    :ivar seconds_waited: how long it has waited for calls, as it said last.
    """

    def __init__(self, *, ray: Any, actor: Any, is_first: bool) -> None:
        """Tell the actor to begin, as soon as it is somewhere.

        :param ray: the module.
        :param actor: the handle of a :class:`~triax.rollout.cluster.worker.RayWorker`.
        :param is_first: whether it is the worker's first life in this process.
        """
        self.is_first = is_first
        self.has_begun = False
        self.resets = 0
        self.seconds_waited = 0.0
        self._ray = ray
        self._actor = actor
        self._place: str | None = None
        self._asked_place = actor.place.remote()
        self._begins = actor.begin.remote()
        self._calls: collections.deque[Any] = collections.deque()
        self._closing: Any = None
        self._progress: Any = None
        self._since = self._asked_progress_at = time.monotonic()

    @property
    def next_answer(self) -> Any:
        """The reference to what it answers next."""
        return self._calls[0] if self.has_begun else self._begins

    @property
    def has_answered(self) -> bool:
        """Whether its next answer is here."""
        return self._is_here(self.next_answer)

    @property
    def is_placed(self) -> bool:
        """Whether Ray has found a place for it."""
        if self._place is None and self._is_here(self._asked_place):
            self._since = time.monotonic()
            self._place = "nowhere"
            with contextlib.suppress(self._ray.exceptions.RayError):  # its next answer says the same
                self._place = self._ray.get(self._asked_place)
        return self._place is not None

    @property
    def seconds_at_it(self) -> float:
        """For how long it has been at what it answers next, as far as the trainer has looked."""
        return time.monotonic() - self._since

    @property
    def has_stepped(self) -> bool:
        """Whether it has come so far that it steps its environments."""
        return self.has_begun

    @property
    def lost_steps(self) -> None:
        """What it has made and not sent is known on its own machine alone."""

    @property
    def place(self) -> str:
        """Where it runs, for the user."""
        return self._place or "not placed yet"

    @property
    def doing(self) -> str:
        """What it is at, for the user."""
        if not self.is_placed:
            free, there = (
                resources.get("CPU", 0.0)
                for resources in (self._ray.available_resources(), self._ray.cluster_resources())
            )
            return f"waits for Ray to place it: it needs 1 CPU, and of the cluster's {there:g} there are {free:g} free"
        return f"is at {'its chunk' if self.has_begun else 'its start'} for {self.seconds_at_it:.0f} s ({self._place})"

    def ask(self, *, policy: Any, lead: int) -> None:
        """Ask for chunks, until so many are asked for.

        :param policy: the reference to the policy to make them with.
        :param lead: how many.
        """
        while len(self._calls) < lead:
            self._calls.append(self._actor.collect.remote(policy))

    def take(self) -> Chunk | WorkerFailure | None:
        """Take its next answer.

        :return: what it is; None if it is not here yet, or says nothing but that it has begun.
        :raises RayError: if the actor is gone.
        """
        if not self.has_answered:
            return None
        news: WorkerNews | WorkerFailure = self._ray.get(self.next_answer)
        self._since, self._progress = time.monotonic(), None
        if isinstance(news, WorkerFailure):
            return news
        self.resets, self.seconds_waited = news.resets, news.seconds_waited
        if news.chunk is None:
            self.has_begun = True
            return None
        self._calls.popleft()
        return news.chunk

    def overdue(self, supervision: SupervisionConfig) -> str | None:
        """Say what takes too long. Where its next answer is late, the actor is asked what it is at.

        :param supervision: the limits.
        :return: for the user; None if nothing does, or it has not said so yet.
        """
        now, asked = time.monotonic(), self._progress
        if asked is None:
            shortest = min(supervision.start_seconds, supervision.reset_seconds, supervision.step_seconds)
            if now - self._since > shortest and now - self._asked_progress_at > _ASK_SECONDS:
                self._progress = self._actor.progress.options(concurrency_group=PROGRESS).remote()
                self._asked_progress_at = now
            return None
        if not self._is_here(asked):
            # It cannot answer while code that is not Python's keeps Python's lock, as a step of an environment may.
            longest = max(supervision.reset_seconds, supervision.step_seconds)
            limit = longest if self.has_begun else supervision.start_seconds
            silent = now - self._asked_progress_at > limit
            return f"has not said for more than {limit:g} s what it is at (rollout.supervision)" if silent else None
        self._progress = None
        with contextlib.suppress(self._ray.exceptions.RayError):  # its next answer says the same
            progress: WorkerProgress = self._ray.get(asked)
            return overdue(phase=progress.phase, seconds=progress.seconds, supervision=supervision)
        return None

    def request_stop(self) -> None:
        """Ask it to close its environments, after what it is at."""
        self._closing = self._actor.close.remote()

    def close(self, *, deadline: float = 0.0) -> None:
        """End the actor. To be called once.

        :param deadline: when to use force, on the clock of ``time.monotonic``.
        """
        # Ray itself may be gone.
        with contextlib.suppress(self._ray.exceptions.RayError):
            if self._closing is not None:
                self._ray.wait([self._closing], timeout=max(0.0, deadline - time.monotonic()))
            self._ray.kill(self._actor)

    def _is_here(self, reference: Any) -> bool:
        return bool(self._ray.wait([reference], timeout=0)[0])

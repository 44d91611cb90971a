"""The evaluator in a process of its own: it plays the policies that it is given, one after the other."""

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from triax.evaluation.config import EvaluationConfig
from triax.evaluation.evaluator import Evaluation, Evaluator, summarised
from triax.rollout import MakeEnvironment, RestartBudget, SupervisionConfig, WorkersFailed
from triax.rollout.processes.memory import SharedMemory
from triax.rollout.processes.spawning import begin_child, end_child, ending_of, received, start_child, use_one_thread
from triax.rollout.processes.status import Phase, WorkerStatus, overdue
from triax.rollout.supervision import Watch, WatchClock, pickled_for_workers
from triax.rollout.workers import MakePolicy, WorkerFailure
from triax.spaces import SpaceSpec
from triax.trees import Tree, to_numpy

_CLOSE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Setup:
    make: MakeEnvironment
    make_policy: MakePolicy
    observation_spec: SpaceSpec
    action_spec: SpaceSpec
    config: EvaluationConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Request:
    parameters: Tree
    evaluation_seed: int


class EvaluatorProcess:
    """Evaluates beside training: what it was asked for, in turn, each once, also if its process dies meanwhile."""

    def __init__(
        self,
        *,
        make: MakeEnvironment,
        make_policy: MakePolicy,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        config: EvaluationConfig,
        supervision: SupervisionConfig,
        niceness: int = 0,
    ) -> None:
        """Prepare; the process starts with the first request.

        :param make: makes one environment; can be pickled.
        :param make_policy: makes the policy, in the process; can be pickled.
        :param observation_spec: the spec of the observations.
        :param action_spec: the spec of the actions.
        :param config: how many episodes, and how to act.
        :param supervision: when it counts as hung, and how often it is started again.
        :param niceness: how much the process yields to the trainer where cores are scarce.
        :raises CannotSendToWorkers: if the environment or the policy cannot be pickled.
        """
        setup = _Setup(
            make=make,
            make_policy=make_policy,
            observation_spec=observation_spec,
            action_spec=action_spec,
            config=config,
        )
        self._setup = pickled_for_workers(setup, environment=make, policy=make_policy)
        self._supervision = supervision
        self._niceness = niceness
        self._budget = RestartBudget(config=supervision)
        self._clock = WatchClock(config=supervision)
        self._requests: collections.deque[_Request] = collections.deque()
        self._life: _Life | None = None
        self._failure: WorkersFailed | None = None
        self._has_stepped = False

    @property
    def outstanding(self) -> int:
        """How many requests have no result yet."""
        return len(self._requests)

    @property
    def process(self) -> int | None:
        """The process; None before it is started."""
        return None if self._life is None else self._life.process_id

    def request(self, *, parameters: Tree, evaluation_seed: int) -> None:
        """Ask for an evaluation.

        :param parameters: the learner's ``policy_parameters``; copied.
        :param evaluation_seed: see :meth:`Evaluator.evaluate`.
        :raises WorkersFailed: if the process could not be started.
        """
        self._requests.append(_Request(parameters=to_numpy(parameters), evaluation_seed=evaluation_seed))
        self._proceed()

    def finished(self, *, seconds: float = 0.0) -> list[Evaluation]:
        """Take the results that are there.

        :param seconds: how long to wait for the first.
        :return: results, in the order of the requests.
        :raises WorkersFailed: if the process failed too often, or could never begin.
        """
        evaluations: list[Evaluation] = []
        deadline = time.monotonic() + seconds
        try:
            while self._requests:
                self._proceed()
                remaining = 0.0 if evaluations else max(0.0, deadline - time.monotonic())
                found = self._receive(seconds=min(0.2, remaining))
                if found is not None:
                    evaluations.append(found)
                elif evaluations or time.monotonic() >= deadline:
                    break
        except WorkersFailed as failure:
            # What came before it is not lost; the next call says so.
            self._failure = failure
            if not evaluations:
                raise
        return evaluations

    def close(self) -> None:
        """End the process; what is outstanding is lost. Closing twice does nothing more."""
        life, self._life = self._life, None
        if life is not None:
            life.close(seconds=_CLOSE_SECONDS)
        self._requests.clear()

    def _proceed(self) -> None:
        """Hand over the oldest request, if the process has nothing to do."""
        if self._failure is not None:
            raise self._failure
        try:
            if self._life is None:
                self._life = _Life(setup=self._setup, niceness=self._niceness)
            if not self._life.busy:
                self._life.send(self._requests[0])
        except OSError as error:
            raise WorkersFailed(f"the evaluator could not be started or asked: {error}") from error

    def _receive(self, *, seconds: float) -> Evaluation | None:
        """Take the answer to the oldest request; None if it is not here yet. May replace the process.

        :param seconds: how long to wait for it.
        """
        assert self._life is not None
        now = self._clock.look()
        found = self._life.receive(seconds=seconds)
        if isinstance(found, Evaluation):
            self._requests.popleft()
            return found
        if isinstance(found, WorkerFailure):
            self._replace(reason=f"failed with {found.summary}\n{found.traceback}", permanent=True)
        elif not self._life.is_alive:
            self._replace(reason=f"ended by itself, with {self._life.ending}")
        elif (late := self._life.overdue(self._supervision, now=now)) is not None:
            self._replace(reason=late)
        return None

    def _replace(self, *, reason: str, permanent: bool = False) -> None:
        """End the process; the next request starts another, if the budget allows that.

        :param reason: what happened, for the user.
        :param permanent: whether it would happen again at once if nothing was ever stepped.
        """
        life, self._life = self._life, None
        assert life is not None
        self._has_stepped |= life.has_stepped
        life.close(seconds=0.0)
        print(f"triax: the evaluator (process {life.process_id}) {reason}", file=sys.stderr, flush=True)
        headline = reason.splitlines()[0]
        if permanent and not self._has_stepped:
            raise WorkersFailed(f"the evaluator could not begin: it {headline}.")
        if not self._budget.take():
            raise WorkersFailed(
                f"the evaluator {headline}; it was started again {self._supervision.restarts} times within "
                f"{self._supervision.window_seconds:g} s, which is as often as rollout.supervision.restarts allows."
            )


class _Life:
    """One process, from its start to its end, as the trainer sees it."""

    def __init__(self, *, setup: bytes, niceness: int) -> None:
        self.busy = False
        self._watch = Watch()
        with contextlib.ExitStack() as made:
            self._status = WorkerStatus()
            made.callback(self._status.close)
            self._connection, theirs = multiprocessing.Pipe()
            made.callback(self._connection.close)
            their_lifeline, lifeline = multiprocessing.Pipe(duplex=False)
            made.callback(lifeline.close)
            with theirs, their_lifeline:
                self._process = start_child(
                    target=run_evaluator,
                    setup=setup,
                    arguments={
                        "connection": theirs,
                        "status": self._status,
                        "lifeline": their_lifeline,
                        "parent": os.getpid(),
                        "niceness": niceness,
                    },
                    name="triax-evaluator",
                )
            self._open = made.pop_all()
        self.process_id = self._process.pid or 0

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    @property
    def ending(self) -> str:
        return ending_of(self._process.exitcode)

    @property
    def has_stepped(self) -> bool:
        return self._status.steps > 0

    def send(self, request: _Request) -> None:
        # Its time counts from here, and not from when it was last at something.
        self._status.enter(Phase.START)
        # Most requests do not fit the pipe at once: writing them takes until the evaluator reads, which may be never.
        connection = Connection(os.dup(self._connection.fileno()))
        threading.Thread(target=_send, args=(connection, request), daemon=True).start()
        self.busy = True

    def receive(self, *, seconds: float) -> Evaluation | WorkerFailure | None:
        with contextlib.suppress(EOFError, OSError):
            if self._connection.poll(seconds):
                found: Evaluation | WorkerFailure = self._connection.recv()
                self.busy = False
                return found
        return None

    def overdue(self, supervision: SupervisionConfig, *, now: float) -> str | None:
        """Say what takes too long, as far as it was watched; None if nothing does.

        :param now: on the clock of those who watch.
        """
        watched = self._watch.seconds(thing=self._status.since, now=now)
        seconds = min(self._status.seconds_in_phase, watched)
        return overdue(phase=self._status.phase, seconds=seconds, supervision=supervision)

    def close(self, *, seconds: float) -> None:
        self._open.close()  # The end of its connections ends it, once it has nothing to do.
        end_child(self._process, deadline=time.monotonic() + (0.0 if self.busy else seconds))


def _send(connection: Connection, request: _Request) -> None:
    """Write a request to a connection that nobody else uses or closes."""
    with connection, contextlib.suppress(OSError):  # It is gone, which is noticed when its answer is waited for.
        connection.send(request)


def run_evaluator(
    *,
    setup: SharedMemory,
    connection: Connection,
    status: WorkerStatus,
    lifeline: Connection,
    parent: int,
    niceness: int,
) -> None:
    """Be the evaluator; a process's whole life.

    :param setup: a description of what to play, pickled.
    :param connection: to the trainer; requests come, and results go.
    :param status: where it says what it is at.
    :param lifeline: ends with the trainer.
    :param parent: the trainer's process.
    :param niceness: how much it yields to the trainer where cores are scarce.
    """
    begin_child(parent=parent, lifeline=lifeline, niceness=niceness)
    try:
        use_one_thread(core=-1)
        made: _Setup = received(setup)
        evaluator = Evaluator(
            make=made.make,
            policy=made.make_policy(),
            observation_spec=made.observation_spec,
            action_spec=made.action_spec,
            config=made.config,
            watcher=status,
        )
        with contextlib.closing(evaluator), contextlib.suppress(EOFError):
            while True:
                _answer(evaluator=evaluator, connection=connection, status=status)
    except BaseException as error:  # whatever it is, the trainer is to know
        connection.send(WorkerFailure.of(error))
        sys.exit(1)


def _answer(*, evaluator: Evaluator, connection: Connection, status: WorkerStatus) -> None:
    request: _Request = connection.recv()
    status.enter(Phase.START)
    begun = False

    def note_beginning() -> bool:
        nonlocal begun
        if not begun:
            # Between the resets and the first step comes the policy's compilation, which has the time of a start.
            status.enter(Phase.START)
        begun = True
        return False

    played = evaluator.play(parameters=request.parameters, evaluation_seed=request.evaluation_seed, stop=note_beginning)
    assert played is not None, "nobody stops it"
    # What the summary needs is imported at the first one, which is no part of the last step.
    status.enter(Phase.START)
    connection.send(summarised(played))

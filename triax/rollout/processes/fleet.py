"""The fleet of worker processes on this machine."""

import pickle
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from triax.rollout.fleet import FleetReport, RolloutConfig
from triax.rollout.processes.board import PolicyBoard
from triax.rollout.processes.channel import ChannelDamaged
from triax.rollout.processes.life import WorkerLife
from triax.rollout.processes.memory import wait_for_signals
from triax.rollout.processes.status import Phase
from triax.rollout.processes.worker import (
    MakePolicy,
    PublishedPolicy,
    WorkerFailure,
    WorkerSetup,
    read_record,
)
from triax.rollout.seeded import MakeEnvironment
from triax.rollout.supervision import CannotSendToWorkers, RestartBudget, WorkersFailed
from triax.spaces import SpaceSpec
from triax.trees import Tree, to_numpy, tree_dataclass
from triax.types import ActionMode, Chunk

_WAKE_SECONDS = 0.2
_CLOSE_SECONDS = 3.0


@tree_dataclass
class ProcessFleetState:
    """Where the fleet stands; NumPy arrays. Environments are not restored: workers begin new lives.

    :ivar lives: how often each worker has been started, [W].
    :ivar environment_steps: actions taken in the chunks that were handed out, [].
    :ivar episodes: episodes that ended in them, [].
    :ivar resets: episodes begun, [].
    :ivar restarts: workers that were started again, [].
    :ivar seconds_waited: by ``collect``, and by all workers together, [2].
    """

    lives: Int[np.ndarray, " W"]
    environment_steps: Int[np.ndarray, ""]
    episodes: Int[np.ndarray, ""]
    resets: Int[np.ndarray, ""]
    restarts: Int[np.ndarray, ""]
    seconds_waited: Float[np.ndarray, "2"]


class ProcessFleet:
    """A :class:`~triax.rollout.fleet.Fleet` of processes. They start when experience is first asked for."""

    def __init__(
        self,
        *,
        config: RolloutConfig,
        make: MakeEnvironment,
        make_policy: MakePolicy,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        extras_spec: Mapping[str, SpaceSpec],
        chunk_steps: int,
        seed: int,
    ) -> None:
        """Prepare.

        :param config: how many workers and environments, and how they are watched.
        :param make: makes one environment; can be pickled.
        :param make_policy: makes the policy in the worker; can be pickled.
        :param observation_spec: the spec of the observations.
        :param action_spec: the spec of the actions.
        :param extras_spec: what to store beside each action.
        :param chunk_steps: steps of each environment in a chunk.
        :param seed: the run's seed.
        :raises CannotSendToWorkers: if the environment or the policy cannot be pickled.
        """
        self._config = config
        self._setup = _pickled(
            WorkerSetup(
                make=make,
                make_policy=make_policy,
                observation_spec=observation_spec,
                action_spec=action_spec,
                extras_spec=dict(extras_spec),
                seed=seed,
                environments=config.environments_per_worker,
                chunk_steps=chunk_steps,
                lead=config.lead,
            )
        )
        rows, observations = chunk_steps * config.environments_per_worker, (chunk_steps + 1)
        observations *= config.environments_per_worker
        row_bytes = _bytes_of(action_spec) + sum(map(_bytes_of, extras_spec.values())) + 16
        # Beside the arrays: their description, the summaries of episodes, or a long traceback.
        chunk_bytes = rows * (row_bytes + 64) + observations * (_bytes_of(observation_spec) + 2) + 2**17
        self._channel_bytes = (config.lead + 1) * chunk_bytes
        self._board: PolicyBoard | None = None
        self._workers: dict[int, WorkerLife] = {}
        self._lives = np.zeros(config.workers, np.int64)
        self._started: set[int] = set()
        self._next = 0
        self._failure: WorkersFailed | None = None
        self._budget = RestartBudget(config=config.supervision)
        self._restarts = 0
        self._environment_steps = 0
        self._episodes = 0
        self._resets_of_past_lives = 0
        self._waited_of_past_lives = 0.0
        self._seconds_waited = 0.0
        self._heard_last = time.monotonic()
        self._said_last = 0.0

    @property
    def environments(self) -> int:
        """How many environments there are, over all workers."""
        return self._config.environments

    @property
    def processes(self) -> tuple[int, ...]:
        """The workers' processes."""
        return tuple(life.process_id for life in self._workers.values())

    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        """Show the workers a policy; see :meth:`triax.rollout.fleet.Fleet.publish`."""
        # The parameters count in random mode, too: they say how large a policy is.
        whole = pickle.dumps(PublishedPolicy(parameters=to_numpy(parameters), version=version, mode=mode))
        if mode is ActionMode.RANDOM:
            content = pickle.dumps(PublishedPolicy(parameters=None, version=version, mode=mode))
        else:
            content = whole
        if self._board is None:
            self._board = PolicyBoard(slot_size=len(whole) + 4096)
        self._board.publish(content)

    def collect(self, *, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        """Take experience out of the channels; see :meth:`triax.rollout.fleet.Fleet.collect`.

        :param minimum: rows to wait for.
        :param maximum: rows to take, rounded up to whole chunks.
        :param timeout: seconds after which the call returns what there is.
        :return: the chunks.
        :raises ValueError: if the maximum is below the minimum, or nothing was published.
        :raises WorkersFailed: if workers failed too often, or one could not start.
        """
        if minimum < 0 or (maximum is not None and maximum < minimum):
            raise ValueError(f"collect(minimum={minimum}, maximum={maximum}): 0 ≤ minimum ≤ maximum must hold.")
        if self._board is None:
            raise ValueError("the fleet has no policy: publish one before collecting, and after restoring.")
        if self._failure is not None:
            raise self._failure
        began = time.monotonic()
        if not self._workers:
            self._heard_last = began
            for worker in range(self._config.workers):
                self._begin(worker)
        chunks: list[Chunk] = []
        rows = 0
        try:
            while True:
                while (maximum is None or rows < maximum) and (chunk := self._next_chunk()) is not None:
                    chunks.append(chunk)
                    rows += chunk.trajectory.reward.size
                self._supervise()
                before = time.monotonic()
                if rows >= minimum or (timeout is not None and before - began >= timeout):
                    break
                self._say_if_waiting(now=before)
                remaining = _WAKE_SECONDS if timeout is None else min(_WAKE_SECONDS, timeout + began - before)
                wait_for_signals([life.channel.filled for life in self._workers.values()], seconds=remaining)
                self._seconds_waited += time.monotonic() - before
        except WorkersFailed as failure:
            # What came before it is not lost; the next call says so.
            self._failure = failure
            if not chunks:
                raise
        self._environment_steps += sum(chunk.steps for chunk in chunks)
        self._episodes += sum(len(chunk.episodes) for chunk in chunks)
        return chunks

    def report(self) -> FleetReport:
        """Count what was done.

        :return: the counts.
        """
        return FleetReport(
            environment_steps=self._environment_steps,
            episodes=self._episodes,
            resets=self._resets_of_past_lives + sum(life.status.resets for life in self._workers.values()),
            restarts=self._restarts,
            seconds_waited=self._seconds_waited,
            worker_seconds_waited=self._waited_of_past_lives
            + sum(life.status.seconds_waited for life in self._workers.values()),
        )

    def state(self) -> ProcessFleetState:
        """Describe where the fleet stands.

        :return: NumPy arrays of its own.
        """
        report = self.report()
        return ProcessFleetState(
            lives=self._lives.copy(),
            environment_steps=np.array(self._environment_steps, np.int64),
            episodes=np.array(self._episodes, np.int64),
            resets=np.array(report.resets, np.int64),
            restarts=np.array(report.restarts, np.int64),
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
        self.close()
        self._lives = np.maximum(self._lives, np.asarray(state.lives, np.int64))
        self._environment_steps = int(state.environment_steps)
        self._episodes = int(state.episodes)
        self._resets_of_past_lives = int(state.resets)
        self._restarts = int(state.restarts)
        self._seconds_waited, self._waited_of_past_lives = (float(seconds) for seconds in state.seconds_waited)

    def close(self) -> None:
        """End the workers. Closing twice does nothing more."""
        workers, self._workers = self._workers, {}
        for life in workers.values():
            life.request_stop()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for life in workers.values():
            life.close(deadline=deadline)
        board, self._board = self._board, None
        if board is not None:
            board.close()

    def _next_chunk(self) -> Chunk | None:
        """Take the next chunk out of the channels, of each worker in turn; None if there is none."""
        for _ in range(self._config.workers):
            self._next = (self._next + 1) % self._config.workers
            chunk = self._take(self._next)
            if chunk is not None:
                self._heard_last = time.monotonic()
                return chunk
        return None

    def _take(self, worker: int) -> Chunk | None:
        life = self._workers[worker]
        life.channel.filled.clear()
        try:
            record = life.channel.take()
        except ChannelDamaged as error:
            self._replace(worker=worker, reason=str(error))
            return None
        if record is None:
            return None
        found = read_record(record)
        if isinstance(found, WorkerFailure):
            self._replace(worker=worker, reason=f"failed with {found.summary}\n{found.traceback}", permanent=True)
            return None
        life.delivered, life.room_since = True, time.monotonic()
        return found

    def _supervise(self) -> None:
        for worker, life in list(self._workers.items()):
            if not life.channel.is_empty:
                continue  # First what it has said; a worker that is gone or hangs stays so.
            if life.is_alive:
                self._check_progress(worker=worker, life=life)
            elif life.channel.is_empty:  # Asked again: it may have said something with its last breath.
                code = life.exit_code or 0
                ending = f"signal {-code}" if code < 0 else f"exit code {code}"
                self._replace(worker=worker, reason=f"ended by itself, with {ending}", permanent=code > 0)

    def _check_progress(self, *, worker: int, life: WorkerLife) -> None:
        supervision = self._config.supervision
        limits = {
            Phase.START: ("start", supervision.start_seconds),
            Phase.RESET: ("reset", supervision.reset_seconds),
            Phase.STEP: ("step", supervision.step_seconds),
        }
        phase, seconds = life.status.phase, life.status.seconds_in_phase
        if phase is Phase.WAITING:
            # With room for its next chunk it has nothing to wait for: it was stopped from outside.
            if life.channel.written - life.channel.read >= self._config.lead:
                return
            phase, seconds = Phase.STEP, min(seconds, time.monotonic() - life.room_since)
        name, limit = limits[phase]
        if seconds > limit:
            self._replace(
                worker=worker,
                reason=f"has been at one {name} for more than {limit:g} s (rollout.supervision.{name}_seconds)",
            )

    def _replace(self, *, worker: int, reason: str, permanent: bool = False) -> None:
        """End a worker's life and begin its next one, if the budget allows that.

        :param worker: the worker's number.
        :param reason: what happened, for the user.
        :param permanent: whether it would happen again at once if nothing was ever delivered.
        """
        life = self._workers[worker]
        _say(f"worker {worker} (process {life.process_id}) {reason}")
        headline = reason.splitlines()[0]
        if permanent and not life.delivered and life.is_first:
            raise WorkersFailed(f"worker {worker} could not begin: it {headline}.")
        if not self._budget.take():
            supervision = self._config.supervision
            raise WorkersFailed(
                f"worker {worker} {headline}; {supervision.restarts} workers were started again within "
                f"{supervision.window_seconds:g} s, which is as many as rollout.supervision.restarts allows."
            )
        del self._workers[worker]
        self._resets_of_past_lives += life.status.resets
        self._waited_of_past_lives += life.status.seconds_waited
        self._restarts += 1
        life.close()
        self._begin(worker)

    def _begin(self, worker: int) -> None:
        assert self._board is not None
        number = int(self._lives[worker])
        self._lives[worker] += 1
        try:
            self._workers[worker] = WorkerLife(
                setup=self._setup,
                board=self._board,
                worker=worker,
                number=number,
                is_first=worker not in self._started,
                channel_bytes=self._channel_bytes,
            )
        except OSError as error:
            raise WorkersFailed(f"worker {worker} could not be started: {error}") from error
        self._started.add(worker)

    def _say_if_waiting(self, *, now: float) -> None:
        patience = self._config.supervision.patience_seconds
        if now - max(self._heard_last, self._said_last) > patience:
            self._said_last = now
            doing = ", ".join(
                f"worker {worker} is at {life.status.phase.name.lower()} for {life.status.seconds_in_phase:.0f} s"
                for worker, life in self._workers.items()
            )
            _say(f"no experience for {now - self._heard_last:.0f} s: {doing}")


def _pickled(setup: WorkerSetup) -> bytes:
    for what, value in (("environment", setup.make), ("policy", setup.make_policy)):
        try:
            pickle.dumps(value)
        except Exception as error:
            raise CannotSendToWorkers(
                f"the {what} cannot be sent to worker processes: {error}. Functions and classes that it is made of "
                'must stand at the top level of a module (no lambdas); or use rollout.backend="inline".'
            ) from error
    return pickle.dumps(setup)


def _bytes_of(spec: SpaceSpec) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(spec.zeros(batch_shape=())))


def _say(text: str) -> None:
    print(f"triax: {text}", file=sys.stderr, flush=True)

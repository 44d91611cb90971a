"""The replay: keeps experience of many environments and draws batches of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from triax.replay.candidates import candidates_for
from triax.replay.config import GIB, ReplayConfig
from triax.replay.episodes import StoredEpisode, place_in_episode, read_episode, stored_episodes
from triax.replay.flags import ACTED
from triax.replay.gathering import gather_sequences, gather_transitions
from triax.replay.memory import ReplaySize, available_bytes, replay_size
from triax.replay.plans import require_batch_size, require_unit
from triax.replay.sampler import Drawn, Sampler
from triax.replay.source import Batches
from triax.replay.storage import RingStorage, StorageState
from triax.spaces import SpaceSpec
from triax.trees import Tree, tree_dataclass, tree_map
from triax.types import Chunk, Feedback, SequenceUnit, Trajectory, Unit

RECORDED = -1
"""Stands for a policy version where rows were made by no policy of this run."""

LARGEST_SLOT = 2**31 - 1
"""Batches name slots as 32-bit integers, since JAX has no others by default."""


@tree_dataclass
class ReplayState:
    """All that a replay holds.

    :ivar storage: the rows.
    :ivar sampler: the sampler's own state.
    """

    storage: StorageState
    sampler: Tree


class Replay:
    """Keeps each environment's newest steps, and draws batches of them.

    Not for use from two threads at once: which rows a batch holds must follow from the order of calls.

    :ivar size: what it takes.
    """

    def __init__(
        self,
        *,
        config: ReplayConfig,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        extras_spec: Mapping[str, SpaceSpec] | None = None,
        streams: int,
        tasks: Sequence[int] | None = None,
        most_rows: int | None = None,
    ) -> None:
        """Allocate the rings.

        :param config: capacity and sampler.
        :param observation_spec: the observations.
        :param action_spec: the actions.
        :param extras_spec: what is stored beside each action.
        :param streams: environments over all workers; each has a ring of its own.
        :param tasks: the task of each environment; None: all have task 0.
        :param most_rows: more will never be written, over all environments; None where that is not known.
        :raises ReplayTooLarge: if it does not fit into memory.
        :raises ValueError: if the numbers do not go together.
        """
        if streams < 1 or config.capacity < streams:
            raise ValueError(
                f"a replay of capacity={config.capacity:,} cannot serve {streams} environments; each needs room for at "
                "least one step, so raise ReplayConfig.capacity or use fewer environments."
            )
        if tasks is not None and len(tasks) != streams:
            raise ValueError(f"tasks names {len(tasks)} tasks for {streams} environments; give one for each.")
        self.size: ReplaySize = replay_size(
            config=config,
            observation_spec=observation_spec,
            action_spec=action_spec,
            extras_spec=extras_spec,
            streams=streams,
            most_rows=most_rows,
        )
        limit = config.memory_limit_gib
        available = available_bytes() if limit is None else int(limit * GIB)
        if available is not None:
            self.size.require(available=available)
        slots = streams * self.size.rows_per_stream
        if slots > LARGEST_SLOT:
            raise ValueError(f"a replay of {slots:,} rows has more than can be numbered; lower ReplayConfig.capacity.")
        self._config = config
        self._tasks = np.zeros(streams, np.int32) if tasks is None else np.asarray(tasks, np.int32)
        self._storage = RingStorage(
            streams=streams,
            rows=self.size.rows_per_stream,
            observation_spec=observation_spec,
            action_spec=action_spec,
            extras_spec=extras_spec,
        )
        self._sampler: Sampler = config.sampler(slots=slots)

    def __len__(self) -> int:
        """Steps of experience that are kept at the moment."""
        return self._storage.acted_count

    @property
    def streams(self) -> int:
        """Environments that have a ring each."""
        return self._storage.streams

    @property
    def uses_feedback(self) -> bool:
        """Whether the sampler uses feedback."""
        return self._sampler.uses_feedback

    def describe_memory(self) -> str:
        """Say in one line what the replay takes.

        :return: for example ``replay: 1,000,000 rows × 152 B = 145 MiB``.
        """
        return self.size.describe()

    def insert(self, chunk: Chunk) -> None:
        """Append a chunk to the streams of its environments. Its arrays are copied.

        :param chunk: the chunk; see :mod:`triax.replay.storage` on how it continues a stream or breaks it.
        :raises ValueError: if it does not fit the replay's specs or streams.
        """
        width = np.shape(chunk.trajectory.reward)[1]
        tasks = self._tasks[chunk.first_environment : chunk.first_environment + width]
        self.insert_rows(
            trajectory=chunk.trajectory,
            first_stream=chunk.first_environment,
            task=tasks,
            policy_version=chunk.policy_version,
        )

    def insert_rows(
        self, *, trajectory: Trajectory, first_stream: int, task: npt.NDArray[Any], policy_version: int = RECORDED
    ) -> None:
        """Append rows to streams, with the task of each row.

        :param trajectory: the rows, NumPy arrays.
        :param first_stream: the stream of its first environment.
        :param task: integers that broadcast to [T, B].
        :param policy_version: which made the rows; by default none of this run's.
        :raises ValueError: if the rows do not fit the replay's specs or streams.
        """
        written = self._storage.write(
            trajectory=trajectory, first_stream=first_stream, task=task, policy_version=policy_version
        )
        self._sampler.removed(slots=written.removed)
        self._sampler.inserted(slots=written.inserted)

    def check_plan(self, *, unit: Unit, batch_size: int) -> None:
        """Refuse what can never be sampled, or makes no sense.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch.
        :raises ValueError: with field, value and remedy.
        """
        require_batch_size(batch_size=batch_size, capacity=self._config.capacity)
        self.check_unit(unit=unit)

    def check_unit(self, *, unit: Unit) -> None:
        """Refuse what no batch can be made of, of whatever size.

        :param unit: what a row of a batch is.
        :raises ValueError: with field, value and remedy.
        """
        require_unit(unit=unit, room=self._storage.rows - 1)

    def sample(self, *, unit: Unit, batch_size: int, batches: int, generator: np.random.Generator) -> Batches:
        """Draw batches, with replacement, into fresh arrays.

        :param unit: what a row of a batch is.
        :param batch_size: rows a batch.
        :param batches: how many batches.
        :param generator: the only source of randomness.
        :return: leaves of shape [batches, N, ...]; of sequences' rows, [batches, L, N, ...].
        :raises NothingToSample: if there is nothing to draw from.
        """
        self.check_unit(unit=unit)
        candidates = candidates_for(storage=self._storage, unit=unit)
        drawn = self._sampler.draw(batches=batches, batch_size=batch_size, candidates=candidates, generator=generator)
        self._check_drawn(drawn=drawn, shape=(batches, batch_size))
        return self._gather(drawn=drawn, unit=unit)

    def everything(self, *, unit: Unit) -> Batches:
        """Read all that is stored as one batch, without its axis of batches.

        :param unit: what a row of the batch is. Pieces follow one another from each episode's start, each with its
            burn-in in the piece before.
        :return: leaves of shape [N, ...]; of sequences' rows, [L, N, ...].
        :raises NothingToSample: if there is nothing.
        """
        self.check_unit(unit=unit)
        slots = candidates_for(storage=self._storage, unit=unit).all()
        if isinstance(unit, SequenceUnit) and not unit.whole_episodes:
            slots = slots[place_in_episode(storage=self._storage, slots=slots) % (unit.length - unit.burn_in) == 0]
        drawn = Drawn(slots=slots[np.newaxis].astype(np.int64), weights=np.ones((1, slots.size), np.float32))
        return tree_map(lambda leaf: leaf[0], self._gather(drawn=drawn, unit=unit))

    def feedback(self, *, feedback: Feedback) -> None:
        """Hand priorities to the sampler, without those of slots that were overwritten since.

        :param feedback: priorities and origins of any equal shape.
        :raises ValueError: if a priority is negative or not finite.
        """
        if not self.uses_feedback:
            return
        slots = np.asarray(feedback.origin.slot, np.int64).reshape(-1)
        priorities = np.asarray(feedback.priority).reshape(-1)
        if not (np.isfinite(priorities).all() and (priorities >= 0).all()):
            raise ValueError("a learner gave a priority that is negative or not finite; priorities are at least 0.")
        same = self._storage.generation(slots) == np.asarray(feedback.origin.generation).reshape(-1)
        current = same & ((self._storage.flags[slots] & ACTED) != 0)
        self._sampler.feedback(slots=slots[current], priorities=priorities[current])

    def episodes(self) -> list[StoredEpisode]:
        """List the episodes that are stored from their first to their final observation, oldest first by stream.

        :return: the episodes; valid until the next insertion.
        """
        return stored_episodes(storage=self._storage)

    def read_episode(self, episode: StoredEpisode) -> Trajectory:
        """Copy an episode out.

        :param episode: from :meth:`episodes`.
        :return: its rows, T = its steps, B = 1.
        """
        return read_episode(storage=self._storage, episode=episode)

    def sampler_state(self) -> Tree:
        """Give the sampler's part of the state alone.

        :return: the sampler's state.
        """
        return self._sampler.state()

    def state(self) -> ReplayState:
        """Give what a checkpoint must hold. The rows are read-only views: write or copy them before inserting more.

        :return: the state.
        """
        return ReplayState(storage=self._storage.state(), sampler=self._sampler.state())

    def restore(self, state: ReplayState) -> None:
        """Take back what :meth:`state` gave, to the bit.

        :param state: the state.
        :raises ValueError: if it is of a replay of another shape.
        """
        self._storage.restore(state.storage)
        self.restore_sampler(state.sampler)

    def restore_sampler(self, state: Tree) -> None:
        """Take back the sampler's part of a state alone, where the rows come from elsewhere.

        :param state: the sampler's state.
        """
        self._sampler.restore(state)

    def _gather(self, *, drawn: Drawn, unit: Unit) -> Batches:
        if isinstance(unit, SequenceUnit):
            return gather_sequences(storage=self._storage, drawn=drawn, length=unit.length)
        return gather_transitions(storage=self._storage, drawn=drawn, unit=unit)

    def _check_drawn(self, *, drawn: Drawn, shape: tuple[int, int]) -> None:
        slots, weights = drawn.slots, drawn.weights
        if slots.shape != shape or weights.shape != shape or slots.dtype != np.int64 or weights.dtype != np.float32:
            raise ValueError(
                f"{type(self._sampler).__name__} drew slots {slots.dtype}{slots.shape} and weights "
                f"{weights.dtype}{weights.shape}, where int64{shape} and float32{shape} were expected."
            )
        if not (self._storage.flags[slots] & ACTED).all():
            raise ValueError(
                f"{type(self._sampler).__name__} drew a slot that holds no experience; a sampler draws only slots that "
                "Candidates.accepts."
            )

"""The things that travel between the stations: one documented dataclass for each.

Axes are named T (time), B (environments side by side) and N (rows of a batch). "Inside form" is what
:mod:`triax.spaces` makes of an environment's observations and actions.

Several batches can be stacked in one such dataclass, to be scanned over or mapped over: all of its arrays then have the
same further axes in front (``*batches`` in the annotations). Learners get one batch at a time, without them.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import gymnasium
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from triax.random import KeyArray
from triax.spaces import SpaceSpec, UsedBy, action_spec, space_spec
from triax.trees import Tree, tree_dataclass

AnyArray: TypeAlias = jax.Array | np.ndarray[Any, np.dtype[Any]]


class ActionMode(enum.Enum):
    """How a policy chooses: by sampling, by its mode (deterministic), or uniformly at random (warm-up)."""

    SAMPLE = "sample"
    MODE = "mode"
    RANDOM = "random"


@tree_dataclass
class PolicyOutput:
    """What a policy says for a batch of observations.

    :ivar action: inside form, [B, ...].
    :ivar carry: the policy's memory after this step, [B, ...]; an empty tuple for a plain policy.
    :ivar extras: what rollout stores beside the action, structured as the learner's ``extras_spec``, [B, ...].
    """

    action: Tree
    carry: Tree
    extras: Tree


@runtime_checkable
class Policy(Protocol):
    """A policy as pure functions; rollout and evaluation know nothing else of a learner."""

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        """Make the memory with which an episode begins.

        :param batch_shape: leading axes.
        :return: arrays with these leading axes; an empty tuple for a plain policy.
        """

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
        """Choose actions. Pure; rollout compiles it.

        :param parameters: the learner's ``policy_parameters``.
        :param carry: the memory; the policy resets it in the rows where ``is_first`` holds.
        :param observation: inside form, [B, ...].
        :param is_first: whether the observation is the first of an episode.
        :param key: randomness for this call.
        :param mode: SAMPLE or MODE.
        :return: actions, the new memory, extras.
        """


@tree_dataclass
class Trajectory:
    """T steps of B environments side by side, every observation once.

    Row t of an environment is one observation and what followed it. Where an episode ends, its final observation
    takes a row of its own, in which no action was taken (``is_last``), and the next row is the next episode's first
    observation::

        row           t-1              t              t+1
        observation   o₉               o₁₀ (final)    o'₀
        action        a₉               (none)         a'₀
        reward        r₁₀              0              r'₁
        terminated    True             False          False
        is_first      False            False          True
        is_last       False            True           False

    So the observation that followed the action of row t is always that of row t + 1, and a truncated step bootstraps
    from the observation that the episode really ended in. Rows with ``is_last`` are not experience: ``valid`` leaves
    them out.

    :ivar observation: inside form, [T + 1, B, ...]; the last is what followed row T − 1.
    :ivar action: inside form, as the policy chose it, [T, B, ...].
    :ivar reward: [T, B].
    :ivar terminated: the action ended the episode for good, [T, B].
    :ivar truncated: the episode was cut off after the action (a time limit), [T, B].
    :ivar is_first: the observation is the first of an episode, [T + 1, B].
    :ivar is_last: the observation is the final one of an episode, [T + 1, B].
    :ivar extras: what the learner asked for in its ``extras_spec``, [T, B, ...].
    """

    observation: Tree
    action: Tree
    reward: Float[AnyArray, "*batches T B"]
    terminated: Bool[AnyArray, "*batches T B"]
    truncated: Bool[AnyArray, "*batches T B"]
    is_first: Bool[AnyArray, "*batches T+1 B"]
    is_last: Bool[AnyArray, "*batches T+1 B"]
    extras: Tree = ()

    @property
    def valid(self) -> Bool[AnyArray, "*batches T B"]:
        """The rows in which an action was taken, [T, B]."""
        return ~self.is_last[..., :-1, :]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeSummary:
    """An episode that ended during rollout.

    :ivar undiscounted_return: the sum of its rewards.
    :ivar length: its steps.
    :ivar environment: the environment's number.
    :ivar physics: what the environment's info said under "physics" in the final step: the values of its randomised
        parameters, by their names. None if it said nothing.
    """

    undiscounted_return: float
    length: int
    environment: int
    physics: Mapping[str, float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChunkOrigin:
    """Which worker made a chunk. No two chunks of a run have the same.

    :ivar worker: the worker's number.
    :ivar life: how often it had been started before, over all processes of the run.
    :ivar sequence: the chunk's number in that life.
    """

    worker: int
    life: int
    sequence: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of experience made by one policy version.

    :ivar trajectory: the rows, NumPy arrays.
    :ivar first_environment: the number of the first of its B environments; they count up from it.
    :ivar policy_version: the version that acted.
    :ivar steps: environment steps in it, which is the number of valid rows.
    :ivar episodes: the episodes that ended in it.
    :ivar origin: which worker made it; None if there are no workers.
    """

    trajectory: Trajectory
    first_environment: int
    policy_version: int
    steps: int
    episodes: tuple[EpisodeSummary, ...]
    origin: ChunkOrigin | None = None


@tree_dataclass
class RowOrigin:
    """Where each row of a batch comes from.

    :ivar source: the number of the source in the data plan (0 unless it is a mixture), [N].
    :ivar task: the number of the task, [N].
    :ivar slot: the place in the source's storage, [N].
    :ivar generation: how often that place had been written; feedback to a place written since is dropped, [N].
    :ivar policy_version: which version of the policy took the step, of a sequence the first; −1 for recorded ones, [N].
    """

    source: Int[AnyArray, "*batches N"]
    task: Int[AnyArray, "*batches N"]
    slot: Int[AnyArray, "*batches N"]
    generation: Int[AnyArray, "*batches N"]
    policy_version: Int[AnyArray, "*batches N"]


@tree_dataclass
class Transitions:
    """N n-step transitions, drawn from a replay or a dataset.

    With r₁ … r_k the rewards that follow the observation, k ≤ n the steps until the episode ended or the newest stored
    observation was reached, and γ the discount::

        reward   = Σ_{i=1…k} γ^{i−1} r_i
        discount = 0 if the k-th step terminated, else γ^k

    so that ``reward + discount · V(next_observation)`` is the bootstrapped return (Sutton and Barto 2018, equation
    7.1), truncated or not.

    :ivar observation: inside form, [N, ...].
    :ivar action: inside form, as the policy chose it, [N, ...].
    :ivar reward: [N].
    :ivar discount: [N].
    :ivar next_observation: the observation after the k-th step, [N, ...].
    :ivar weight: importance weights; 1 for uniform sampling, [N].
    :ivar extras: what rollout stored beside the action, [N, ...].
    :ivar origin: where the rows come from.
    """

    observation: Tree
    action: Tree
    reward: Float[AnyArray, "*batches N"]
    discount: Float[AnyArray, "*batches N"]
    next_observation: Tree
    weight: Float[AnyArray, "*batches N"]
    extras: Tree
    origin: RowOrigin


@tree_dataclass
class Sequences:
    """N pieces of L consecutive rows, each from one episode, drawn from a replay or a dataset.

    :ivar rows: a :class:`Trajectory` with T = L and B = N; beyond an episode's end it repeats the final observation.
    :ivar mask: whether an action was taken in the row, [L, N].
    :ivar weight: importance weights, [N].
    :ivar origin: where the first rows come from.
    """

    rows: Trajectory
    mask: Bool[AnyArray, "*batches L N"]
    weight: Float[AnyArray, "*batches N"]
    origin: RowOrigin


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransitionUnit:
    """Batches of n-step transitions (:class:`Transitions`).

    :ivar discount: γ in [0, 1].
    :ivar steps: n, at least 1.
    """

    discount: float
    steps: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceUnit:
    """Batches of pieces of episodes (:class:`Sequences`).

    :ivar length: rows a piece, burn-in included.
    :ivar burn_in: rows at the start that only warm up the carry.
    :ivar whole_episodes: pieces begin at an episode's start only.
    """

    length: int
    burn_in: int = 0
    whole_episodes: bool = False


Unit: TypeAlias = TransitionUnit | SequenceUnit


@tree_dataclass
class Feedback:
    """What a learner tells the source of a batch.

    :ivar priority: new priorities, at least 0, [N].
    :ivar origin: which rows they belong to, from the batch.
    """

    priority: Float[AnyArray, "*batches N"]
    origin: RowOrigin


@tree_dataclass
class UpdateOutput:
    """What an update says beside the new state.

    :ivar metrics: a dataclass of scalars, one class an algorithm.
    :ivar feedback: for the source of the batch; None for most learners.
    :ivar stop: end the epochs over this batch early (a scalar boolean), or None.
    """

    metrics: Tree
    feedback: Feedback | None = None
    stop: Bool[Array, ""] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvironmentSpec:
    """What a learner needs to know of an environment.

    :ivar observation: the observations' spec.
    :ivar action: the actions' spec.
    """

    observation: SpaceSpec
    action: SpaceSpec

    @classmethod
    def of_spaces(
        cls,
        *,
        observation: "gymnasium.Space[Any]",
        action: "gymnasium.Space[Any]",
        relations: tuple[UsedBy, ...] = (),
    ) -> "EnvironmentSpec":
        """Read an environment's spaces.

        :param observation: its observation space.
        :param action: its action space.
        :param relations: what the spaces do not say themselves of how the parts of an action hang together.
        :return: the specs.
        :raises UnsupportedSpace: if a space has no inside form, or a relation names what is not there.
        """
        return cls(
            observation=space_spec(space=observation, role="observation"),
            action=action_spec(observation=observation, action=action, declared=relations),
        )

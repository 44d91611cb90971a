"""Losses as sums of named terms. One mechanism for reinforcement and for imitation.

A term computes one scalar from what the networks make of a batch, and has a weight: a number, or a schedule over
updates. A loss is the weighted sum of its terms, and each is reported under its name. What is only to be watched is a
term of weight 0.
"""

import abc
import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from triax.learners.registry import register
from triax.networks import Distribution
from triax.objectives.averages import Weight, weighted_mean
from triax.objectives.checks import check_vectors
from triax.random import KeyArray
from triax.trees import Tree, is_within, leaves_by_path, part_names

InputsT = TypeVar("InputsT", contravariant=True)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearSchedule:
    """A number that goes from one value to another, in a straight line over updates, and stays there."""

    initial: float
    """Before the first update."""
    final: float
    """After the last of ``updates``, and ever after."""
    updates: int
    """How many updates it takes."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.updates < 1:
            raise ValueError(f"LinearSchedule.updates={self.updates} must be at least 1.")

    @property
    def lowest(self) -> float:
        """The smallest value that it takes."""
        return min(self.initial, self.final)

    def after(self, *, updates: Int[Array, ""]) -> Float[Array, ""]:
        """Compute the value.

        :param updates: updates so far.
        :return: a scalar.
        """
        share = jnp.clip(updates / self.updates, 0.0, 1.0)
        return jnp.asarray(self.initial + (self.final - self.initial) * share, jnp.float32)


Scheduled: TypeAlias = float | LinearSchedule
"""A number that stays as it is, or one that changes while updates are made."""


def lowest_value(value: Scheduled) -> float:
    """Find the smallest value that a number takes, for checks of configs.

    :param value: constant or scheduled.
    :return: the smallest value.
    """
    return value.lowest if isinstance(value, LinearSchedule) else value


def value_after(value: Scheduled, *, updates: Int[Array, ""]) -> float | Float[Array, ""]:
    """Compute a number as it is now.

    :param value: constant or scheduled.
    :param updates: updates so far.
    :return: a constant stays a Python number.
    """
    return value.after(updates=updates) if isinstance(value, LinearSchedule) else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossTerm(abc.ABC, Generic[InputsT]):
    """One part of a loss, computed from inputs of the type that the learner makes. Make subclasses for parts of your
    own: a frozen dataclass with a ``name`` and a ``value``.

    :cvar name: under which it is reported, no other term's.
    :cvar sign: −1 if it is to become large (a bonus) instead of small.
    """

    name: ClassVar[str]
    sign: ClassVar[float] = 1.0

    weight: Scheduled = 1.0
    """By which it counts in the loss; at 0 it is reported only."""

    @property
    def label(self) -> str:
        """What it is reported under: its name, unless a loss can have several of its kind."""
        return self.name

    @abc.abstractmethod
    def value(self, inputs: InputsT) -> Float[Array, ""]:
        """Compute the term, without its weight and its sign.

        :param inputs: what the learner's networks make of a batch.
        :return: a scalar.
        """


def weighted_sum(
    *, terms: Sequence[LossTerm[InputsT]], inputs: InputsT, updates: Int[Array, ""]
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Compute a loss, to be differentiated.

    :param terms: of which it is the sum.
    :param inputs: of the terms.
    :param updates: updates so far, for weights that change.
    :return: the loss; and of each term its value by its label and, where it is scheduled, its weight as
        ``LABEL_weight``.
    :raises ValueError: if two terms have one name, or none has a weight.
    """
    names = [term.label for term in terms]
    if len(set(names)) < len(names):
        raise ValueError(f"the terms of a loss need names of their own, and these are {names}; rename one.")
    values = {term.label: term.value(inputs) for term in terms}
    parts = []
    for term in terms:
        weight = value_after(term.weight, updates=updates)
        if isinstance(weight, jax.Array):
            values[f"{term.label}_weight"] = weight
        elif weight == 0.0:
            continue
        parts.append(term.sign * weight * values[term.label])
    if not parts:
        raise ValueError(f"none of the terms {names} has a weight other than 0, so that there is nothing to learn.")
    return functools.reduce(operator.add, parts), values


@runtime_checkable
class PolicyInputs(Protocol):
    """What terms need that are about a policy and nothing else; every learner's inputs have it."""

    @property
    def distribution(self) -> Distribution:
        """The policy at the batch's observations."""

    @property
    def weight(self) -> Weight:
        """How much each row counts, [N]."""

    @property
    def parameters(self) -> Tree:
        """The parameters that are optimised."""

    @property
    def key(self) -> KeyArray:
        """Randomness, for estimates."""


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class EntropyBonus(LossTerm[PolicyInputs]):
    """The policy's entropy in nats (an estimate where actions are continuous), which is to become large."""

    name: ClassVar[str] = "entropy"
    sign: ClassVar[float] = -1.0

    def value(self, inputs: PolicyInputs) -> Float[Array, ""]:
        """Compute the mean over rows."""
        entropy = inputs.distribution.entropy(key=inputs.key)
        check_vectors(entropy=entropy, weight=inputs.weight)
        return weighted_mean(values=entropy, weight=inputs.weight)


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class SquaredParameters(LossTerm[PolicyInputs]):
    """½ ‖θ‖² of the parameters, biases and layers' scales included: weight decay by the gradient, as opposed to the
    decoupled one of :class:`~triax.learners.optimizer.OptimizerConfig`.
    """

    name: ClassVar[str] = "squared_parameters"

    part: str = ""
    """The path of the parameters that count, such as ``torso``; empty: all of them."""

    @property
    def label(self) -> str:
        """With the part's path."""
        return f"{self.name}_of_{self.part}" if self.part else self.name

    def value(self, inputs: PolicyInputs) -> Float[Array, ""]:
        """Sum over the parameters.

        :raises ValueError: if the part has none.
        """
        found = leaves_by_path(inputs.parameters)
        leaves: list[Any] = [leaf for path, leaf in found.items() if is_within(path=path, part=self.part)]
        if not leaves:
            raise ValueError(f"SquaredParameters.part={self.part!r} names nothing; there are: {part_names(found)}.")
        return 0.5 * functools.reduce(operator.add, (jnp.sum(jnp.square(leaf)) for leaf in leaves))

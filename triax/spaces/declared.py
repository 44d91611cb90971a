"""Gymnasium spaces that say more: sets of a largest size, choices among their elements, masks of choices.

Gymnasium's ``Sequence`` says nothing of how many elements there may be, which a network that pads them has to know,
its ``Discrete`` nothing of what it chooses from, and its ``MultiBinary`` nothing of what its bits allow.
"""

from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float32


class SetOf(gymnasium.spaces.Sequence):
    """Sets of ``minimum`` to ``maximum`` vectors: float32 arrays [n, d], whose rows have no meaning in their order."""

    def __init__(
        self,
        element: gymnasium.spaces.Box,
        maximum: int,
        minimum: int = 1,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        """Make the space.

        :param element: what each row lies in: a Box of shape (d,) and dtype float32.
        :param maximum: the largest number of elements, at least 1.
        :param minimum: the smallest, from 0 to ``maximum``.
        :param seed: for :meth:`sample`.
        :raises ValueError: if the elements are no float32 vectors, or the numbers cannot be.
        """
        if not isinstance(element, gymnasium.spaces.Box) or len(element.shape) != 1 or element.dtype != np.float32:
            raise ValueError(
                f"SetOf: `element` has to be a Box of shape (d,) and dtype float32, and is {element}. "
                "Flatten each element into one vector."
            )
        whole = all(isinstance(number, int | np.integer) for number in (minimum, maximum))
        if not whole or not 0 <= minimum <= maximum or maximum < 1:
            raise ValueError(
                "SetOf: 0 <= minimum <= maximum and 1 <= maximum have to hold for whole numbers, and "
                f"minimum={minimum}, maximum={maximum}. Give the smallest and the largest number of elements that an "
                "observation may have."
            )
        self.maximum = maximum
        self.minimum = minimum
        super().__init__(element, seed=seed, stack=True)

    @property
    def element(self) -> gymnasium.spaces.Box:
        """What each row lies in."""
        assert isinstance(self.feature_space, gymnasium.spaces.Box)
        return self.feature_space

    def sample(self, mask: Any = None, probability: Any = None) -> Float32[np.ndarray, "elements numbers"]:
        """Draw a number of elements, uniformly from ``minimum`` to ``maximum``, and then the elements.

        :param mask: Gymnasium's; has to be None, as for a Box.
        :param probability: likewise.
        :return: float32 [n, d].
        :raises gymnasium.error.Error: if one of them is given.
        """
        if mask is not None or probability is not None:
            raise gymnasium.error.Error(
                f"SetOf.sample takes neither a mask nor probabilities, and got mask={mask}, probability={probability}. "
                "Leave them out."
            )
        number = int(self.np_random.integers(self.minimum, self.maximum + 1))
        rows = [self.element.sample() for _ in range(number)]
        return np.array(rows, np.float32).reshape(number, *self.element.shape)

    def contains(self, x: Any) -> bool:
        """Say whether an array is such a set.

        :param x: anything.
        :return: whether it is float32 [n, d] with n and all numbers within their bounds.
        """
        return (
            isinstance(x, np.ndarray)
            and x.dtype == np.float32
            and x.ndim == 2
            and x.shape[1:] == self.element.shape
            and self.minimum <= len(x) <= self.maximum
            and bool(np.all((x >= self.element.low) & (x <= self.element.high)))
        )

    def from_jsonable(self, sample_n: list[list[Any]]) -> list[Any]:
        """Read sets from what :meth:`to_jsonable` makes of them.

        :param sample_n: a list of rows for each set.
        :return: float32 [n, d] for each.
        """
        return [np.array(rows, np.float32).reshape(len(rows), *self.element.shape) for rows in sample_n]

    def __repr__(self) -> str:
        return f"SetOf({self.element}, maximum={self.maximum}, minimum={self.minimum})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SetOf)
            and self.element == other.element
            and (self.minimum, self.maximum) == (other.minimum, other.maximum)
        )


class ElementOf(gymnasium.spaces.Discrete[np.int64]):
    """A choice among the elements of a set in the observation, by the number of its row.

    The space has ``maximum`` numbers, and the set may have fewer elements. What the choice of one that is not there
    does is the environment's to say.
    """

    def __init__(self, entry: str, maximum: int, seed: int | np.random.Generator | None = None) -> None:
        """Make the space.

        :param entry: path of the set in the observation: its key in the Dict.
        :param maximum: the largest number of elements, the set's own ``maximum``.
        :param seed: for ``sample``.
        """
        self.entry = entry
        super().__init__(maximum, seed=seed)

    @property
    def maximum(self) -> int:
        """The largest number of elements."""
        return int(self.n)

    def __repr__(self) -> str:
        return f"ElementOf({self.entry!r}, maximum={self.maximum})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ElementOf) and (self.entry, self.maximum) == (other.entry, other.maximum)


class MaskOf(gymnasium.spaces.MultiBinary):
    """What is allowed of a choice: a bit for each option, 1 where it may be taken."""

    def __init__(self, choice: str, options: int, seed: int | np.random.Generator | None = None) -> None:
        """Make the space.

        :param choice: path of the choice in the action space; "" if the action is the choice.
        :param options: how many there are, over all components of the choice.
        :param seed: for ``sample``.
        """
        self.choice = choice
        super().__init__(options, seed=seed)

    def __repr__(self) -> str:
        return f"MaskOf({self.choice!r}, options={self.n})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskOf) and (self.choice, self.n) == (other.choice, other.n)

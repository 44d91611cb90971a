"""The leaves of a spec: what the inside knows of one array of an action or observation, and how it is converted."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

LARGEST_BOUND = 1e6
"""A bound beyond this is a stand-in for "unbounded" (CartPole's velocities: 3.4e38) and is not scaled by."""


class UnsupportedSpace(ValueError):
    """A space, or a leaf of it, has no inside form."""


class InvalidSet(ValueError):
    """An observation's set is not as its space declares.

    :ivar row: which of a batch it is.
    """

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message, row)
        self.row = row

    def __str__(self) -> str:
        return str(self.args[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxLeaf:
    """A continuous leaf.

    :ivar shape: the shape of one value.
    :ivar low: lower bounds in the environment's units, flat in C order; −inf where unbounded.
    :ivar high: upper bounds likewise.
    :ivar outside_dtype: the dtype that the environment uses.
    """

    shape: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    outside_dtype: str = "float32"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.float32)

    def check(self, value: Any) -> None:
        """Refuse a value of the environment that is none of this leaf; its bounds are not looked at, for many
        environments leave theirs by a rounding.

        :param value: one value.
        :raises ValueError: with what is promised, and what there is.
        """
        _numbers(value, shape=self.shape)

    def _offset_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        bounded = (np.abs(low) <= LARGEST_BOUND) & (np.abs(high) <= LARGEST_BOUND) & (high > low)
        with np.errstate(invalid="ignore", over="ignore"):
            centre = np.where(bounded, (low + high) / 2, 0.0)
            half_width = np.where(bounded, (high - low) / 2, 1.0)
        return centre.reshape(self.shape), half_width.reshape(self.shape)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of arrays of shape [..., *shape] to the inside form."""
        centre, half_width = self._offset_and_scale()
        if np.all(centre == 0.0) and np.all(half_width == 1.0):
            return lambda value: np.asarray(value, np.float32)
        if np.all(centre == 0.0):
            return lambda value: (value / half_width).astype(np.float32)
        return lambda value: ((value - centre) / half_width).astype(np.float32)

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of inside arrays [..., *shape] to the environment's units, within its bounds."""
        centre, half_width = self._offset_and_scale()
        dtype = np.dtype(self.outside_dtype)
        low = np.asarray(self.low, np.float64).reshape(self.shape)
        high = np.asarray(self.high, np.float64).reshape(self.shape)
        if np.issubdtype(dtype, np.floating):
            low, high = low.astype(dtype), high.astype(dtype)
            # Minimum and maximum instead of np.clip, which takes twice as long for small arrays. NumPy's functions
            # instead of operators, since the value may be an array of JAX; the products are of 64 bits.
            if np.all(centre == 0.0) and np.all(half_width == 1.0):
                return lambda value: np.minimum(np.maximum(value, low, dtype=dtype), high)
            if np.all(centre == 0.0):
                return lambda value: np.minimum(np.maximum(np.multiply(value, half_width).astype(dtype), low), high)
            return lambda value: np.minimum(
                np.maximum((np.multiply(value, half_width) + centre).astype(dtype), low), high
            )
        high = np.minimum(high, _largest_whole_float(dtype))

        def to_nearest(value: np.ndarray) -> np.ndarray:
            nearest: np.ndarray = np.clip(np.rint(np.asarray(value, np.float64) * half_width + centre), low, high)
            return nearest.astype(dtype)

        return to_nearest


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageLeaf:
    """Bytes that stay bytes until the encoder: an image [height, width, channels], or any other array of uint8.

    :ivar shape: the shape of one value.
    :ivar high: the largest value that is promised; encoders divide by it.
    """

    shape: tuple[int, ...]
    high: int = 255

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.uint8)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion to the inside form: none."""
        return lambda value: np.asarray(value, np.uint8)

    def check(self, value: Any) -> None:
        """Refuse a value of the environment that is none of this leaf.

        :param value: one value.
        :raises ValueError: with what is promised, and what there is.
        """
        numbers = _numbers(value, shape=self.shape)
        if numbers.dtype != np.uint8 and not _are_whole(numbers, low=0, high=255):
            raise ValueError(
                f"bytes (uint8) are promised, and there are numbers of {numbers.dtype} from {numbers.min()} to "
                f"{numbers.max()}; a wrapper can make them bytes, or the space can promise what there is"
            )

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion from the inside form: a copy."""
        return lambda value: np.array(value, np.uint8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscreteLeaf:
    """One choice out of n (shape ``()``), or an array of choices, each with its own number of options.

    :ivar shape: the shape of one value.
    :ivar sizes: the number of options of each component, flat in C order; at least 1 each.
    :ivar start: the environment's name of option 0, likewise.
    :ivar outside_dtype: the dtype that the environment uses.
    """

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    start: tuple[int, ...]
    outside_dtype: str = "int64"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.int32)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of arrays of shape [..., *shape] to the inside form."""
        start = np.asarray(self.start, np.int64).reshape(self.shape)
        return lambda value: (np.asarray(value, np.int64) - start).astype(np.int32)

    def check(self, value: Any) -> None:
        """Refuse a value of the environment that is none of this leaf.

        :param value: one value.
        :raises ValueError: with what is promised, and what there is.
        """
        numbers = _numbers(value, shape=self.shape)
        start = np.asarray(self.start, np.int64).reshape(self.shape)
        last = start + np.asarray(self.sizes, np.int64).reshape(self.shape) - 1
        if not _are_whole(numbers, low=start, high=last):
            raise ValueError(f"choices from {start.tolist()} to {last.tolist()} are promised, and there is {value!r}")

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of inside arrays of shape [..., *shape] to the environment's numbers."""
        start = np.asarray(self.start, np.int64).reshape(self.shape)
        dtype = np.dtype(self.outside_dtype)
        return lambda value: (np.asarray(value, np.int64) + start).astype(dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BinaryLeaf:
    """An array of independent bits.

    :ivar shape: the shape of one value.
    """

    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.int8)

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion to the inside form: none."""
        return lambda value: np.asarray(value, np.int8)

    def check(self, value: Any) -> None:
        """Refuse a value of the environment that is none of this leaf.

        :param value: one value.
        :raises ValueError: with what is promised, and what there is.
        """
        if not _are_whole(_numbers(value, shape=self.shape), low=0, high=1):
            raise ValueError(f"bits are promised, and there is {value!r}")

    def to_outside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion from the inside form: a copy, which the environment may keep or change."""
        return lambda value: np.array(value, np.int8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetLeaf:
    """A set of vectors of the same size, of which there may be more or fewer (observations only).

    The inside form has one row for each element, the rest are zeros, and a last column that is 1 where the row is an
    element and 0 where it is padding.

    :ivar shape: (largest number of elements, numbers an element + 1).
    :ivar low: lower bounds of an element in the environment's units; −inf where unbounded.
    :ivar high: upper bounds likewise.
    :ivar minimum: the smallest number of elements.
    """

    shape: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    minimum: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inside dtype."""
        return np.dtype(np.float32)

    @property
    def maximum(self) -> int:
        """The largest number of elements."""
        return self.shape[0]

    @property
    def element(self) -> BoxLeaf:
        """One element."""
        return BoxLeaf(shape=(self.shape[1] - 1,), low=self.low, high=self.high)

    def check(self, value: Any) -> None:
        """Refuse what is no array of numbers; :meth:`pad` looks at its shape.

        :param value: one set.
        :raises ValueError: with what is promised, and what there is.
        """
        _numbers(value, shape=None)

    def pad(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Join sets of different sizes in one array.

        :param values: B sets in the environment's units, each [n, numbers].
        :return: [B, maximum, numbers + 1], still in the environment's units.
        :raises InvalidSet: if one has too many or too few elements, or other ones.
        """
        padded = np.zeros((len(values), *self.shape), np.float32)
        numbers = self.shape[1] - 1
        for row, value in enumerate(values):
            elements = np.asarray(value, np.float32)
            if elements.size == 0:
                elements = elements.reshape(0, numbers)
            if elements.ndim != 2 or elements.shape[1] != numbers:
                raise InvalidSet(f"a set of elements with {numbers} numbers each has the shape {elements.shape}", row)
            if not self.minimum <= len(elements) <= self.maximum:
                remedy = (
                    "Declare a larger maximum"
                    if len(elements) > self.maximum
                    else "Declare a smaller minimum (0 allows empty sets)"
                )
                raise InvalidSet(
                    f"a set has {len(elements)} elements, and its space declares {self.minimum} to {self.maximum}. "
                    f"{remedy}",
                    row,
                )
            padded[row, : len(elements), :-1] = elements
            padded[row, : len(elements), -1] = 1.0
        return padded

    def to_inside(self) -> "Callable[[np.ndarray], np.ndarray]":
        """Build the conversion of padded arrays [..., *shape] to the inside form."""
        convert = self.element.to_inside()
        return lambda value: np.concatenate([convert(value[..., :-1]) * value[..., -1:], value[..., -1:]], axis=-1)

    def to_outside(self) -> "Callable[[np.ndarray], Any]":
        """Build the conversion of inside arrays [B, *shape] to a list of B sets in the environment's units."""
        convert = self.element.to_outside()
        return lambda value: [convert(elements[elements[:, -1] > 0.0, :-1]) for elements in np.asarray(value)]


Leaf: TypeAlias = BoxLeaf | ImageLeaf | DiscreteLeaf | BinaryLeaf | SetLeaf
LEAF_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (BoxLeaf, ImageLeaf, DiscreteLeaf, BinaryLeaf, SetLeaf)
}
"""The kinds by name."""

LeafTree: TypeAlias = Leaf | dict[str, Any] | tuple[Any, ...]
"""A leaf, or dicts and tuples of leaf trees (said without recursion, which checkers at run time do not resolve)."""


def is_leaf(value: object) -> bool:
    """Tell leaves from dicts and tuples.

    :param value: a part of a leaf tree.
    :return: whether it is a leaf.
    """
    return isinstance(value, tuple(LEAF_KINDS.values()))


def _numbers(value: Any, *, shape: tuple[int, ...] | None) -> np.ndarray:
    """Take a value as an array of numbers; None for a shape takes any."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"real numbers are promised, and there is {type(value).__name__} ({str(value)[:80]!r})")
    if shape is not None and array.shape != shape:
        raise ValueError(f"an array of shape {shape} is promised, and there is one of shape {array.shape}")
    return array


def _are_whole(numbers: np.ndarray, *, low: Any, high: Any) -> bool:
    """Tell whether all are whole numbers from low to high."""
    return bool(np.all((numbers >= low) & (numbers <= high) & (numbers == np.rint(numbers))))


def _largest_whole_float(dtype: np.dtype[Any]) -> float:
    # The largest 64-bit integers are no floats: they would round up, out of the dtype's range.
    largest = int(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1
    return float(largest) if int(float(largest)) <= largest else float(np.nextafter(float(largest), 0.0))

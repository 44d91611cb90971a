"""Paints semi-transparent triangles with NumPy: one at a time, over what is there, within its bounding box.

A pixel belongs to a triangle if its middle lies within it or on its edge; there is no antialiasing. A triangle is ten
numbers in [-1, 1]:

=======  ==================================================================================
numbers  meaning
=======  ==================================================================================
0 to 2   red, green, blue, from none to full
3        opacity, from the renderer's least to its greatest
4 to 9   x and y of three corners, from the left (top) edge of the image to its right (bottom)
=======  ==================================================================================

A canvas has its channels first, so that NumPy's inner loops go along rows; an image has them last.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, UInt8

NUMBERS = 10
"""A triangle's: colour with opacity, three corners."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The pixels of a triangle, within its bounding box.

    :ivar rows: of the bounding box.
    :ivar columns: likewise.
    :ivar weight: the triangle's opacity where it is, and 0 elsewhere.
    :ivar colour: red, green, blue in [0, 1].
    """

    rows: slice
    columns: slice
    weight: Float32[np.ndarray, "rows columns"]
    colour: Float32[np.ndarray, "3 1 1"]

    def over(self, canvas: Float32[np.ndarray, "3 height width"]) -> Float32[np.ndarray, "3 height width"]:
        """Paint over a canvas: opacity · colour + (1 − opacity) · canvas.

        Source: the operator "over" of Porter and Duff, "Compositing Digital Images" (1984), on an opaque background.

        :param canvas: colours in [0, 1].
        :return: a new canvas.
        """
        painted = canvas.copy()
        region = painted[:, self.rows, self.columns]
        region += self.weight * (self.colour - region)
        return painted


@dataclass(frozen=True, kw_only=True)
class TriangleRenderer:
    """How triangles become pixels.

    :raises ValueError: if a size is not positive, or the opacities are not in order within [0, 1].
    """

    height: int
    """In pixels."""

    width: int
    """In pixels."""

    opacity: tuple[float, float]
    """Of triangles whose opacity is −1 and +1: the least and the greatest, in [0, 1]."""

    def __post_init__(self) -> None:
        """Refuse what cannot be painted."""
        if self.height < 1 or self.width < 1:
            raise ValueError(f"The image's size has to be at least 1 × 1, and is {self.height} × {self.width} pixels.")
        if not 0.0 <= self.opacity[0] <= self.opacity[1] <= 1.0:
            raise ValueError(f"`opacity` has to be (least, greatest) with 0 <= least <= greatest <= 1: {self.opacity}.")

    @cached_property
    def _middles(self) -> npt.NDArray[np.float64]:
        """The coordinates of the middles of columns or rows."""
        return np.arange(max(self.height, self.width), dtype=np.float64) + 0.5

    def layer(self, triangle: Float32[np.ndarray, "10"]) -> Layer:
        """Find the pixels of a triangle.

        :param triangle: ten numbers in [-1, 1].
        :return: what can be laid over a canvas, as often as needed.
        """
        shares = ((triangle.astype(np.float64) + 1.0) / 2.0).tolist()
        x, y = [share * self.width for share in shares[4::2]], [share * self.height for share in shares[5::2]]
        # The columns and rows whose middles lie within the bounding box.
        columns = slice(math.ceil(min(x) - 0.5), math.floor(max(x) + 0.5))
        rows = slice(math.ceil(min(y) - 0.5), math.floor(max(y) + 0.5))
        across, down = self._middles[columns], self._middles[rows, None]
        turn = math.copysign(1.0, (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
        # The cross product of an edge with the way from its start to the pixel: its sign tells the side.
        first, second, third = (
            turn * (x[j] - x[i]) * (down - y[i]) >= turn * (y[j] - y[i]) * (across - x[i])
            for i, j in ((0, 1), (1, 2), (2, 0))
        )
        low, high = self.opacity
        return Layer(
            rows=rows,
            columns=columns,
            weight=(first & second & third) * np.float32(low + shares[3] * (high - low)),
            colour=np.array(shares[:3], np.float32)[:, None, None],
        )

    def render(
        self, *, background: Float32[np.ndarray, "3"], triangles: Float32[np.ndarray, "number 10"]
    ) -> Float32[np.ndarray, "3 height width"]:
        """Paint triangles, the first one first.

        :param background: the empty canvas's colour, in [0, 1].
        :param triangles: ten numbers in [-1, 1] each.
        :return: the canvas.
        """
        canvas = np.broadcast_to(background[:, None, None], (3, self.height, self.width)).copy()
        for triangle in triangles:
            canvas = self.layer(triangle).over(canvas)
        return canvas


def to_bytes(canvas: Float32[np.ndarray, "3 height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """Round a canvas to an image.

    :param canvas: colours in [0, 1].
    :return: colours in 0 … 255; the channels come last.
    """
    return (canvas * np.float32(255.0) + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0)


def from_bytes(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "3 height width"]:
    """Read an image as a canvas.

    :param image: colours in 0 … 255.
    :return: colours in [0, 1]; the channels come first.
    """
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / np.float32(255.0)

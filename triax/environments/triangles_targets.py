"""Where the images come from that are to be painted: random triangles, or a folder of pictures."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from triax.environments.triangles_renderer import NUMBERS, TriangleRenderer, to_bytes

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


@runtime_checkable
class TargetGenerator(Protocol):
    """What draws the target of an episode; a frozen dataclass that can be pickled, if it is to travel to workers."""

    def draw(
        self, *, generator: np.random.Generator, height: int, width: int
    ) -> UInt8[np.ndarray, "{height} {width} 3"]:
        """Draw a target.

        :param generator: all that is random follows from it.
        :param height: of the image, in pixels.
        :param width: likewise.
        :return: the image.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class RandomShapes:
    """Opaque triangles, their colours and corners uniformly random, on a plain background.

    :raises ValueError: if the range of their number is none.
    """

    triangles: tuple[int, int] = (2, 4)
    """The smallest and the largest number of triangles, each number equally likely."""

    background: tuple[int, int, int] = (255, 255, 255)
    """Colour behind them, in 0 … 255; that of the blank canvas by default."""

    def __post_init__(self) -> None:
        """Refuse ranges that are none."""
        if not 1 <= self.triangles[0] <= self.triangles[1]:
            raise ValueError(
                f"RandomShapes: `triangles` has to be (least, most), 1 <= least <= most: {self.triangles}."
            )

    def draw(
        self, *, generator: np.random.Generator, height: int, width: int
    ) -> UInt8[np.ndarray, "{height} {width} 3"]:
        """Paint random triangles.

        :param generator: of their number, colours and corners.
        :param height: of the image, in pixels.
        :param width: likewise.
        :return: the image.
        """
        number = int(generator.integers(self.triangles[0], self.triangles[1] + 1))
        triangles = generator.uniform(-1.0, 1.0, (number, NUMBERS)).astype(np.float32)
        background = np.array(self.background, np.float32) / np.float32(255.0)
        opaque = TriangleRenderer(height=height, width=width, opacity=(1.0, 1.0))
        return to_bytes(opaque.render(background=background, triangles=triangles))


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """The pictures of a folder, each equally likely, scaled to the size of the canvas.

    They are read when they are drawn for the first time, and kept.
    """

    path: str
    """The folder; its files in alphabetical order, subfolders are left out."""

    def draw(
        self, *, generator: np.random.Generator, height: int, width: int
    ) -> UInt8[np.ndarray, "{height} {width} 3"]:
        """Choose a picture.

        :param generator: of the choice.
        :param height: of the image, in pixels.
        :param width: likewise.
        :return: the image; its sides are scaled independently.
        :raises FileNotFoundError: if the folder has no pictures.
        """
        files = _pictures(self.path)
        chosen = files[int(generator.integers(len(files)))]
        return _read(file=chosen, height=height, width=width).copy()


@functools.cache
def _pictures(path: str) -> tuple[Path, ...]:
    """List a folder's pictures.

    :param path: the folder.
    :return: the files, in alphabetical order, at least one.
    """
    folder = Path(path)
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(
            f"ImageFolder: the folder {str(folder)!r} ({folder.absolute()}) has no pictures. "
            f"Give one with files that end in {', '.join(SUFFIXES)}."
        )
    return tuple(files)


@functools.lru_cache(maxsize=10_000)
def _read(*, file: Path, height: int, width: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Read a picture and scale it.

    :param file: the picture.
    :param height: to scale to, in pixels.
    :param width: likewise.
    :return: the image, which others share.
    """
    with Image.open(file) as picture:
        return np.array(picture.convert("RGB").resize((width, height), Image.Resampling.BOX))

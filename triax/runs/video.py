"""Frames as a video file: MP4 (H.264), or GIF."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triax.runs.errors import VideoError
from triax.runs.files import aside_of

_BLOCK = 16  # H.264 codes blocks of 16 x 16 pixels


def write_video(*, frames: NDArray[np.uint8], path: Path, fps: float) -> None:
    """Write a video, in whole or not at all.

    An MP4's sides are brought to multiples of 16 pixels by repeating those at the right and the lower edge, since
    players differ in what they make of other sizes; a GIF keeps its size.

    :param frames: red, green and blue, ``[T, H, W, 3]``.
    :param path: the file; its suffix, ``.mp4`` or ``.gif``, says which kind. Its folder is made.
    :param fps: frames per second. A GIF's frames last a whole number of hundredths of a second, which rounds its speed.
    :raises VideoError: if the frames are none, or of another shape or type, or the encoder fails.
    :raises OSError: if the file cannot be written.
    """
    # Imported here: most programs record nothing.
    import imageio.v2

    images = _checked(frames=frames, fps=fps)
    suffix = path.suffix.lower()
    options: dict[str, Any]
    if suffix == ".mp4":
        rows, columns = -images.shape[1] % _BLOCK, -images.shape[2] % _BLOCK
        images = np.pad(images, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge")
        # "quality" 8 of 10: text and thin lines stay sharp. Chroma of half resolution is what browsers play.
        options = {
            "format": "FFMPEG",
            "fps": fps,
            "codec": "libx264",
            "quality": 8,
            "pixelformat": "yuv420p",
            "macro_block_size": _BLOCK,
        }
    elif suffix == ".gif":
        # Browsers play frames shorter than 2/100 s ten times slower.
        options = {"format": "GIF", "duration": 10 * max(2, round(100 / fps)), "loop": 0}
    else:
        raise VideoError(f"{path}: a video ends in .mp4 or .gif")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        writer: Any
        with imageio.v2.get_writer(aside, **options) as writer:
            for image in images:
                writer.append_data(image)
        aside.replace(path)
    except OSError as error:
        # The encoder's failures come as OSErrors without a number, with pages of its output.
        if error.errno is None:
            raise VideoError(f"{path} could not be encoded: {error}") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _checked(*, frames: NDArray[np.uint8], fps: float) -> NDArray[np.uint8]:
    images = np.asarray(frames)
    if images.ndim != 4 or images.shape[3] != 3:
        raise VideoError(f"frames of shape {list(images.shape)}; a video needs [T, H, W, 3]")
    if 0 in images.shape:
        raise VideoError(f"frames of shape {list(images.shape)}: there is nothing to show")
    if images.dtype != np.uint8:
        raise VideoError(f"frames of {images.dtype}; a video needs uint8, from 0 to 255")
    if not fps > 0:
        raise VideoError(f"{fps} frames per second")
    return images

"""Frames as a video file: MP4 (H.264), or GIF."""

import contextlib
import subprocess
import tempfile
from pathlib import Path

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
    images = _checked(frames=frames, fps=fps)
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    if path.suffix.lower() not in writers:
        raise VideoError(f"{path}: a video ends in .mp4 or .gif")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        writers[path.suffix.lower()](images=images, path=aside, fps=fps)
        aside.replace(path)
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


def _write_mp4(*, images: NDArray[np.uint8], path: Path, fps: float) -> None:
    # imageio's own writer starts ffmpeg by a true fork, which JAX warns of, rightly: a fork of a process with threads
    # can hang. So only the program itself is taken from imageio. (imported here: most programs record nothing)
    from imageio_ffmpeg import get_ffmpeg_exe  # type: ignore[import-untyped]

    rows, columns = -images.shape[1] % _BLOCK, -images.shape[2] % _BLOCK
    padding = ((0, rows), (0, columns), (0, 0))
    height, width = images.shape[1] + rows, images.shape[2] + columns
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:.6g}", "-i", "pipe:0"]
    # Chroma of half resolution is what browsers play; a rate factor of 20 keeps text and thin lines sharp.
    target = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-movflags", "+faststart", "-f", "mp4"]
    command = [get_ffmpeg_exe(), "-loglevel", "error", "-y", *source, *target, f"file:{path.absolute()}"]
    with tempfile.TemporaryFile() as complaints:
        # In a process group of its own, so that Ctrl-C reaches this program alone.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=complaints, process_group=0) as encoder:
            assert encoder.stdin is not None
            # The encoder's exit status, and what it wrote, say more than a broken pipe.
            with contextlib.suppress(BrokenPipeError):
                for image in images:
                    encoder.stdin.write(np.pad(image, padding, mode="edge").tobytes())
                encoder.stdin.close()
        if encoder.returncode != 0:
            complaints.seek(0)
            words = complaints.read().decode(errors="replace").strip()[-500:]
            raise VideoError(f"{path.name} could not be encoded: {words or f'ffmpeg exited with {encoder.returncode}'}")


def _write_gif(*, images: NDArray[np.uint8], path: Path, fps: float) -> None:
    import imageio.v3

    # Browsers play frames shorter than 2/100 s ten times slower.
    duration = 10 * max(2, round(100 / fps))
    imageio.v3.imwrite(path, images, extension=".gif", plugin="pillow", duration=duration, loop=0)

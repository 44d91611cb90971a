"""Videos hold the frames they were given, at the size and speed that was asked for."""

import re
import subprocess
from pathlib import Path
from typing import Any

import imageio.v3
import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np
import pytest

from triax.runs.errors import VideoError
from triax.runs.video import write_video


def moving_square(count: int = 12, height: int = 50, width: int = 70) -> Any:
    frames = np.full((count, height, width, 3), 20, np.uint8)
    for index in range(count):
        frames[index, 10:30, 4 * index : 4 * index + 20] = (220, 60, 30)
    return frames


def decode(path: Path) -> tuple[str, Any]:
    """Decode a video; return what ffmpeg says of the stream, and the frames."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    stream = next(line for line in done.stderr.decode().splitlines() if "Video: h264" in line)
    size = re.search(r"(\d+)x(\d+)", stream.partition("yuv420p")[2])
    assert size is not None
    width, height = int(size[1]), int(size[2])
    return stream, np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def test_an_mp4_holds_its_frames(tmp_path: Path) -> None:
    frames = moving_square()
    path = tmp_path / "videos" / "episode.mp4"
    write_video(frames=frames, path=path, fps=25)
    stream, decoded = decode(path)
    assert " 25 fps" in stream
    # 50 and 70 pixels are padded to 64 and 80, by repeating the edge and not by black.
    assert decoded.shape == (12, 64, 80, 3)
    assert np.abs(decoded[:, :50, :70].astype(int) - frames).mean() < 6
    assert np.abs(decoded[:, 52:].astype(int) - 20).mean() < 6
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("height", "width"), [(64, 80), (1, 1), (17, 33)])
def test_any_size_can_be_encoded(tmp_path: Path, height: int, width: int) -> None:
    write_video(frames=np.zeros((2, height, width, 3), np.uint8), path=tmp_path / "v.mp4", fps=30)
    _, decoded = decode(tmp_path / "v.mp4")
    assert decoded.shape == (2, -(-height // 16) * 16, -(-width // 16) * 16, 3)


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    write_video(frames=moving_square(1), path=tmp_path / "v.mp4", fps=30)
    assert len(decode(tmp_path / "v.mp4")[1]) == 1


def test_a_gif_holds_its_frames(tmp_path: Path) -> None:
    frames = moving_square()
    write_video(frames=frames, path=tmp_path / "v.GIF", fps=20)
    decoded = imageio.v3.imread(tmp_path / "v.GIF", plugin="pillow")
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 6
    assert imageio.v3.immeta(tmp_path / "v.GIF", plugin="pillow")["duration"] == 50


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), "nothing to show"),
        (np.zeros((2, 8, 0, 3), np.uint8), "nothing to show"),
        (np.zeros((8, 8, 3), np.uint8), r"shape \[8, 8, 3\]; a video needs \[T, H, W, 3\]"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"a video needs \[T, H, W, 3\]"),
    ],
)
def test_frames_that_are_no_video_are_refused(tmp_path: Path, frames: Any, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        write_video(frames=frames, path=tmp_path / "v.mp4", fps=30)
    assert not list(tmp_path.iterdir())


def test_other_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"ends in \.mp4 or \.gif"):
        write_video(frames=moving_square(), path=tmp_path / "v.avi", fps=30)
    with pytest.raises(VideoError, match="0 frames per second"):
        write_video(frames=moving_square(), path=tmp_path / "v.mp4", fps=0)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_video(frames=moving_square(), path=path, fps=30)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_encoder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: "/bin/false")
    with pytest.raises(VideoError, match=r"could not be encoded: ffmpeg exited with 1"):
        write_video(frames=moving_square(), path=tmp_path / "v.mp4", fps=30)
    assert not list(tmp_path.iterdir())


def test_the_encoder_says_why_it_fails(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").mkdir()
    (tmp_path / ".v.writing.mp4").mkdir()
    with pytest.raises(VideoError, match=r"could not be encoded: .*Is a directory"):
        write_video(frames=moving_square(), path=tmp_path / "v.mp4", fps=30)

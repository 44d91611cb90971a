"""The renderer: pixels and colours worked out by hand, and the same shapes as Pillow's but for their edges."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from triax.environments.triangles_renderer import TriangleRenderer, from_bytes, to_bytes

WHITE = np.ones(3, np.float32)


def triangle(
    *, corners: list[float], colour: tuple[float, float, float] = (-1, -1, -1), opacity: float = 1.0
) -> npt.NDArray[np.float32]:
    return np.array([*colour, opacity, *corners], np.float32)


def test_pixels_whose_middles_lie_within_are_painted_and_no_others() -> None:
    # On 4 × 4 pixels the corners are (0, 0), (4, 0), (0, 4). A middle (c + 0.5, r + 0.5) lies within if c + r + 1 <= 4.
    renderer = TriangleRenderer(height=4, width=4, opacity=(0.0, 1.0))
    shape = triangle(corners=[-1, -1, 1, -1, -1, 1])
    expected = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]
    canvas = renderer.render(background=WHITE, triangles=shape[None])
    assert np.array_equal(canvas, np.broadcast_to(1.0 - np.array(expected), (3, 4, 4)))
    # The corners' order makes no difference.
    turned = triangle(corners=[-1, 1, 1, -1, -1, -1])
    assert np.array_equal(renderer.render(background=WHITE, triangles=turned[None]), canvas)


def test_x_goes_along_columns_and_y_down_the_rows() -> None:
    # On 2 rows and 4 columns: the corners (2, 0), (4, 0), (4, 1) have the middle (3.5, 0.5) within, and (2.5, 0.5) not.
    renderer = TriangleRenderer(height=2, width=4, opacity=(0.0, 1.0))
    canvas = renderer.render(background=WHITE, triangles=triangle(corners=[0, -1, 1, -1, 1, 0])[None])
    assert np.argwhere(canvas[0] == 0.0).tolist() == [[0, 3]]


def test_colours_are_mixed_by_the_opacity_within_its_bounds() -> None:
    # Opacity 0 in [-1, 1] is the middle of [0.2, 0.6]: 0.4. Over white: 0.4 · (1, 0.5, 0) + 0.6 = (1, 0.8, 0.6).
    renderer = TriangleRenderer(height=2, width=2, opacity=(0.2, 0.6))
    everywhere = [-1.0, -1.0, 1.0, -1.0, -1.0, 1.0]
    one = triangle(corners=everywhere, colour=(1, 0, -1), opacity=0)
    canvas = renderer.render(background=WHITE, triangles=one[None])
    np.testing.assert_allclose(canvas[:, 0, 0], [1.0, 0.8, 0.6], rtol=1e-6)
    # Black over it with opacity 0.6 leaves 0.4 of it; the other way round, 0.4 · (1, 0.5, 0) + 0.6 · 0.4.
    black = triangle(corners=everywhere)
    above = renderer.render(background=WHITE, triangles=np.stack([one, black]))
    below = renderer.render(background=WHITE, triangles=np.stack([black, one]))
    np.testing.assert_allclose(above[:, 0, 0], [0.4, 0.32, 0.24], rtol=1e-6)
    np.testing.assert_allclose(below[:, 0, 0], [0.64, 0.44, 0.24], rtol=1e-6)
    assert canvas[:, 1, 1].tolist() == [1.0, 1.0, 1.0]


def test_lines_and_points_paint_nothing_between_middles() -> None:
    renderer = TriangleRenderer(height=4, width=4, opacity=(0.0, 1.0))
    flat = triangle(corners=[-1, -0.1, 0, -0.1, 1, -0.1])
    point = triangle(corners=[0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert np.all(renderer.render(background=WHITE, triangles=np.stack([flat, point])) == 1.0)


def test_a_canvas_is_not_changed_by_painting_over_it() -> None:
    renderer = TriangleRenderer(height=4, width=4, opacity=(0.0, 1.0))
    canvas = renderer.render(background=WHITE, triangles=np.zeros((0, 10), np.float32))
    renderer.layer(triangle(corners=[-1, -1, 1, -1, -1, 1])).over(canvas)
    assert np.all(canvas == 1.0)


def test_exactly_the_pixels_with_barycentric_coordinates_of_at_least_zero_are_painted() -> None:
    # The shares of the corners in each middle, over the whole image: (shares) · (corners, 1) = (middle, 1).
    generator = np.random.Generator(np.random.Philox(key=1))
    renderer = TriangleRenderer(height=9, width=13, opacity=(1.0, 1.0))
    middles = np.stack(np.meshgrid(np.arange(13) + 0.5, np.arange(9) + 0.5), axis=-1)
    for _ in range(200):
        shape = generator.uniform(-1.0, 1.0, 10).astype(np.float32)
        shape[:3] = -1.0
        corners = (shape[4:].reshape(3, 2).astype(np.float64) + 1.0) / 2.0 * (13, 9)
        system = np.column_stack([corners, np.ones(3)])
        shares = np.concatenate([middles, np.ones((9, 13, 1))], axis=-1) @ np.linalg.inv(system)
        painted = renderer.render(background=WHITE, triangles=shape[None])[0] == 0.0
        assert np.array_equal(painted, np.all(shares >= 0.0, axis=-1))


def test_shapes_are_those_of_pillow_but_for_the_edges() -> None:
    # Pillow draws on four times finer a grid, and each pixel asks the one at its middle.
    size, scale = 32, 4
    generator = np.random.Generator(np.random.Philox(key=0))
    renderer = TriangleRenderer(height=size, width=size, opacity=(1.0, 1.0))
    different = 0
    for _ in range(50):
        shape = generator.uniform(-1.0, 1.0, 10).astype(np.float32)
        shape[:3] = -1.0
        painted = renderer.render(background=WHITE, triangles=shape[None])[0] == 0.0
        image = Image.new("1", (size * scale, size * scale))
        # Pillow's coordinates are of pixels' middles.
        corners = ((shape[4:].reshape(3, 2).astype(np.float64) + 1.0) / 2.0 * size * scale - 0.5).round()
        ImageDraw.Draw(image).polygon([(x, y) for x, y in corners.tolist()], fill=1)
        different += int(np.sum(painted != np.array(image)[scale // 2 :: scale, scale // 2 :: scale]))
    # An edge of some 20 pixels decides about pixels a fraction of a pixel away: some 6 of 1024 pixels a triangle.
    assert different / 50 < 15


def test_bytes_are_rounded_and_survive_the_way_back() -> None:
    image = np.arange(256 * 3, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8)
    assert np.array_equal(to_bytes(from_bytes(image)), image)
    assert to_bytes(np.full((3, 1, 1), 0.6 / 255.0, np.float32)).ravel().tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("height", "width", "opacity", "message"),
    [(0, 4, (0.0, 1.0), "size"), (4, 4, (0.5, 0.2), "opacity"), (4, 4, (0.0, 1.5), "opacity")],
)
def test_what_cannot_be_painted_is_refused(height: int, width: int, opacity: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriangleRenderer(height=height, width=width, opacity=opacity)

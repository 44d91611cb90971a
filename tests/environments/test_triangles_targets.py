"""Targets: random shapes, and the pictures of a folder."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triax.environments import ImageFolder, RandomShapes, TargetGenerator


def generator(key: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def test_random_shapes_have_so_many_colours() -> None:
    # Two triangles on a background: two or three colours, if they are seen at all; often three.
    shapes = RandomShapes(triangles=(2, 2), background=(10, 20, 30))
    draws = generator()
    counts = []
    for _ in range(30):
        image = shapes.draw(generator=draws, height=24, width=20)
        assert image.shape == (24, 20, 3)
        assert image.dtype == np.uint8
        counts.append(len(np.unique(image.reshape(-1, 3), axis=0)))
    assert max(counts) == 3
    assert np.mean(counts) > 2.5
    assert (image == (10, 20, 30)).all(axis=2).any()


def test_numbers_of_triangles_are_spread_over_the_range() -> None:
    # The number is drawn first: 2, 3 and 4 each with probability 1/3.
    draws, shapes = generator(), RandomShapes(triangles=(1, 6))
    colours = [
        len(np.unique(shapes.draw(generator=draws, height=32, width=32).reshape(-1, 3), axis=0)) for _ in range(60)
    ]
    assert min(colours) <= 2
    assert max(colours) >= 6


@pytest.mark.parametrize("triangles", [(0, 2), (3, 2)])
def test_ranges_that_are_none_are_refused(triangles: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="RandomShapes"):
        RandomShapes(triangles=triangles)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255)]):
        Image.new("RGB", (40, 20), colour).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_pictures_are_scaled_and_each_is_drawn(folder: Path) -> None:
    targets, draws = ImageFolder(path=str(folder)), generator()
    images = [targets.draw(generator=draws, height=8, width=16) for _ in range(30)]
    assert all(image.shape == (8, 16, 3) and image.dtype == np.uint8 for image in images)
    assert {tuple(image[0, 0].tolist()) for image in images} == {(255, 0, 0), (0, 255, 0), (0, 0, 255)}
    images[0][:] = 7  # a copy: the next one of the same picture is as the first was
    assert all((image != 7).any() for image in [targets.draw(generator=draws, height=8, width=16) for _ in range(9)])


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no pictures"):
        ImageFolder(path=str(tmp_path / "nowhere")).draw(generator=generator(), height=8, width=8)


def test_generators_follow_the_seed_and_can_be_pickled(folder: Path) -> None:
    every: list[TargetGenerator] = [RandomShapes(), ImageFolder(path=str(folder))]
    for targets in every:
        twin = pickle.loads(pickle.dumps(targets))
        assert twin == targets
        one, other = generator(3), generator(3)
        for _ in range(5):
            expected = targets.draw(generator=one, height=8, width=8)
            assert np.array_equal(twin.draw(generator=other, height=8, width=8), expected)

"""Levels that show another picture are found and left out; levels that show the same are not."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from biopsy_analyzer.slide import open_slide
from vendor_slides import halved


def written(path: Path, *levels: np.ndarray) -> Path:
    with tifffile.TiffWriter(path) as writer:
        for number, level in enumerate(levels):
            more = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"} if number == 0 else {"subfiletype": 1}
            writer.write(level, tile=(128, 128), photometric="rgb", compression="jpeg", metadata=None, **more)
    return path


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(5)
    small = rng.integers(90, 240, (70, 90, 3)).astype(np.uint8)
    return cv2.resize(small, (1440, 1120), interpolation=cv2.INTER_CUBIC)


@pytest.mark.fault(10)
@pytest.mark.parametrize("turn", [lambda p: p[::-1, ::-1], lambda p: p[:, ::-1], lambda p: np.roll(p, 60, axis=0), lambda p: 0 * p + 200])
def test_a_level_of_another_picture_is_left_out(turn, picture: np.ndarray, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = written(tmp_path / "a.tif", picture, np.ascontiguousarray(turn(halved(picture))), halved(picture, 2))
    with open_slide(path) as slide:
        assert [level.shape for level in slide.levels] == [(1120, 1440), (280, 360)]
        assert len(slide.notes) == 1
        assert "level 1 (720 x 560 px) shows another picture" in slide.notes[0]
        assert np.abs(slide.read(slide.grid(1.0)).astype(int) - halved(picture)).mean() < 3


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        lambda p: np.clip(p.astype(int) * 0.9 + 12, 0, 255).astype(np.uint8),
        lambda p: cv2.GaussianBlur(p, (0, 0), 1.5),
        lambda p: np.roll(p, 1, axis=(0, 1)),
        lambda p: np.clip(p + np.random.default_rng(0).normal(0, 8, p.shape), 0, 255).astype(np.uint8),
    ],
)
def test_usual_differences_between_levels_are_no_fault(change, picture: np.ndarray, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = written(tmp_path / "a.tif", picture, change(halved(picture)), change(halved(picture, 2)))
    with open_slide(path) as slide:
        assert (len(slide.levels), slide.notes) == (3, [])


def test_blank_slides_and_small_ones_have_nothing_to_compare(tmp_path: Path) -> None:
    blank = np.full((600, 600, 3), 240, np.uint8)
    with open_slide(written(tmp_path / "a.tif", blank, halved(blank))) as slide:
        assert (len(slide.levels), slide.notes) == (2, [])
    tiny = np.random.default_rng(0).integers(0, 255, (9, 7, 3)).astype(np.uint8)
    with open_slide(written(tmp_path / "b.tif", tiny, tiny[:1, :1])) as slide:
        assert slide.read(slide.grid()).shape == (9, 7, 3)

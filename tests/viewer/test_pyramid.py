"""Lazy levels of a slide: the stored pixels, and nothing read before it is looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.viewer.pyramid import slide_pyramid


def test_stored_levels_are_given_as_they_are(analysed: Path) -> None:
    with open_slide(analysed / "section.tif") as slide, tifffile.TiffFile(analysed / "section.tif") as file:
        before = slide.tiles_decoded  # opening holds the levels against each other
        levels = slide_pyramid(slide)
        assert slide.tiles_decoded == before
        stored = [page.asarray() for page in (file.pages[0], file.pages[0].pages[0])]  # type: ignore[union-attr]
        assert [level.shape for level in levels] == [image.shape for image in stored]
        for level, image in zip(levels, stored, strict=True):
            assert np.array_equal(level[100:300, 50:301], image[100:300, 50:301])
            assert np.array_equal(level[7, ..., 1], image[7, ..., 1])
            assert np.array_equal(np.asarray(level), image)


def test_a_view_decodes_its_tiles_only(analysed: Path) -> None:
    with open_slide(analysed / "section.tif") as slide:
        before = slide.tiles_decoded
        levels = slide_pyramid(slide)
        assert levels[0][10:20, 10:20].shape == (10, 10, 3)
        assert levels[0][300:300, :].shape == (0, levels[0].shape[1], 3)
        assert slide.tiles_decoded - before <= 1


def test_a_large_flat_image_gets_an_overview(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (300, 4500, 3), np.uint8)
    tifffile.imwrite(tmp_path / "flat.tif", rgb, tile=(256, 256), photometric="rgb")
    with open_slide(tmp_path / "flat.tif", um_per_px=0.5) as slide:
        levels = slide_pyramid(slide)
        assert [level.shape for level in levels] == [(300, 4500, 3), (150, 2250, 3), (75, 1125, 3)]
        quarters = rgb.reshape(75, 4, 1125, 4, 3).mean(axis=(1, 3))
        assert np.abs(np.asarray(levels[2]).astype(float) - quarters).max() <= 1


def test_a_damaged_slide_is_white_and_said_once(tmp_path: Path) -> None:
    path = tmp_path / "broken.tif"
    tifffile.imwrite(path, np.full((1024, 1024, 3), 99, np.uint8), tile=(256, 256), photometric="rgb", compression="zlib")
    with tifffile.TiffFile(path) as file:
        offsets = file.pages[0].dataoffsets  # type: ignore[union-attr]
    with path.open("r+b") as broken:
        for offset in offsets[:4]:
            broken.seek(offset)
            broken.write(b"no zlib")
    with open_slide(path, um_per_px=0.5) as slide:
        (level, *_) = slide_pyramid(slide)
        with pytest.warns(UserWarning, match="can't be decoded"):
            assert (level[:256, :] == 255).all()
        assert (level[:256, :] == 255).all()
        assert (level[300:, :] == 99).all()

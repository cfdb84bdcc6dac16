"""Edited label pyramids against a plain array that is edited in place."""

from __future__ import annotations

import numpy as np
import pytest

from biopsy_analyzer.corrections.edited_labels import EditedLabels
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.labels import LabelPyramid


def pyramid(pixels: np.ndarray, levels: int = 4) -> LabelPyramid:
    grid = PixelGrid(pixels.shape, 0.8, (16.0, 8.0))
    parts = tuple(pixels[:: 2**k, :: 2**k] for k in range(levels))
    return LabelPyramid(parts, tuple(PixelGrid(part.shape, 0.8 * 2**k, grid.origin_um) for k, part in enumerate(parts)))


def test_every_level_shows_edits_as_an_array_would():
    rng = np.random.default_rng(0)
    plain = rng.integers(0, 60, (1500, 1200)).astype(np.int32)
    labels = EditedLabels(pyramid(plain.copy()))
    for _ in range(12):
        top, left = rng.integers(0, 1300), rng.integers(0, 1000)
        pixels = rng.integers(0, 90, rng.integers(1, 150, 2)).astype(np.int32)
        labels.write((top, left, top + pixels.shape[0], left + pixels.shape[1]), pixels)
        plain[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    labels.take_away([3, 77])
    shown = np.where(np.isin(plain, [3, 77]), 0, plain)
    for k, level in enumerate(labels.levels):
        np.testing.assert_array_equal(np.asarray(level), shown[:: 2**k, :: 2**k])
    labels.take_away([77], away=False)
    assert labels.highest_gone == 77
    np.testing.assert_array_equal(labels.pixels[900:1200:7, 1000:], np.where(plain == 3, 0, plain)[900:1200:7, 1000:])


def test_taking_a_box_back_shows_what_was_below():
    labels = EditedLabels(pyramid(np.ones((40, 40), np.int32)))
    labels.write((10, 10, 20, 20), np.full((10, 10), 2))
    labels.write((15, 15, 25, 25), np.full((10, 10), 3))
    labels.unwrite()
    assert sorted(np.unique(np.asarray(labels.pixels))) == [1, 2]
    labels.unwrite()
    assert (np.asarray(labels.pixels) == 1).all()


@pytest.mark.parametrize("key", [np.s_[3], np.s_[3, 4], np.s_[:, 5], np.s_[2:8], np.s_[-5:, ::3], np.s_[30:90, 5:2]])
def test_slices_are_numpys(key):
    pixels = np.arange(1600, dtype=np.int32).reshape(40, 40)
    np.testing.assert_array_equal(EditedLabels(pyramid(pixels)).pixels[key], pixels[key])


def test_windows_beyond_the_image_are_background():
    labels = EditedLabels(pyramid(np.ones((40, 40), np.int32)))
    found = labels.read((-3, 35, 5, 44))
    assert found.shape == (8, 9)
    assert found.sum() == 5 * 5
    assert labels.around(np.array([[16.0, 8.0]]), 1.0) == (0, 0, 3, 3)  # one um is 1.25 px

"""Outlines run along pixel edges, so their area is the label's."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.outlines import Rings, cluster_outlines, laid_out, outlines


def shoelace(ring: np.ndarray) -> float:
    y, x = ring.T
    return abs(float(np.sum(y * np.roll(x, -1) - x * np.roll(y, -1)))) / 2


def test_a_known_square_lands_in_um() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 8:20] = 1
    (ring,) = outlines(labels, PixelGrid((20, 30), 0.5, origin_um=(100.0, 200.0)))
    corners = {(102.5, 204.0), (102.5, 210.0), (107.5, 204.0), (107.5, 210.0)}
    assert {tuple(corner) for corner in ring} == corners
    assert len(ring) == 4


def test_one_pixel_is_a_square() -> None:
    labels = np.zeros((3, 3), np.int32)
    labels[1, 2] = 1
    (ring,) = outlines(labels, PixelGrid((3, 3), 1.0))
    assert {tuple(corner) for corner in ring} == {(1, 2), (1, 3), (2, 2), (2, 3)}


def test_concave_corners_are_not_cut() -> None:
    labels = np.array([[1, 0], [1, 1]], np.int32)
    (ring,) = outlines(labels, PixelGrid((2, 2), 1.0))
    assert {tuple(corner) for corner in ring} == {(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 0)}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_the_area_is_that_of_the_pixels(seed: int) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(40, 50)), 2.0)
    labels, n = ndimage.label(ndimage.binary_fill_holes(noise > 0))
    rings = outlines(labels.astype(np.int32), PixelGrid((40, 50), 2.0))
    assert [shoelace(ring) for ring in rings] == [4.0 * np.sum(labels == k) for k in range(1, n + 1)]


def test_touching_labels_share_their_border() -> None:
    labels = np.ones((4, 6), np.int32)
    labels[:, 3:] = 2
    left, right = outlines(labels, PixelGrid((4, 6), 1.0))
    assert left[:, 1].max() == right[:, 1].min() == 3


def test_no_labels_no_outlines() -> None:
    assert len(outlines(np.zeros((5, 5), np.int32), PixelGrid((5, 5), 1.0))) == 0


def test_stairs_become_a_line_and_the_area_stays() -> None:
    grid = PixelGrid((40, 41), 2.0, (10.0, 20.0))
    rings = outlines(np.tril(np.ones((40, 41), np.int32)), grid)
    ring, smooth = grid.to_px(rings[0]), grid.to_px(rings.without_stairs()[0])
    # the square corner at the lower left and both ends of the stairs are cut, and nothing stands between
    assert {tuple(corner) for corner in smooth} == {(0.0, 0.5), (0.5, 0.0), (39.5, 0.0), (40.0, 0.5), (40.0, 39.5), (39.5, 40.0)}
    assert shoelace(ring) - 0.5 <= shoelace(smooth) <= shoelace(ring)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_without_stairs_no_corner_moves_by_a_pixel(seed: int) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(40, 50)), 2.0)
    labels, _ = ndimage.label(ndimage.binary_fill_holes(noise > 0))
    grid = PixelGrid((40, 50), 2.0, (3.0, 5.0))
    rings = outlines(labels.astype(np.int32), grid)
    smooth = rings.without_stairs()
    assert len(smooth) == len(rings)
    for ring, drawn in zip(map(grid.to_px, rings), map(grid.to_px, smooth), strict=True):
        line = drawn.astype(np.float32).reshape(-1, 1, 2)
        far = [abs(cv2.pointPolygonTest(line, corner, True)) for corner in ring.tolist()]
        assert max(far) <= 0.5 + np.sqrt(0.125) + 1e-3  # half a pixel, and what the corner was cut by


def test_any_sequence_can_be_laid_out() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[2:5, 2:5], labels[2:5, 8:9], labels[10:14, 3:5], labels[10, 4] = 1, 2, 3, 0
    rings = outlines(labels, PixelGrid((20, 20), 0.5, (1.0, 2.0)))
    corners, ends = rings.laid_out()
    assert ends.tolist() == [4, 8, 14]
    listed = laid_out(list(rings))
    assert np.array_equal(listed[0], corners)
    assert np.array_equal(listed[1], ends)
    assert laid_out([])[0].shape == (0, 2)
    backwards = rings.chosen(np.array([2, 0]))
    assert [ring.tolist() for ring in backwards] == [rings[2].tolist(), rings[0].tolist()]
    assert len(rings.chosen(np.zeros(0, int))) == 0


def test_a_cluster_is_the_hull_of_its_nuclei() -> None:
    squares = [np.array([[y, x], [y, x + 1], [y + 1, x + 1], [y + 1, x]], float) for y, x in ((0, 0), (0, 9), (9, 0), (50, 50))]
    (ring,) = cluster_outlines(squares, np.array([1, 1, 1, 0]), 1)
    assert shoelace(ring) == 100 - 9 * 9 / 2  # the 10 x 10 square without the triangle beyond (1, 10)-(10, 1)
    assert cluster_outlines(squares, np.zeros(4, int), 0) == []


def test_rings_of_windows_are_those_of_the_whole() -> None:
    grid = PixelGrid((40, 60), 0.5, (10.0, 20.0))
    labels = np.zeros(grid.shape, np.int32)
    labels[2:9, 3:12], labels[4:20, 30:31], labels[25:30, 5:9], labels[26:33, 40:50] = 1, 2, 3, 4
    upper, lower = (
        outlines(labels[:21], grid.crop(0, 0, 21, 60)),
        outlines(labels[22:, 2:] - 2 * (labels[22:, 2:] > 0), grid.crop(22, 2, 18, 58)),
    )
    joined = Rings.joined([lower, upper], [(22, 2), (0, 0)], np.array([2, 3, 0, 1]), grid)
    assert len(joined) == 4
    for ours, theirs in zip(joined, outlines(labels, grid), strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(joined[-1], joined[3])
    assert [len(ring) for ring in joined[1:3]] == [4, 4]
    with pytest.raises(IndexError):
        joined[4]
    assert len(Rings.joined([], [], np.zeros(0, np.int64), grid)) == 0

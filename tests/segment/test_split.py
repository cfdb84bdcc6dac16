import cv2
import numpy as np
import pytest
from skimage.segmentation import watershed

from biopsy_analyzer.segment.split import split


def bowls(shape: tuple[int, int], centres: list[tuple[int, int]], radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Foreground and depth of cones that touch or overlap: the deeper one wins."""
    y, x = np.indices(shape)
    depth = np.max([1 - np.hypot(y - cy, x - cx) / radius for cy, cx in centres], axis=0).clip(0).astype(np.float32)
    return depth > 0, depth


def noisy_depth(seed: int, size: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(size, size)).astype(np.float32), (0, 0), 4)
    depth = (noise - noise.min()) / np.ptp(noise)
    return depth > 0.3, depth


@pytest.mark.parametrize("seed", range(5))
def test_flooding_is_the_plain_watershed_from_the_same_seeds(seed: int) -> None:
    foreground, depth = noisy_depth(seed)
    smooth = cv2.GaussianBlur(depth, (0, 0), 1.0)
    seeds = cv2.connectedComponents((foreground & (smooth > 0.5)).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1]
    slow = watershed(-smooth, seeds, mask=foreground)
    assert seeds.max() > 5
    assert np.array_equal(split(foreground, depth, smoothing_px=1.0, seed=0.5, min_seed_px=1, join=np.inf), slow)


def test_a_seed_of_one_pixel_keeps_its_basin_wherever_its_region_is_laid_out() -> None:
    depth = np.array([[0.9, 0.45, 0.4, 0.3, 0.2, 0.31, 0.6, 0.9, 0.9, 0.6]], np.float32)  # the first seed is its region's first pixel
    labels = split(np.ones(depth.shape, bool), depth, smoothing_px=0.1, seed=0.7, min_seed_px=1, join=np.inf)
    assert labels.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 2, 2]]


def test_touching_discs_are_cut_at_the_straight_line_between_them() -> None:
    foreground, depth = bowls((40, 70), [(20, 20), (20, 49)], 15)
    labels = split(foreground, depth, smoothing_px=1.0, seed=0.4, min_seed_px=4, join=0.4)
    assert labels.dtype == np.int32
    assert np.array_equal(labels > 0, foreground)
    assert (labels[:, :35][foreground[:, :35]] == 1).all()
    assert (labels[:, 35:][foreground[:, 35:]] == 2).all()


@pytest.mark.parametrize(("saddle", "objects"), [(0.0, 2), (0.2, 2), (0.5, 1)])
def test_pieces_are_joined_where_their_shared_edge_is_deep(saddle: float, objects: int) -> None:
    depth = np.full((30, 61), 0.8, np.float32)
    depth[:, 28:33] = saddle
    labels = split(np.ones(depth.shape, bool), depth, smoothing_px=1.0, seed=0.6, min_seed_px=4, join=0.4)
    assert labels.max() == objects
    assert (labels > 0).all()


def test_foreground_without_seed_and_tiny_seeds_vanish() -> None:
    foreground, depth = bowls((40, 70), [(20, 20), (20, 55)], 12)
    depth[:, 40:] *= 0.4
    labels = split(foreground, depth, smoothing_px=1.0, seed=0.5, min_seed_px=4, join=0.4)
    assert np.array_equal(labels > 0, foreground & (np.arange(70) < 40))
    assert split(foreground, depth, smoothing_px=1.0, seed=0.5, min_seed_px=2000, join=0.4).max() == 0


def test_no_foreground_gives_zeros() -> None:
    labels = split(np.zeros((9, 7), bool), np.zeros((9, 7), np.float32), smoothing_px=1.0, seed=0.4, min_seed_px=1, join=0.4)
    assert labels.shape == (9, 7)
    assert labels.dtype == np.int32
    assert not labels.any()

import cv2
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from biopsy_analyzer.segment.fibres import fibre_labels
from biopsy_analyzer.settings import SegmentSettings

UM_PER_PX = 0.8
SETTINGS = SegmentSettings()


def cells(seed: int, size: int = 300, step: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Truth and maps of packed cells: half touch, half stand apart; holes, clefts, noise and unsure cells in the maps."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[0 : size + 1 : step, 0 : size + 1 : step].reshape(2, -1).T
    centres = grid + rng.normal(0, step / 6, grid.shape)
    pixels = np.indices((size, size)).reshape(2, -1).T
    truth = (cKDTree(centres).query(pixels)[1] + 1).reshape(size, size).astype(np.int32)
    distance = inside_distance(truth)
    apart = rng.random(len(centres) + 1) < 0.5
    truth[(distance < 2) & apart[truth]] = 0
    distance = np.where(truth > 0, inside_distance(truth), 0)
    greatest = np.append(1, ndimage.maximum(distance, truth, np.arange(1, len(centres) + 1)))
    sharp = (truth > 0).astype(np.float32)
    depth = (distance / np.maximum(greatest, 1)[truth]).astype(np.float32)
    wounds = np.ones_like(sharp)
    for y, x in centres[rng.random(len(centres)) < 0.3].astype(int):
        cv2.circle(wounds, (int(x), int(y)), 5, 0.2, -1)
        cv2.line(wounds, (int(x), int(y)), (int(x) + 14, int(y) + 6), 0.2, 2)
    sure = rng.uniform(0.7, 1, len(centres) + 1).astype(np.float32)[truth]
    noise = cv2.GaussianBlur(rng.normal(0, 0.4, truth.shape).astype(np.float32), (0, 0), 2)
    soft = [cv2.GaussianBlur(channel * wounds * sure, (0, 0), 1.2) for channel in (sharp, depth)]
    return truth, np.stack([(soft[0] + 0.15 * (sharp > 0)), soft[1] + noise * 0.6]).clip(0, 1).astype(np.float32)


def inside_distance(labels: np.ndarray) -> np.ndarray:
    same = np.ones(labels.shape, bool)
    for axis in (0, 1):
        for shift in (1, -1):
            same &= np.roll(labels, shift, axis) == labels
    return np.asarray(ndimage.distance_transform_edt(same)) + 0.5


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Greatest intersection over union of each object of `one` with an object of `other`."""
    both = np.bincount(one.ravel() * (other.max() + 1) + other.ravel(), minlength=(one.max() + 1) * (other.max() + 1))
    both = both.reshape(one.max() + 1, other.max() + 1)
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    return np.asarray((both / np.maximum(union, 1))[1:, 1:].max(axis=1))


def only_inside(labels: np.ndarray) -> np.ndarray:
    """Without the objects that touch the image's edge."""
    cut = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.where(np.isin(labels, cut), 0, labels)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fibres_with_holes_clefts_and_touching_borders_are_found_once(seed: int) -> None:
    truth, maps = cells(seed)
    labels = fibre_labels(maps, UM_PER_PX, SETTINGS)
    large = np.flatnonzero(np.bincount(truth.ravel())[1:] > 300)
    assert (overlap(truth, labels)[large] > 0.8).mean() >= 0.97
    assert labels.max() <= len(large) + 3


def test_joining_repairs_fibres_split_at_clefts() -> None:
    truth, maps = cells(7)
    unjoined = fibre_labels(maps, UM_PER_PX, SETTINGS.model_copy(update={"fibre_join": 9.0, "fibre_seed": 0.6}))
    joined = fibre_labels(maps, UM_PER_PX, SETTINGS.model_copy(update={"fibre_seed": 0.6}))
    assert joined.max() < unjoined.max()
    assert (overlap(truth, joined) > 0.8).sum() > (overlap(truth, unjoined) > 0.8).sum()


def test_labels_are_consecutive_connected_whole_and_large_enough() -> None:
    labels = fibre_labels(cells(5)[1], UM_PER_PX, SETTINGS)
    assert labels.dtype == np.int32
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    for k in range(1, labels.max() + 1):
        mask = labels == k
        assert ndimage.label(mask)[1] == 1
        assert np.array_equal(ndimage.binary_fill_holes(mask, structure=np.ones((3, 3))), mask)
        assert mask.sum() * UM_PER_PX**2 >= SETTINGS.min_fibre_um2


def test_shifting_by_37_px_gives_the_same_objects() -> None:
    maps = cells(6)[1]
    whole = only_inside(fibre_labels(maps, UM_PER_PX, SETTINGS)[37:, 37:])
    shifted = only_inside(fibre_labels(maps[:, 37:, 37:], UM_PER_PX, SETTINGS))
    assert len(np.unique(whole)) > 10
    # objects cut off only by the new edge are left out of both
    assert same_objects(np.where(shifted > 0, whole, 0), shifted)


def same_objects(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.mark.parametrize("axis", [1, 2])
def test_flipping_gives_the_same_objects(axis: int) -> None:
    maps = cells(7)[1]
    flipped = np.flip(fibre_labels(np.flip(maps, axis), UM_PER_PX, SETTINGS), axis - 1)
    labels = fibre_labels(maps, UM_PER_PX, SETTINGS)
    assert flipped.max() == labels.max()
    assert (overlap(labels, flipped) > 0.99).all()


def test_maps_without_fibres_give_zeros() -> None:
    labels = fibre_labels(np.zeros((6, 20, 30), np.float32), UM_PER_PX, SETTINGS)
    assert labels.shape == (20, 30)
    assert not labels.any()


def test_a_fibre_that_fills_the_image_is_one_label() -> None:
    assert (fibre_labels(np.ones((2, 40, 40), np.float32), UM_PER_PX, SETTINGS) == 1).all()


def test_the_smallest_fibre_is_stated_in_um() -> None:
    maps = np.zeros((2, 60, 60), np.float32)
    maps[:, 20:32, 20:32] = 1  # 144 px
    assert fibre_labels(maps, 1.0, SETTINGS).max() == 1
    assert fibre_labels(maps, 0.5, SETTINGS).max() == 0

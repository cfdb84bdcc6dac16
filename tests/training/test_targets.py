import numpy as np
from scipy import ndimage

from biopsy_analyzer.training.targets import UNKNOWN, make_targets


def blobs(seed=0, shape=(90, 120), objects=25):
    """Touching objects on some background."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(0, shape, (objects, 2))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.stack([np.hypot(rows - y, columns - x) for y, x in seeds])
    return np.where(distance.min(0) < 14, distance.argmin(0) + 1, 0).astype(np.uint16)


def test_square_by_hand():
    labels = np.zeros((9, 9), np.int32)
    labels[2:7, 2:7] = 1
    targets = make_targets(labels, (labels * 3).astype(np.uint8))
    assert (targets.foreground[2:7, 2:7] == 255).all()
    assert targets.foreground.sum() == 25 * 255
    assert targets.depth[4].tolist() == [0, 0, 0, 128, 255, 128, 0, 0, 0]  # outline pixels are 0 deep, the centre is deepest
    assert (targets.classes == labels * 3).all()
    assert not targets.between.any()


def test_touching_objects_are_shallow_on_both_sides():
    labels = np.ones((10, 20), np.int32)
    labels[:, 10:] = 2
    targets = make_targets(labels, np.ones_like(labels, np.uint8))
    assert not targets.depth[:, 9:11].any()
    assert (targets.foreground == 255).all()
    assert targets.between[5].nonzero()[0].tolist() == [8, 9, 10, 11]
    assert (targets.depth[:, [0, 19]] == 255).all()  # the image's edge is no outline


def test_depth_against_each_object_by_itself():
    labels = blobs()
    depth = make_targets(labels, np.zeros_like(labels, np.uint8)).depth / 255
    grown = np.pad(labels, 1, mode="edge")
    for label in range(1, labels.max() + 1):
        own = labels == label
        alone = ndimage.binary_erosion(grown == label)[1:-1, 1:-1] & own  # 4-neighbours; the edge goes on
        if not alone.any():
            continue
        distance = ndimage.distance_transform_edt(np.where(own, alone, False))
        far = ndimage.distance_transform_edt(make_inside(labels))
        assert np.abs(depth[own] - far[own] / far[own].max()).max() < 0.05  # cv2's 5 x 5 distance is within 2 %
        assert far[own].max() <= distance[own].max() + 1e-6


def make_inside(labels):
    grown = np.pad(labels, 1, mode="edge").astype(int)
    same = [grown[1:-1, 1:-1] == np.roll(grown, shift, axis)[1:-1, 1:-1] for shift in (1, -1) for axis in (0, 1)]
    return np.logical_and.reduce(same) & (labels > 0)


def test_unknown_classes_are_not_taught():
    labels = np.repeat(np.arange(7), 4)[None].repeat(6, 0)
    codes = np.choose(labels, [0, 1, 4, 5, UNKNOWN, 0, 2]).astype(np.uint8)
    classes = make_targets(labels, codes).classes
    assert np.unique(classes[labels == 1]).tolist() == [1]
    assert np.unique(classes[labels == 2]).tolist() == [4]
    assert not classes[np.isin(labels, [0, 3, 4, 5])].any()


def test_nothing_and_everything():
    empty = make_targets(np.zeros((8, 8), np.uint16), np.zeros((8, 8), np.uint8))
    assert not any(a.any() for a in (empty.foreground, empty.depth, empty.between, empty.classes))
    full = make_targets(np.ones((8, 8), np.uint16), np.ones((8, 8), np.uint8))
    assert (full.depth == 255).all()
    single = np.zeros((5, 5), np.uint16)
    single[2, 2] = 1
    assert not make_targets(single, single.astype(np.uint8)).depth.any()

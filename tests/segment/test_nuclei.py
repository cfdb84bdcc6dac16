import numpy as np

from biopsy_analyzer.segment.nuclei import nucleus_labels
from biopsy_analyzer.settings import SegmentSettings

SETTINGS = SegmentSettings()


def ellipses(shape: tuple[int, int], *parts: tuple[float, float, float, float]) -> np.ndarray:
    """Maps of ellipses (y, x, half height, half width)."""
    y, x = np.indices(shape)
    depth = np.max([1 - np.hypot((y - cy) / a, (x - cx) / b) for cy, cx, a, b in parts], axis=0).clip(0)
    return np.stack([depth > 0, depth]).astype(np.float32)


def test_touching_nuclei_are_cut_in_equal_halves() -> None:
    maps = ellipses((40, 60), (20, 20, 8, 6), (20, 31, 8, 6))
    labels = nucleus_labels(maps, 0.5, SETTINGS)
    assert labels.max() == 2
    assert np.array_equal(labels > 0, maps[0] > 0.5)
    first, second = np.bincount(labels.ravel())[1:]
    assert first == second


def test_a_thin_nucleus_stays_and_specks_go() -> None:
    maps = ellipses((40, 60), (10, 20, 2.6, 12), (30, 10, 2.2, 2.2), (30, 40, 8, 8))
    labels = nucleus_labels(maps, 0.5, SETTINGS)
    assert labels.max() == 2
    assert labels[10, 20] == 1
    assert labels[30, 10] == 0
    assert labels[30, 40] == 2


def test_maps_without_nuclei_give_zeros() -> None:
    labels = nucleus_labels(np.zeros((6, 20, 30), np.float32), 0.5, SETTINGS)
    assert labels.dtype == np.int32
    assert not labels.any()

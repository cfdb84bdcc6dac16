import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from biopsy_analyzer.segment.clean import clean


def ring(size: int, wall: int) -> np.ndarray:
    labels = np.zeros((size + 4, size + 4), np.int32)
    labels[2:-2, 2:-2] = 1
    labels[2 + wall : -2 - wall, 2 + wall : -2 - wall] = 0
    return labels


def test_a_hole_is_filled_and_a_gap_between_two_objects_is_not() -> None:
    assert (clean(ring(10, 2), 0)[2:-2, 2:-2] == 1).all()
    shared = ring(10, 2)
    shared[:, 7:] *= 2
    assert np.array_equal(clean(shared, 0), shared)


def test_an_opening_at_the_image_edge_is_no_hole() -> None:
    cut = ring(10, 2)[:, 6:]
    assert np.array_equal(clean(cut[2:-2, :-2], 0), cut[2:-2, :-2])


@given(arrays(np.bool_, (9, 11)))
def test_holes_of_one_object_as_scipy_fills_them(mask: np.ndarray) -> None:
    expected = ndimage.binary_fill_holes(mask, structure=np.ones((3, 3)))
    assert np.array_equal(clean(mask.astype(np.int32), 0) > 0, expected)


def test_a_thin_ring_is_a_ghost_that_stays_and_its_crumb_is_eaten() -> None:
    ghost = ring(20, 2)
    ghost[10:13, 10:13] = 2
    assert (clean(ghost, 100)[2:-2, 2:-2] == 1).all()


def test_small_finds_and_slivers_are_dropped_and_the_rest_renumbered() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[1:3, :] = 1  # 120 px, 2 wide
    labels[10:14, 10:14] = 2  # 16 px
    labels[20:40, 20:40] = 3
    labels[45:59, 45:59] = 4
    cleaned = clean(labels, 100)
    assert np.array_equal(cleaned, np.where(labels >= 3, labels - 2, 0))


def test_nothing_stays_nothing() -> None:
    assert not clean(np.zeros((5, 6), np.int32), 10).any()


@given(arrays(np.int32, (12, 13), elements=st.integers(0, 3)), st.floats(0, 12))
def test_result_is_numbered_without_gaps_and_cleaning_again_changes_no_count(labels: np.ndarray, min_area: float) -> None:
    cleaned = clean(labels, min_area)
    found = np.unique(cleaned[cleaned > 0])
    assert np.array_equal(found, np.arange(1, len(found) + 1))
    assert clean(cleaned, min_area).max(initial=0) == len(found)

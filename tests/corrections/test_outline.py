"""Filling, cutting and joining on shapes whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from biopsy_analyzer.corrections.outline import cut, filled, joined, largest_piece
from biopsy_analyzer.errors import UsageError


def box(*spans: tuple[int, int, int, int], shape: tuple[int, int] = (60, 60)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for top, left, bottom, right in spans:
        mask[top:bottom, left:right] = True
    return mask


def test_a_ring_holds_the_pixels_whose_centre_is_in_it():
    np.testing.assert_array_equal(
        filled(np.array([[10.2, 20.4], [10.2, 30.4], [19.6, 30.4], [19.6, 20.4]]), (60, 60)), box((10, 20, 20, 30))
    )
    beyond = filled(np.array([[-9.0, -9], [-9, 5], [5, 5], [5, -9]]), (60, 60))
    np.testing.assert_array_equal(beyond, box((0, 0, 5, 5)))
    with pytest.raises(UsageError, match="2 points"):
        filled(np.zeros((2, 2)), (60, 60))


def test_a_straight_cut_parts_a_square_in_proportion():
    mask = box((10, 10, 50, 50))
    pieces = cut(mask, np.array([[0.0, 20.5], [59, 20.5]]), 50)
    assert len(pieces) == 2
    assert [abs(int(p.sum()) - n) <= 80 for p, n in zip(pieces, (40 * 29.5, 40 * 10.5), strict=True)] == [True, True]
    assert (pieces[0] | pieces[1])[mask].all()
    assert not (pieces[0] & pieces[1]).any()


def test_a_slanting_line_leaves_no_bridge():
    pieces = cut(box((10, 10, 50, 50)), np.array([[5.0, 8], [55, 47]]), 50)
    assert len(pieces) == 2
    assert abs(int(pieces[0].sum()) - int(pieces[1].sum())) < 250


@pytest.mark.parametrize("line", [[[0.0, 5], [60, 5]], [[20.0, 0], [20, 30]], [[0.0, 11], [60, 11]]])
def test_a_line_that_parts_nothing(line):
    """Beside the square, ending within it, and along its edge, where only a crumb comes off."""
    with pytest.raises(UsageError, match="one piece"):
        cut(box((10, 10, 50, 50)), np.array(line), 100)


def test_a_cut_through_a_horseshoe_gives_three_pieces():
    horseshoe = box((10, 10, 50, 20), (10, 40, 50, 50), (10, 10, 20, 50))
    pieces = cut(horseshoe, np.array([[30.5, 0], [30.5, 60]]), 50)
    assert len(pieces) == 3


def test_clefts_close_and_strangers_stay_apart():
    pair = box((10, 10, 30, 20), (10, 24, 30, 34))
    whole = joined(pair, ~pair, 5)
    assert whole[10:30, 20:24].mean() > 0.8
    with pytest.raises(UsageError, match="next to each other"):
        joined(pair, ~pair, 3)
    with pytest.raises(UsageError, match="next to each other"):
        joined(pair, np.zeros_like(pair), 5)  # another fibre in the cleft


def test_the_largest_piece_without_holes():
    mask = box((0, 0, 5, 5), (20, 20, 40, 40))
    mask[25:30, 25:30] = False
    np.testing.assert_array_equal(largest_piece(mask), box((20, 20, 40, 40)))
    assert not largest_piece(np.zeros((5, 5), bool)).any()

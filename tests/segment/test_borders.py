import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biopsy_analyzer.segment.borders import borders


@given(arrays(np.int32, (5, 6), elements=st.integers(0, 3)))
def test_pairs_are_those_that_a_loop_over_pixels_finds(labels: np.ndarray) -> None:
    beside = [(y * 6 + x, y * 6 + x + 1) for y in range(5) for x in range(5) if labels[y, x] != labels[y, x + 1]]
    below = [(y * 6 + x, y * 6 + x + 6) for y in range(4) for x in range(6) if labels[y, x] != labels[y + 1, x]]
    for (one, other), wanted in zip(borders(labels), (beside, below), strict=True):
        assert list(zip(one.tolist(), other.tolist(), strict=True)) == wanted


def test_one_column_has_no_neighbours_side_by_side() -> None:
    (beside, _), (below, _) = borders(np.array([[1], [2], [2]], np.int32))
    assert beside.tolist() == []
    assert below.tolist() == [0]

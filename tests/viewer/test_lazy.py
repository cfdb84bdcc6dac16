"""Lazy arrays are cut as NumPy cuts, and read no more than the window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biopsy_analyzer.viewer.lazy import LazyArray

PIXELS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


class Watched(LazyArray):
    """PIXELS; remembers which windows were asked for."""

    def __init__(self) -> None:
        super().__init__(PIXELS.shape, np.uint8)
        self.asked: list[tuple[int, int, int, int]] = []

    def window(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        assert 0 <= top < bottom <= 5
        assert 0 <= left < right <= 7
        self.asked.append((top, left, bottom, right))
        return PIXELS[top:bottom, left:right]


def cuts(size: int) -> st.SearchStrategy[Any]:
    edge = st.none() | st.integers(-size - 2, size + 2)
    return st.integers(-size, size - 1) | st.builds(slice, edge, edge, st.none() | st.integers(1, 3))


@given(st.one_of(cuts(5), st.tuples(cuts(5), cuts(7)), st.tuples(cuts(5), cuts(7), cuts(3)), st.tuples(st.just(...), cuts(3))))
def test_cut_as_numpy_cuts(key: Any) -> None:
    np.testing.assert_array_equal(Watched()[key], PIXELS[key])


def test_no_more_is_read_than_the_window() -> None:
    lazy = Watched()
    lazy[1:4:2, 3]
    assert lazy.asked == [(1, 3, 4, 4)]
    assert lazy[4:2].shape == (0, 7, 3)  # nothing to read, nothing asked
    assert len(lazy.asked) == 1
    np.testing.assert_array_equal(np.asarray(lazy), PIXELS)


@pytest.mark.parametrize("key", [5, -6, (0, 7), slice(None, None, -1)])
def test_outside_and_backwards_is_an_index_error(key: Any) -> None:
    with pytest.raises(IndexError):
        Watched()[key]

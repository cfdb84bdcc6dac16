import numpy as np
import pytest

from biopsy_analyzer.segment.blocks import Rim, cut_axis, even_edge


def test_a_cut_axis_by_hand() -> None:
    axis = cut_axis(100, 2, 8, 16, 20)
    assert axis.blocks == 2
    assert axis.cut == (0, 48, 100)  # 50 is no multiple of 8
    assert axis.read == (-16, 64, 116)
    assert axis.label == (0, 28, 100)
    assert cut_axis(100, 1, 8, 16, 20).label == (0, 100)


@pytest.mark.parametrize("blocks", [1, 2, 5, 11])
def test_an_object_of_a_margin_lies_in_every_window_whose_core_it_meets(blocks: int) -> None:
    length, margin = 1000, 60
    axis = cut_axis(length, blocks, 8, 16, margin)
    assert axis.label[0] == 0
    assert axis.label[-1] == length
    for k in range(blocks):
        first, past = max(0, axis.label[k] - margin), axis.cut[k + 1]
        for start in range(length - margin):
            if start < axis.label[k + 1] and start + margin > axis.label[k]:
                assert first <= start <= start + margin <= past


def test_more_blocks_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="can't be cut into 9 blocks"):
        cut_axis(32, 9, 8, 16, 20)


@pytest.mark.parametrize(
    ("length", "stride", "most", "edge"), [(2048, 16, 2048, 2048), (2049, 16, 2048, 1040), (1, 8, 2048, 8), (1280, 16, 1024, 640)]
)
def test_pieces_are_even(length: int, stride: int, most: int, edge: int) -> None:
    assert even_edge(length, stride, most) == edge


@pytest.mark.parametrize("axis", [0, 1])
def test_windows_are_what_the_whole_has_there(axis: int) -> None:
    whole = np.random.default_rng(0).integers(1, 200, (25, 31)).astype(np.uint8)
    shape = (25, 31, 1) if axis == 0 else (1, 25, 31)
    rim = Rim(6, shape, axis, np.uint8, 7)
    padded = np.pad(whole, ((6, 0), (6, 0)), constant_values=7)
    for top, bottom in ((0, 10), (10, 13), (13, 25)):  # one lower than the rim
        for left, right in ((0, 12), (12, 15), (15, 31)):
            window = rim.blank(bottom - top, right - left)
            rim.lay(window, left)
            plane = np.moveaxis(window, 2, 0)[0] if axis == 0 else window[0]
            plane[6:, 6:] = whole[top:bottom, left:right]
            rim.keep(window, left)
            assert np.array_equal(plane, padded[top : bottom + 6, left : right + 6])


def test_blocks_passed_over_leave_the_fill() -> None:
    rim = Rim(2, (8, 8), 0, np.uint8, 9)

    def window(at: int) -> np.ndarray:
        window = rim.blank(4, 4)
        assert (window == 9).all()
        rim.lay(window, at)
        return window

    first = window(0)
    first[2:, 2:] = 1
    rim.keep(first, 0)
    rim.pass_over(4, 4)
    assert (window(4)[:, :2] == 9).all()
    assert window(0)[:2].tolist() == [[9, 9, 1, 1, 1, 1]] * 2
    assert (window(4)[:2, 2:] == 9).all()

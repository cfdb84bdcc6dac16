"""Canvases cover the tissue and nothing else, on grids that do not depend on where the tissue starts."""

import numpy as np

from biopsy_analyzer.canvas import MARGIN_UM, in_tissue, picture_grid, slide_on, tissue_canvas, tissue_mask_of
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.tissue.mask import Tissue

SLIDE = PixelGrid((2000, 3000), 0.5)  # 1000 x 1500 um


def tissue(top: int, left: int, bottom: int, right: int) -> Tissue:
    """Tissue in that box of 4 um pixels."""
    mask = np.zeros((250, 375), bool)
    mask[top:bottom, left:right] = True
    return Tissue(mask, PixelGrid((250, 375), 4.0), float(mask.sum()) * 16e-6)


def test_the_canvas_is_the_box_and_its_margin() -> None:
    canvas = tissue_canvas(SLIDE, tissue(100, 150, 125, 200), 0.8, 16)  # y 400..500, x 600..800 um
    assert canvas.um_per_px == 0.8
    first, last = canvas.to_um(np.array([[0, 0], canvas.shape]))
    for start, stop, low, high in zip(first, last, (400, 600), (500, 800), strict=True):
        assert low - MARGIN_UM - 16 * 0.8 < start <= low - MARGIN_UM
        assert high + MARGIN_UM <= stop < high + MARGIN_UM + 0.8
        assert round(start / 0.8, 6) % 16 == 0


def test_the_canvas_ends_with_the_last_whole_pixel_of_the_slide() -> None:
    canvas = tissue_canvas(PixelGrid((1001, 1003), 0.277), tissue(0, 0, 250, 375), 0.8, 16)
    assert canvas.origin_um == (0.0, 0.0)
    assert canvas.shape == (346, 347)  # 1001 * 0.277 / 0.8 = 346.6, 1003 * 0.277 / 0.8 = 347.3


def test_glass_is_left_out() -> None:
    two = tissue(10, 10, 30, 30)
    two.mask[200:220, 300:330] = True
    canvas = tissue_canvas(SLIDE, two, 0.8, 16)
    look = tissue_mask_of(canvas, two)
    assert look.shape == canvas.rescaled(4.0).shape
    assert not look[-20:, :20].any()
    grown = (20 + 26) ** 2 + (20 + 26) * (30 + 26)  # 50 um are 13 px of 4 um to each side
    assert grown * 0.9 < look.sum() <= grown


def test_positions_beyond_the_mask_are_glass() -> None:
    found = in_tissue(tissue(0, 0, 10, 10), np.array([[0.0, 0.0], [39.9, 39.9], [40.0, 0.0], [-0.1, 5.0], [5.0, 1e6]]))
    assert found.tolist() == [True, True, False, False, False]
    assert in_tissue(tissue(0, 0, 10, 10), np.empty((0, 2))).shape == (0,)


def test_the_slide_is_known_on_the_canvas() -> None:
    canvas = tissue_canvas(SLIDE, tissue(100, 150, 125, 200), 0.8, 16)
    top, left, bottom, right = slide_on(canvas, SLIDE)
    corners = canvas.to_um(np.array([[top, left], [bottom, right]]))
    np.testing.assert_allclose(corners, [[0, 0], [1000, 1500]], atol=0.8)  # whole pixels
    assert slide_on(tissue_canvas(SLIDE, tissue(0, 0, 250, 375), 0.8, 16), SLIDE) == (0, 0, 1250, 1875)


def test_pictures_are_neither_tiny_nor_huge() -> None:
    everywhere = tissue(0, 0, 250, 375)
    assert max(picture_grid(SLIDE, everywhere).shape) == 3000
    assert max(picture_grid(SLIDE, everywhere, most_px=500).shape) == 500
    assert max(picture_grid(PixelGrid((100, 150), 0.5), everywhere, least_px=600).shape) == 600
    blank = tissue(0, 0, 0, 0)
    assert picture_grid(SLIDE, blank).shape == SLIDE.shape

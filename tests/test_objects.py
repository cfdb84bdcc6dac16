"""What a window owns, by hand."""

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.objects import find_objects
from biopsy_analyzer.segment.front import View
from biopsy_analyzer.settings import SegmentSettings
from biopsy_analyzer.stain import RUIFROK
from biopsy_analyzer.tissue.mask import Tissue

CHANNELS = ("fibre", "depth", "normal", "necrotic")


def view(labels: np.ndarray, core: tuple[tuple[int, int], tuple[int, int]], largest: int | None) -> View:
    """A window at (100, 200) of a canvas of 1000 x 1000 px of 1 um; the labels come as the first map."""
    maps = np.zeros((4, *labels.shape), np.float16)
    maps[0], maps[2] = labels, labels / 10
    rgb = np.full((*labels.shape, 3), 180, np.uint8)
    grid = PixelGrid((1000, 1000), 1.0).crop(100, 200, *labels.shape)
    return View(maps, rgb, grid, (100, 200), (1000, 1000), core, (largest, largest))


def found(window: View, mask: np.ndarray | None = None, tissue: Tissue | None = None):
    tissue = tissue or Tissue(np.ones((50, 50), bool) if mask is None else mask, PixelGrid((50, 50), 20.0), 1.0)
    return find_objects(window, CHANNELS, lambda maps, um, settings, own: maps[0].astype(np.int32), tissue, RUIFROK, SegmentSettings())


@pytest.fixture
def labels() -> np.ndarray:
    image = np.zeros((80, 80), np.int32)
    image[2:8, 30:40] = 1  # its middle lies above the core
    image[15:30, 30:40] = 2  # its middle (22) lies in it, though it begins outside
    image[40:44, 10:70] = 3  # 60 long
    image[52:66, 40:44] = 4  # its middle (59) lies in it
    return image


def test_an_object_is_owned_by_its_middle(labels: np.ndarray) -> None:
    few = found(view(labels, ((20, 60), (20, 60)), None))
    assert few.table["area_um2"].tolist() == [150.0, 240.0, 56.0]
    assert few.table["y_um"].tolist() == [122.5, 142.0, 159.0]
    assert few.first.tolist() == [[115, 230], [140, 210], [152, 240]]
    assert few.table["map_normal"].tolist() == pytest.approx([0.2, 0.3, 0.4], abs=1e-3)
    assert not few.table["touches_border"].any()
    assert sorted(np.unique(few.visible)) == [0, 1, 2, 3, 4]  # the neighbour stays, for what is measured round about
    assert len(few.table) == 3
    assert [len(ring) for ring in few.rings] == [4, 4, 4]


def test_a_large_object_is_cut_at_the_core(labels: np.ndarray) -> None:
    few = found(view(labels, ((20, 60), (20, 60)), 30))
    assert few.table["area_um2"].tolist() == [150.0, 160.0, 56.0]
    assert few.table["touches_border"].tolist() == [False, True, False]
    assert few.cut == 1
    whole = found(view(labels, ((20, 60), (0, 80)), 30))
    assert whole.table["area_um2"].tolist() == [150.0, 240.0, 56.0]  # large, but not cut
    assert whole.cut == 0


def test_what_lies_on_glass_is_dropped(labels: np.ndarray) -> None:
    mask = np.ones((50, 50), bool)
    mask[7:8] = False  # y 140..160 um
    few = found(view(labels, ((0, 80), (0, 80)), None), mask)
    assert few.table["area_um2"].tolist() == [60.0, 150.0]


def test_nothing_is_an_empty_table() -> None:
    nothing = found(view(np.zeros((80, 80), np.int32), ((0, 80), (0, 80)), None))
    assert len(nothing.table) == len(nothing.rings) == len(nothing.first) == 0
    assert nothing.table["touches_border"].dtype == bool


@pytest.mark.fault(28)
@pytest.mark.parametrize("corner", [(40, 40), (41, 43), (47, 42)])
def test_texture_does_not_depend_on_where_a_window_starts(corner: tuple[int, int]) -> None:
    """Mottling is told in squares of 2 px where pixels are small: the squares are those of the canvas."""
    y, x = corner
    labels = np.zeros((120, 120), np.int32)
    labels[y : y + 31, x : x + 25] = 1
    rgb = np.random.default_rng(0).integers(90, 230, (*labels.shape, 3)).astype(np.uint8)
    tissue = Tissue(np.ones((6, 6), bool), PixelGrid((6, 6), 10.0), 1.0)
    tables = []
    for start, core in ((0, (0, 120)), (20, (10, 100))):  # the whole canvas, and a window with another before it
        part = labels[start:, start:]
        grid = PixelGrid(labels.shape, 0.5).crop(start, start, *part.shape)
        window = View(
            np.stack([part] * 4).astype(np.float16), rgb[start:, start:], grid, (start, start), labels.shape, (core, core), (None, None)
        )
        tables.append(found(window, tissue=tissue).table)
    assert tables[0]["mottling"].item() > 0
    pd.testing.assert_frame_equal(*tables, check_exact=False, rtol=1e-9)

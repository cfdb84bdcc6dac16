from dataclasses import replace

import numpy as np
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.segment.network import load_network
from biopsy_analyzer.segment.predict import predict_maps
from biopsy_analyzer.segment.tiles import plan_tiles


class Picture:
    """An image of 0.8 um/px, read as a slide is: white outside."""

    def __init__(self, rgb):
        self.rgb = rgb

    def read(self, grid):
        top, left = (round(o / 0.8) for o in grid.origin_um)
        out = np.full((*grid.shape, 3), 255, np.uint8)
        rows = np.arange(top, top + grid.shape[0])
        columns = np.arange(left, left + grid.shape[1])
        here = (rows >= 0) & (rows < self.rgb.shape[0]), (columns >= 0) & (columns < self.rgb.shape[1])
        out[np.ix_(*here)] = self.rgb[np.ix_(rows[here[0]], columns[here[1]])]
        return out


@pytest.fixture
def network(model_folder):
    return load_network(model_folder / "fibres", "cpu")


@pytest.fixture
def picture():
    return Picture(np.random.default_rng(3).integers(0, 256, (150, 205, 3)).astype(np.uint8))


GRID = PixelGrid((150, 205), 0.8)


def test_maps_do_not_depend_on_tiling_order_or_batch(network, picture):
    whole = predict_maps(picture, GRID, plan_tiles(GRID.shape, 256, network.halo_px), network, 1)
    assert whole.std(axis=(1, 2)).min() > 0.001  # the network tells pixels apart, so equality means something
    for core, halo, batch in ((64, network.halo_px, 4), (40, network.halo_px + 8, 3), (8 * 17, network.halo_px, 1)):
        tiles = plan_tiles(GRID.shape, core, halo)
        np.random.default_rng(core).shuffle(tiles)
        np.testing.assert_allclose(predict_maps(picture, GRID, tiles, network, batch), whole, atol=2e-6)


def test_a_smaller_halo_would_show(network, picture):
    whole = predict_maps(picture, GRID, plan_tiles(GRID.shape, 256, network.halo_px), network, 1)
    thin = replace(network, halo_px=0)
    assert np.abs(predict_maps(picture, GRID, plan_tiles(GRID.shape, 40, 8), thin) - whole).max() > 1e-3


def test_shifted_by_the_stride_nothing_changes_but_the_place(network, picture):
    shifted = Picture(picture.rgb[16:, 24:])
    tiles = plan_tiles((100, 100), 64, network.halo_px)
    there = predict_maps(shifted, PixelGrid((100, 100), 0.8), tiles, network)
    here = predict_maps(picture, GRID, plan_tiles(GRID.shape, 64, network.halo_px), network)
    clear = network.halo_px  # the shifted picture has white where the other goes on
    np.testing.assert_allclose(there[:, clear:, clear:], here[:, 16 + clear : 116, 24 + clear : 124], atol=2e-6)


def test_canvas_without_tiles_is_empty(network, picture):
    maps = predict_maps(picture, GRID, [], network)
    assert maps.shape == (6, *GRID.shape)
    assert maps.dtype == np.float32
    assert not maps.any()


def test_progress_ends_with_all_tiles(network, picture):
    seen = []
    tiles = plan_tiles(GRID.shape, 64, network.halo_px)
    predict_maps(picture, GRID, tiles, network, 5, lambda *done: seen.append(done))
    assert seen == [(5, 12), (10, 12), (12, 12)]


@pytest.mark.parametrize(("core", "halo", "why"), [(64, 16, "less halo"), (60, 40, "multiple of 8"), (64, 45, "multiple of 8")])
def test_tiles_that_would_leave_seams_are_refused(network, picture, core, halo, why):
    with pytest.raises(ValueError, match=why):
        predict_maps(picture, GRID, plan_tiles(GRID.shape, core, halo), network)

from dataclasses import replace

import numpy as np
import pytest

from biopsy_analyzer.segment.network import load_network
from biopsy_analyzer.segment.predict import predict_maps
from biopsy_analyzer.segment.tiles import plan_tiles

RGB = np.random.default_rng(3).integers(0, 256, (150, 205, 3)).astype(np.uint8)
BLOCK = (0, 0, 150, 205)


@pytest.fixture
def network(model_folder):
    return load_network(model_folder / "fibres", "cpu", "float32")


def maps_of(network, tiles, rgb=RGB, at=(0, 0), batch=1, shape=BLOCK[2:]):
    maps = np.zeros((len(network.channels), *shape), np.float32)
    predict_maps(rgb, at, tiles, network, batch, maps, (0, 0))
    return maps


@pytest.mark.fault(28)
def test_maps_do_not_depend_on_tiling_order_or_batch(network):
    whole = maps_of(network, plan_tiles(BLOCK, (256, 256), network.halo_px))
    assert whole.std(axis=(1, 2)).min() > 0.001  # the network tells pixels apart, so equality means something
    for core, halo, batch in (((64, 64), network.halo_px, 4), ((40, 72), network.halo_px + 8, 3), ((8 * 17, 24), network.halo_px, 1)):
        tiles = plan_tiles(BLOCK, core, halo)
        np.random.default_rng(core[0]).shuffle(tiles)
        found = maps_of(network, tiles, batch=batch)
        np.testing.assert_allclose(found, whole, atol=5e-4)  # a step of float16: sums may run in another order
        assert (found == whole).mean() > 0.999


def test_a_smaller_halo_would_show(network):
    whole = maps_of(network, plan_tiles(BLOCK, (256, 256), network.halo_px))
    thin = replace(network, halo_px=0)
    assert np.abs(maps_of(thin, plan_tiles(BLOCK, (40, 40), 8)) - whole).max() > 1e-3


def test_shifted_by_the_stride_nothing_changes_but_the_place(network):
    tiles = plan_tiles((0, 0, 100, 100), (64, 64), network.halo_px)
    there = maps_of(network, tiles, RGB[16:, 24:], shape=(100, 100))
    here = maps_of(network, plan_tiles(BLOCK, (64, 64), network.halo_px))
    clear = network.halo_px  # the shifted picture has white where the other goes on
    np.testing.assert_allclose(there[:, clear:, clear:], here[:, 16 + clear : 116, 24 + clear : 124], atol=2e-6)


def test_pixels_and_maps_may_start_anywhere(network):
    whole = maps_of(network, plan_tiles(BLOCK, (256, 256), network.halo_px))
    maps = np.full((6, 64, 80), 5, np.float16)
    tiles = plan_tiles((48, 64, 40, 72), (40, 40), network.halo_px)
    predict_maps(RGB[2:, 3:], (2, 3), tiles, network, 2, maps, (40, 64))
    np.testing.assert_allclose(maps[:, 8:48, :72], whole[:, 48:88, 64:136], atol=1e-3)
    assert (maps[:, :8] == 5).all()
    assert (maps[:, :, 72:] == 5).all()


@pytest.mark.parametrize(("core", "halo", "why"), [(64, 16, "less halo"), (60, 40, "multiple of 8"), (64, 45, "multiple of 8")])
def test_tiles_that_would_leave_seams_are_refused(network, core, halo, why):
    with pytest.raises(ValueError, match=why):
        maps_of(network, plan_tiles(BLOCK, (core, core), halo))

import numpy as np
import pytest

from biopsy_analyzer.segment.tiles import plan_tiles


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (65, 127), (200, 30)])
def test_cores_cover_the_canvas_once(shape):
    covered = np.zeros(shape, int)
    for tile in plan_tiles(shape, core_px=64, halo_px=16):
        top, left, height, width = tile.core
        covered[top : top + height, left : left + width] += 1
    assert (covered == 1).all()


def test_padded_boxes_are_of_one_size_and_hold_core_and_halo():
    tiles = plan_tiles((100, 150), core_px=64, halo_px=16)
    assert [tile.core for tile in tiles] == [
        (0, 0, 64, 64), (0, 64, 64, 64), (0, 128, 64, 22), (64, 0, 36, 64), (64, 64, 36, 64), (64, 128, 36, 22),
    ]  # fmt: skip
    assert tiles[-1].padded == (48, 112, 96, 96)
    assert tiles[0].padded == (-16, -16, 96, 96)
    assert {tile.padded[2:] for tile in tiles} == {(96, 96)}


def test_keep_leaves_out_tiles_without_tissue():
    rng = np.random.default_rng(0)
    keep = rng.random((37, 29)) < 0.01
    shape = (370, 290)
    fine = np.kron(keep, np.ones((10, 10), bool))  # the same mask at the canvas' own resolution
    expected = [t for t in plan_tiles(shape, 32, 8) if fine[t.core[0] : t.core[0] + t.core[2], t.core[1] : t.core[1] + t.core[3]].any()]
    assert plan_tiles(shape, 32, 8, keep) == expected
    assert 0 < len(expected) < len(plan_tiles(shape, 32, 8))


def test_nothing_to_do():
    assert plan_tiles((0, 50), 32, 8) == []
    assert plan_tiles((50, 50), 32, 8, np.zeros((5, 5), bool)) == []


@pytest.mark.parametrize(("core", "halo"), [(0, 8), (32, -1)])
def test_impossible_sizes(core, halo):
    with pytest.raises(ValueError, match="core_px"):
        plan_tiles((50, 50), core, halo)

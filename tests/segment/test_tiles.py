import numpy as np
import pytest

from biopsy_analyzer.segment.tiles import Mask, Tile, plan_tiles, trimmed


@pytest.mark.parametrize("block", [(0, 0, 100, 130), (64, -32, 33, 1), (0, 16, 32, 64)])
def test_cores_cover_the_block_once(block: tuple[int, int, int, int]) -> None:
    top, left, height, width = block
    seen = np.zeros((height, width), int)
    for tile in plan_tiles(block, (32, 48), 8):
        y, x, h, w = tile.core
        seen[y - top : y - top + h, x - left : x - left + w] += 1
        assert tile.padded == (y - 8, x - 8, 48, 64)
        assert ((y - top) % 32, (x - left) % 48) == (0, 0)
    assert (seen == 1).all()


def test_trimmed_by_hand() -> None:
    (tile,) = plan_tiles((8, 16, 90, 128), (96, 128), 8)
    assert trimmed(tile, (45, 50, 10, 20), 16, 8) == Tile((40, 48, 16, 32), (32, 40, 32, 48))
    assert trimmed(tile, (90, 20, 8, 120), 16, 8) == Tile((88, 16, 10, 128), (80, 8, 32, 144))  # a core that was cut off stays so
    assert trimmed(tile, tile.core, 16, 8) == tile
    assert trimmed(tile, tile.core, 56, 8) == tile  # never larger, whatever the step


def test_what_counts_within_a_box() -> None:
    keep = np.zeros((3, 4), bool)
    keep[1, 1:3] = True  # rows 10..20 of 30, columns 10..30 of 40
    mask = Mask(keep, (30, 40))
    assert mask.around((0, 0, 30, 40)) == (10, 10, 10, 20)
    assert mask.around((12, -5, 50, 20)) == (12, 10, 8, 5)


def test_an_empty_block_has_no_tiles() -> None:
    assert plan_tiles((5, 5, 0, 10), (32, 32), 8) == []


@pytest.mark.parametrize(("core", "halo"), [((0, 8), 8), ((8, 8), -1)])
def test_tiles_without_core_or_with_negative_halo_are_refused(core: tuple[int, int], halo: int) -> None:
    with pytest.raises(ValueError, match="core_px must be"):
        plan_tiles((0, 0, 10, 10), core, halo)


def test_a_coarse_mask_on_the_canvas() -> None:
    keep = np.zeros((3, 4), bool)
    keep[1, 2] = True  # rows 10..20 of 30, columns 20..30 of 40
    mask = Mask(keep, (30, 40))
    assert mask.any((19, 29, 5, 5))
    assert mask.any((-10, -10, 21, 31))
    assert not mask.any((20, 20, 10, 10))
    assert not mask.any((10, 30, 10, 10))
    assert not mask.any((40, 50, 5, 5))
    assert not mask.any((-9, 0, 5, 40))
    whole = mask.pixels((0, 0, 30, 40))
    assert whole.sum() == 100
    assert whole[10:20, 20:30].all()
    assert np.array_equal(mask.pixels((5, 15, 12, 20)), whole[5:17, 15:35])

import numpy as np
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.segment import front
from biopsy_analyzer.segment.front import Front, _mirror
from sections import ColourNetwork


class Blur(ColourNetwork):
    """The first map is the mean red of the 33 x 33 px around, so that halos and mirrors show; the others are 0."""

    def __init__(self) -> None:
        super().__init__("fibres", 1.0, 16)

    def maps(self, rgb: np.ndarray, leave: int = 0) -> np.ndarray:
        red = np.pad(rgb[..., 0].astype(np.float64), ((0, 0), (17, 16), (17, 16)))
        total = red.cumsum(1).cumsum(2)
        mean = (total[:, 33:, 33:] - total[:, :-33, 33:] - total[:, 33:, :-33] + total[:, :-33, :-33]) / 33**2
        out = np.zeros((len(rgb), 6, *rgb.shape[1:3]), np.float32)
        out[:, 0] = mean / 255
        return out[:, :, leave : rgb.shape[1] - leave, leave : rgb.shape[2] - leave]


RGB = np.random.default_rng(5).integers(0, 256, (230, 310, 3)).astype(np.uint8)


def walked(blocks: tuple[int, int], look: np.ndarray, size: tuple[int, int] = (230, 310), further: float = 0.0) -> np.ndarray:
    """Maps of the whole canvas, from the cores of all windows."""
    canvas = PixelGrid(size, 1.0)
    walk = Front(Blur(), canvas, (0, 0, *size), look, blocks, 30.0)  # type: ignore[arg-type]
    walk.read_further((walk.read_ends(0) + further, walk.read_ends(1) + further))
    maps = np.full(size, np.nan)
    told = 0

    def tell(tiles: int) -> None:
        nonlocal told
        told += tiles

    for i in range(blocks[0]):
        for j in range(blocks[1]):
            if not walk.needed(i, j):
                walk.pass_over(i, j)
                continue
            rgb = walk.blank(i, j)
            for top, left, height, width in walk.cells(i, j):
                part = np.full((height, width, 3), 255, np.uint8)
                y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + height, size[0]), min(left + width, size[1])
                part[y0 - top : y1 - top, x0 - left : x1 - left] = RGB[: size[0], : size[1]][y0:y1, x0:x1]
                walk.paste(rgb, i, j, (top, left, height, width), part)
            view = walk.view(i, j, rgb, tell)
            (y0, y1), (x0, x1) = view.core
            there = np.s_[view.at[0] + y0 : view.at[0] + y1, view.at[1] + x0 : view.at[1] + x1]
            maps[there] = view.maps[0, y0:y1, x0:x1]
            seen = look.repeat(-(-size[0] // look.shape[0]), 0).repeat(-(-size[1] // look.shape[1]), 1)[: size[0], : size[1]][there]
            assert np.array_equal(view.rgb[y0:y1, x0:x1][seen], RGB[: size[0], : size[1]][there][seen])
    assert told == sum(len(walk.tiles(i, j)) for i in range(blocks[0]) for j in range(blocks[1]))
    return maps


def expected(size: tuple[int, int] = (230, 310)) -> np.ndarray:
    rgb = RGB[: size[0], : size[1]]
    return Blur().maps(np.pad(rgb, ((16, 16), (16, 16), (0, 0)), mode="symmetric")[None])[0, 0, 16:-16, 16:-16]


@pytest.mark.parametrize("blocks", [(1, 1), (2, 3), (5, 1), (4, 7)])
def test_beyond_the_slide_lies_its_mirror_image_and_blocks_do_not_show(blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "MOST_TILE_PX", 48)
    monkeypatch.setattr(front, "CELL_UM", 37.0)
    np.testing.assert_allclose(walked(blocks, np.ones((23, 31), bool)), expected(), atol=1e-3)


def test_a_slide_smaller_than_the_halo_is_mirrored_again_and_again() -> None:
    np.testing.assert_allclose(walked((1, 1), np.ones((1, 1), bool), (5, 40)), expected((5, 40)), atol=1e-3)


def test_glass_is_neither_read_nor_shown_to_the_network() -> None:
    look = np.zeros((23, 31), bool)
    look[2:6, 3:7] = look[15:20, 22:28] = True
    maps = walked((4, 5), look)
    seen = look.repeat(10, 0).repeat(10, 1)
    np.testing.assert_allclose(maps[seen], expected()[seen], atol=1e-3)
    assert np.nan_to_num(maps[~seen]).max() == 0
    assert np.isnan(maps).any()  # some blocks were passed over


def test_the_network_is_shown_no_more_than_there_is_to_look_at_but_on_a_gpu() -> None:
    look = np.zeros((40, 60), bool)
    look[5:15, 30:50] = True  # rows 50..150, columns 300..500 of one block

    def shown(device: str) -> tuple[tuple[int, ...], ...]:
        network = Blur()
        network.device = device
        walk = Front(network, PixelGrid((400, 600), 1.0), (0, 0, 400, 600), look, (1, 1), 30.0)  # type: ignore[arg-type]
        (tile,) = walk.tiles(0, 0)
        return tile.core, tile.padded

    assert front.TRIM_STRIDES * Blur().stride == 64
    assert shown("cpu") == ((0, 256, 192, 256), (-16, 240, 224, 288))
    assert shown("cuda") == ((0, 0, 400, 600), (-16, -16, 432, 632))


def test_mirrored_by_hand() -> None:
    row = np.arange(8, dtype=np.uint8)[None, :, None].repeat(3, 2)  # numbers 10..17, of which 12..14 lie inside
    _mirror(row, 1, 10, (12, 15), 11)
    assert row[0, :, 0].tolist() == [0, 2, 2, 3, 4, 4, 3, 2]


def test_reading_farther_than_needed_changes_nothing() -> None:
    canvas, look = PixelGrid((230, 310), 1.0), np.ones((23, 31), bool)
    walk = Front(Blur(), canvas, (0, 0, 230, 310), look, (2, 3), 30.0)  # type: ignore[arg-type]
    ends = [walk.read_ends(axis) for axis in (0, 1)]
    walk.read_further((ends[0] + 9.5, ends[1] - 5))
    assert walk.read_ends(0).tolist() == (ends[0] + 9).tolist()  # whole pixels, no farther than asked for
    assert walk.read_ends(1).tolist() == ends[1].tolist()
    assert np.allclose(walked((2, 3), look, further=40.0), expected(), atol=1e-3)

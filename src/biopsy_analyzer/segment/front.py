"""One network's walk over the tissue: what each block reads, its maps, and the window in which its objects are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.segment.blocks import Rim, cut_axis, even_edge, read_further
from biopsy_analyzer.segment.predict import predict_maps
from biopsy_analyzer.segment.tiles import Box, Mask, Tile, plan_tiles, trimmed

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import Network

MOST_TILE_PX = 1536  # the halo costs less in larger tiles, memory more
CELL_UM = 512.0  # read at once
TRIM_STRIDES = 8  # tiles are trimmed by this many strides at once, as each new shape costs a preparation
GPU_BATCH = 4  # tiles at once; a CPU gains nothing from more than one


@dataclass(frozen=True)
class View:
    """A block's window, ready to be labelled.

    maps, rgb  float16 (C, h, w) and uint8 (h, w, 3) on `grid`
    at         where the window starts on the canvas, px, of which `canvas` is the shape
    core       (top, bottom), (left, right) in px of the window: objects whose box has its middle there are this block's
    largest    px; longer objects may not lie in the window as a whole: along an axis of one block there are none (None)
    """

    maps: np.ndarray
    rgb: np.ndarray
    grid: PixelGrid
    at: tuple[int, int]
    canvas: tuple[int, int]
    core: tuple[tuple[int, int], tuple[int, int]]
    largest: tuple[int | None, int | None]


class Front:
    """The state of one network's walk over `canvas`, block by block in raster order.

    slide    (top, left, bottom, right) of the slide in px of the canvas: beyond, the network sees the slide mirrored, as in training
    look     bool (h, w), the canvas in coarse pixels: where the network looks; elsewhere its maps are 0
    blocks   how many along y and x
    largest  um; the largest objects that are sure to be found as a whole
    """

    def __init__(
        self, network: Network, canvas: PixelGrid, slide: Box, look: np.ndarray, blocks: tuple[int, int], largest_um: float
    ) -> None:
        self.network, self.canvas = network, canvas
        self._slide = slide
        self._margin = 2 * round(largest_um / canvas.um_per_px / 2)  # windows start on even pixels
        self._axes = [cut_axis(n, k, network.stride, network.halo_px, self._margin) for n, k in zip(canvas.shape, blocks, strict=True)]
        self._look = Mask(look, canvas.shape)
        reach = -(-network.halo_px * look.shape[0] // canvas.shape[0]) + 1
        self._need = Mask(ndimage.maximum_filter(look, size=2 * reach + 1), canvas.shape)  # beyond, no pixel can change a map
        longest = (max(b - a for a, b in pairwise(axis.cut)) for axis in self._axes)
        height, width = (even_edge(n, network.stride, MOST_TILE_PX) for n in longest)
        self._tile = height, width
        self.read_further(((0,) * (blocks[0] - 1), (0,) * (blocks[1] - 1)))
        self._maps = Rim(2 * self._margin, (len(network.channels), *canvas.shape), 1, np.float16, 0)

    def read_ends(self, axis: int) -> np.ndarray:
        """Up to where the blocks but for the last are read along an axis, um on the slide."""
        ends = np.array(self._axes[axis].read[1:-1], np.float64)
        return ends * self.canvas.um_per_px + self.canvas.origin_um[axis]

    def read_further(self, to_um: tuple[Sequence[float], Sequence[float]]) -> None:
        """Read the blocks up to `to_um` (um on the slide, along y and x) where that is farther; to be called before the walk."""
        to = [
            [int((end - start) / self.canvas.um_per_px + 1e-6) for end in ends]
            for ends, start in zip(to_um, self.canvas.origin_um, strict=True)
        ]
        self._axes = [read_further(axis, ends) for axis, ends in zip(self._axes, to, strict=True)]
        ahead = max(read - cut for axis in self._axes for read, cut in zip(axis.read[1:], axis.cut[1:], strict=True))
        self._rim = 2 * self._margin + ahead
        self._rgb = Rim(self._rim, (self.canvas.shape[0], self.canvas.shape[1] + 2 * self.network.halo_px, 3), 0, np.uint8, 255)

    def tiles(self, i: int, j: int) -> list[Tile]:
        """The tiles of a block in which there is something to look at, on a CPU no larger than that: a GPU's batches are of one shape."""
        tiles = [tile for tile in plan_tiles(self._box("cut", i, j), self._tile, self.network.halo_px) if self._look.any(tile.core)]
        if self.network.device == "cuda":
            return tiles
        step = TRIM_STRIDES * self.network.stride
        return [trimmed(tile, self._look.around(tile.core), step, self.network.halo_px) for tile in tiles]

    def needed(self, i: int, j: int) -> bool:
        """Whether a block has to be read or labelled; if not, `pass_over` it."""
        top, left, height, width = self._box("read", i, j)
        return self._need.any((top - self._rim, left - self._rim, height + self._rim, width + self._rim))

    def pass_over(self, i: int, j: int) -> None:
        """Leave out a block of glass."""
        for rim, stage in ((self._rgb, "read"), (self._maps, "cut")):
            _, left, _, width = self._box(stage, i, j)
            rim.pass_over(width, left - getattr(self._axes[1], stage)[0])

    def cells(self, i: int, j: int) -> list[Box]:
        """What a block reads, in pieces of the canvas, column by column: what the next block needs again was read last."""
        top, left, height, width = self._box("read", i, j)
        edges = []
        for start, length in ((top, height), (left, width)):
            n = max(1, round(length * self.canvas.um_per_px / CELL_UM))
            edges.append([start + round(k * length / n) for k in range(n + 1)])
        boxes = [(y, x, y_end - y, x_end - x) for x, x_end in pairwise(edges[1]) for y, y_end in pairwise(edges[0])]
        return [box for box in boxes if self._need.any(box)]

    def blank(self, i: int, j: int) -> np.ndarray:
        """White to read the cells of a block into: see `paste`."""
        return self._rgb.blank(*self._box("read", i, j)[2:])

    def paste(self, rgb: np.ndarray, i: int, j: int, cell: Box, pixels: np.ndarray) -> None:
        """Lay a cell's pixels into a block's `blank`."""
        top, left = (start - self._rim for start in self._box("read", i, j)[:2])
        rgb[cell[0] - top : cell[0] - top + cell[2], cell[1] - left : cell[1] - left + cell[3]] = pixels

    def view(self, i: int, j: int, pixels: np.ndarray, done: Callable[[int], None]) -> View:
        """Run the network on a block, whose `blank` with all its cells is `pixels`; `done` is told the number of tiles.

        Blocks come in raster order.
        """
        (read_top, read_left, _, _), (top, left, height, width) = self._box("read", i, j), self._box("cut", i, j)
        at = read_left + self.network.halo_px
        self._rgb.lay(pixels, at)
        for axis, start in enumerate((read_top, read_left)):
            _mirror(pixels, axis, start - self._rim, (self._slide[axis], self._slide[axis + 2]), start)
        self._rgb.keep(pixels, at)
        rim = 2 * self._margin
        maps = self._maps.blank(height, width)
        self._maps.lay(maps, left)
        tiles, batch = self.tiles(i, j), GPU_BATCH if self.network.device == "cuda" else 1
        for start in range(0, len(tiles), batch):
            some = tiles[start : start + batch]
            origin = (read_top - self._rim, read_left - self._rim)
            predict_maps(pixels, origin, some, self.network, batch, maps, (top - rim, left - rim))
            done(len(some))
        for tile in tiles:
            self._hide(maps, (top - rim, left - rim), tile.core)
        self._maps.keep(maps, left)
        return self._window(i, j, maps, pixels)

    def _hide(self, maps: np.ndarray, at: tuple[int, int], core: Box) -> None:
        """0 where the network doesn't look, so that nothing depends on where tiles end."""
        if not self._look.all(core):
            y, x = core[0] - at[0], core[1] - at[1]
            np.copyto(maps[:, y : y + core[2], x : x + core[3]], 0, where=~self._look.pixels(core))

    def _window(self, i: int, j: int, maps: np.ndarray, pixels: np.ndarray) -> View:
        start, core, spans = [], [], []
        for axis, k in zip(self._axes, (i, j), strict=True):
            first = max(0, axis.label[k] - self._margin)
            spans.append((first - (axis.cut[k] - 2 * self._margin), first - (axis.read[k] - self._rim), axis.cut[k + 1] - first))
            core.append((axis.label[k] - first, axis.label[k + 1] - first))
            start.append(first)
        (y, v, height), (x, u, width) = spans
        return View(
            maps=maps[:, y : y + height, x : x + width],
            rgb=pixels[v : v + height, u : u + width],
            grid=self.canvas.crop(start[0], start[1], height, width),
            at=(start[0], start[1]),
            canvas=self.canvas.shape,
            core=(core[0], core[1]),
            largest=(self._largest(0), self._largest(1)),
        )

    def _largest(self, axis: int) -> int | None:
        return self._margin if self._axes[axis].blocks > 1 else None

    def _box(self, stage: str, i: int, j: int) -> Box:
        (top, bottom), (left, right) = (getattr(axis, stage)[k : k + 2] for axis, k in zip(self._axes, (i, j), strict=True))
        return top, left, bottom - top, right - left


def _mirror(pixels: np.ndarray, axis: int, start: int, inside: tuple[int, int], since: int) -> None:
    """Fill what lies outside `inside` along an axis with what lies inside, mirrored at its ends as often as it takes.

    The first row or column of `pixels` (H, W, 3) is number `start`; those before `since` are left alone.
    """
    low, high = inside
    number = start + np.arange(pixels.shape[axis])
    outside = (number >= since) & ((number < low) | (number >= high))
    if outside.any():
        turned = (number[outside] - low) % (2 * (high - low))
        source = low + np.minimum(turned, 2 * (high - low) - 1 - turned) - start
        along = np.moveaxis(pixels, axis, 0)
        along[outside] = along[source]

"""Where a block is cut for the network: integers only, no pixels.

+-----------------+
|  halo           |   padded  what is shown to the network: core and halo, always of one size
|   +---------+   |   core    what is kept; cores cover the block once and never overlap
|   |  core   |   |
|   +---------+   |   A halo of at least the network's receptive field makes a core's maps independent of the tiling;
|                 |   cores that start at multiples of the network's stride keep its pooling phases in step.
+-----------------+
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int, int]
"""top, left, height, width in px."""


@dataclass(frozen=True)
class Tile:
    """One piece of a block; `padded` may reach outside it, `core` never does."""

    core: Box
    padded: Box


def plan_tiles(block: Box, core_px: tuple[int, int], halo_px: int) -> list[Tile]:
    """Tiles whose cores cover `block` once, row by row.

    Cores start at multiples of `core_px` (height, width) from the block's corner; at its lower and right edge they are cut off, while
    `padded` keeps its size. An empty block gives no tiles. ValueError when core_px < 1 or halo_px < 0.
    """
    if min(core_px) < 1 or halo_px < 0:
        raise ValueError(f"core_px must be at least 1 and halo_px at least 0, not {core_px} and {halo_px}")
    first_row, first_column, height, width = block
    tiles = []
    for top in range(first_row, first_row + height, core_px[0]):
        for left in range(first_column, first_column + width, core_px[1]):
            core = (top, left, min(core_px[0], first_row + height - top), min(core_px[1], first_column + width - left))
            tiles.append(Tile(core, (top - halo_px, left - halo_px, core_px[0] + 2 * halo_px, core_px[1] + 2 * halo_px)))
    return tiles


def trimmed(tile: Tile, wanted: Box, step: int, halo_px: int) -> Tile:
    """The part of a tile round `wanted`, which lies in its core: cut in multiples of `step` px from the core's corner."""
    spans = []
    for start, length, first, n in zip(tile.core[:2], tile.core[2:], wanted[:2], wanted[2:], strict=True):
        low = start + (first - start) // step * step
        spans.append((low, min(-(-(first + n - low) // step) * step, start + length - low)))
    (top, height), (left, width) = spans
    padded = [min(-(-n // step) * step, most - 2 * halo_px) + 2 * halo_px for n, most in zip((height, width), tile.padded[2:], strict=True)]
    return Tile((top, left, height, width), (top - halo_px, left - halo_px, padded[0], padded[1]))


@dataclass(frozen=True)
class Mask:
    """Which pixels of a canvas of `shape` count, as a coarser mask `keep` (h, w) bool of the same area."""

    keep: np.ndarray
    shape: tuple[int, int]

    def any(self, box: Box) -> bool:
        """Whether a pixel of `keep` that counts lies at least partly in `box`, which may reach beyond the canvas."""
        return bool(self.keep[self._under(box)].any())

    def all(self, box: Box) -> bool:
        """Whether all pixels of `keep` that lie at least partly in `box`, which lies in the canvas, count."""
        return bool(self.keep[self._under(box)].all())

    def around(self, box: Box) -> Box:
        """The smallest part of `box` that holds all of it that counts, where there is something (see `any`)."""
        bounds = self._under(box)
        spans = []
        for axis, (start, length, size, n) in enumerate(zip(box[:2], box[2:], self.shape, self.keep.shape, strict=True)):
            at = np.flatnonzero(self.keep[bounds].any(axis=1 - axis)) + bounds[axis].start
            low, high = max(start, int(at[0]) * size // n), min(start + length, -(-int(at[-1] + 1) * size // n))
            spans.append((low, high - low))
        (top, height), (left, width) = spans
        return top, left, height, width

    def _under(self, box: Box) -> tuple[slice, slice]:
        bounds = []
        for start, length, size, n in zip(box[:2], box[2:], self.shape, self.keep.shape, strict=True):
            low, high = max(start, 0), min(start + length, size)
            bounds.append(slice(low * n // size, max(-(-high * n // size), 0)) if low < high else slice(0))
        return bounds[0], bounds[1]

    def pixels(self, box: Box) -> np.ndarray:
        """The mask in the pixels of `box`, which lies in the canvas: bool (height, width), each by its centre."""
        rows, columns = (
            ((np.arange(start, start + length) + 0.5) * n / size).astype(np.intp)
            for start, length, size, n in zip(box[:2], box[2:], self.shape, self.keep.shape, strict=True)
        )
        return self.keep[np.ix_(rows, columns)]

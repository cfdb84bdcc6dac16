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


@dataclass(frozen=True)
class Mask:
    """Which pixels of a canvas of `shape` count, as a coarser mask `keep` (h, w) bool of the same area."""

    keep: np.ndarray
    shape: tuple[int, int]

    def any(self, box: Box) -> bool:
        """Whether a pixel of `keep` that counts lies at least partly in `box`, which may reach beyond the canvas."""
        bounds = []
        for start, length, size, n in zip(box[:2], box[2:], self.shape, self.keep.shape, strict=True):
            low, high = max(start, 0), min(start + length, size)
            bounds.append(slice(low * n // size, max(-(-high * n // size), 0)) if low < high else slice(0))
        return bool(self.keep[tuple(bounds)].any())

    def pixels(self, box: Box) -> np.ndarray:
        """The mask in the pixels of `box`, which lies in the canvas: bool (height, width), each by its centre."""
        rows, columns = (
            ((np.arange(start, start + length) + 0.5) * n / size).astype(np.intp)
            for start, length, size, n in zip(box[:2], box[2:], self.shape, self.keep.shape, strict=True)
        )
        return self.keep[np.ix_(rows, columns)]

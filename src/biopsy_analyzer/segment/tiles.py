"""Where a canvas is cut for the network: integers only, no pixels.

+-----------------+
|  halo           |   padded  what is read and shown to the network: core and halo, always of one size
|   +---------+   |   core    what is kept; cores cover the canvas once and never overlap
|   |  core   |   |
|   +---------+   |   A halo of at least the network's receptive field makes a core's maps independent of the tiling;
|                 |   cores that start at multiples of the network's stride keep its pooling phases in step.
+-----------------+
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int, int]
"""top, left, height, width in px of the canvas."""


@dataclass(frozen=True)
class Tile:
    """One piece of the canvas; `padded` may reach outside it, `core` never does."""

    core: Box
    padded: Box


def plan_tiles(shape: tuple[int, int], core_px: int, halo_px: int, keep: np.ndarray | None = None) -> list[Tile]:
    """Tiles whose cores cover a canvas of `shape` (height, width in px) once, row by row.

    Cores start at multiples of `core_px`; at the lower and right edge they are cut off, while `padded` keeps its size.
    `keep` (h, w) bool is a mask of the same area at any resolution: a tile whose core covers none of it is left out.
    An empty canvas or mask gives no tiles. ValueError when core_px < 1 or halo_px < 0.
    """
    if core_px < 1 or halo_px < 0:
        raise ValueError(f"core_px must be at least 1 and halo_px at least 0, not {core_px} and {halo_px}")
    height, width = shape
    edge = core_px + 2 * halo_px
    tiles = []
    for top in range(0, height, core_px):
        for left in range(0, width, core_px):
            core = (top, left, min(core_px, height - top), min(core_px, width - left))
            if keep is None or _covers(core, shape, keep):
                tiles.append(Tile(core, (top - halo_px, left - halo_px, edge, edge)))
    return tiles


def _covers(core: Box, shape: tuple[int, int], keep: np.ndarray) -> bool:
    """Whether any pixel of the mask `keep` lies at least partly in `core`."""
    top, left, height, width = core
    rows = slice(top * keep.shape[0] // shape[0], -(-(top + height) * keep.shape[0] // shape[0]))
    columns = slice(left * keep.shape[1] // shape[1], -(-(left + width) * keep.shape[1] // shape[1]))
    return bool(keep[rows, columns].any())

"""A network's maps of a whole canvas, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.segment.tiles import Tile

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import Network


class Reader(Protocol):
    """What is needed of a slide."""

    def read(self, grid: PixelGrid) -> np.ndarray: ...


def predict_maps(
    slide: Reader,
    grid: PixelGrid,
    tiles: Sequence[Tile],
    network: Network,
    batch_size: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Maps float32 (C, H, W) in 0..1 of the canvas `grid`; 0 where no tile's core lies.

    Each tile's padded box is read (white outside the slide) and only its core is kept: the halo is at least the network's
    receptive field, so the maps depend neither on tile size nor order (beyond the last bits of float32), and nothing is
    blended. Batches are filled up with white so that the network sees one shape only. `progress` is called with (tiles done, all tiles).
    ValueError when a tile's halo is too small or off the network's stride.
    """
    maps = np.zeros((len(network.channels), *grid.shape), np.float32)
    for start in range(0, len(tiles), batch_size):
        some = tiles[start : start + batch_size]
        batch = np.full((batch_size, *some[0].padded[2:], 3), 255, np.uint8)
        for pixels, tile in zip(batch, some, strict=False):
            _check(tile, network)
            pixels[...] = slide.read(grid.crop(*tile.padded))
        for found, tile in zip(network.maps(batch), some, strict=False):
            (top, left, height, width), (from_top, from_left) = tile.core, _offset(tile)
            maps[:, top : top + height, left : left + width] = found[:, from_top : from_top + height, from_left : from_left + width]
        if progress:
            progress(start + len(some), len(tiles))
    return maps


def _offset(tile: Tile) -> tuple[int, int]:
    return tile.core[0] - tile.padded[0], tile.core[1] - tile.padded[1]


def _check(tile: Tile, network: Network) -> None:
    after = [tile.padded[i] + tile.padded[i + 2] - tile.core[i] - tile.core[i + 2] for i in (0, 1)]
    if min(*_offset(tile), *after) < network.halo_px:
        raise ValueError(f"tile {tile} has less halo than the {network.halo_px} px that network {network.name} needs")
    if any(n % network.stride for n in (*tile.padded[:2], *tile.core[:2])):
        raise ValueError(f"tile {tile} does not start at a multiple of {network.stride} px, the stride of network {network.name}")

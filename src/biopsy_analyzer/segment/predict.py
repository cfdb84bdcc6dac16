"""A network's maps of a block, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from biopsy_analyzer.segment.tiles import Box, Tile

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import Network


def predict_maps(
    rgb: np.ndarray, at: tuple[int, int], tiles: Sequence[Tile], network: Network, batch_size: int, out: np.ndarray, out_at: tuple[int, int]
) -> None:
    """Fill the tiles' cores in `out`, (C, H, W) of any float type, with the network's maps, 0..1; the rest of it stays as it is.

    rgb uint8 (h, w, 3) starts at pixel `at` (y, x), `out` at `out_at`, both counted as the tiles are. What a tile's padded box lacks in
    `rgb` is white. Only cores are kept: the halo is at least the network's receptive field, so the maps depend neither on tile size nor
    order (beyond the last bits), and nothing is blended. Batches are filled up with white, so that the network sees one shape only.
    ValueError when a tile's halo is too small or off the network's stride.
    """
    for tile in tiles:
        _check(tile, network)
    for start in range(0, len(tiles), batch_size):
        some = tiles[start : start + batch_size]
        shown = [_cut(rgb, at, tile.padded) for tile in some]
        shown += [np.full_like(shown[0], 255)] * (batch_size - len(some))
        batch = np.stack(shown) if batch_size > 1 else shown[0][None]
        for found, tile in zip(network.maps(batch, network.halo_px), some, strict=False):
            top, left, height, width = tile.core
            down, right = (offset - network.halo_px for offset in _offset(tile))
            rows, columns = (slice(a - b, a - b + n) for a, b, n in zip((top, left), out_at, (height, width), strict=True))
            out[:, rows, columns] = found[:, down : down + height, right : right + width]


def _cut(rgb: np.ndarray, at: tuple[int, int], box: Box) -> np.ndarray:
    """`box` of `rgb`, which begins at `at`; white where it has nothing."""
    source, target = [], []
    for start, length, first, n in zip(box[:2], box[2:], at, rgb.shape, strict=False):
        low, high = max(start, first), min(start + length, first + n)
        source.append(slice(low - first, max(high - first, low - first)))
        target.append(slice(low - start, max(high - start, low - start)))
    pixels = rgb[tuple(source)]
    if pixels.shape[:2] == box[2:]:
        return pixels
    padded = np.full((*box[2:], 3), 255, np.uint8)
    padded[tuple(target)] = pixels
    return padded


def _offset(tile: Tile) -> tuple[int, int]:
    return tile.core[0] - tile.padded[0], tile.core[1] - tile.padded[1]


def _check(tile: Tile, network: Network) -> None:
    after = [tile.padded[i] + tile.padded[i + 2] - tile.core[i] - tile.core[i + 2] for i in (0, 1)]
    if min(*_offset(tile), *after) < network.halo_px:
        raise ValueError(f"tile {tile} has less halo than the {network.halo_px} px that network {network.name} needs")
    if any(n % network.stride for n in (*tile.padded[:2], *tile.core[:2])):
        raise ValueError(f"tile {tile} does not start at a multiple of {network.stride} px, the stride of network {network.name}")

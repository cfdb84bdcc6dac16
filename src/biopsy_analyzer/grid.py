"""Pixels and micrometres: the one place where one becomes the other.

Conventions, obeyed everywhere: arrays and tuples are (y, x). Pixel (0, 0) covers [0, 1), so its centre is 0.5. Public tables
are in um from the slide's top-left corner. Only GeoJSON is in level-0 pixels, (x, y), as QuPath reads it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PixelGrid:
    """A raster laid over the slide: thumbnail, tile and label image alike.

    shape      (height, width) in px
    um_per_px  edge of a pixel in um
    origin_um  (y, x) of the top-left corner of pixel (0, 0), in um from the slide's top-left corner
    """

    shape: tuple[int, int]
    um_per_px: float
    origin_um: tuple[float, float] = (0.0, 0.0)

    def to_um(self, yx_px: np.ndarray) -> np.ndarray:
        """Positions (..., 2) in px of this grid (edges: pixel centres are i + 0.5) as um on the slide."""
        return np.asarray(yx_px, dtype=np.float64) * self.um_per_px + self.origin_um

    def to_px(self, yx_um: np.ndarray) -> np.ndarray:
        """Positions (..., 2) in um on the slide as px of this grid, fractional; the inverse of `to_um`."""
        return (np.asarray(yx_um, dtype=np.float64) - self.origin_um) / self.um_per_px

    def at(self, values: np.ndarray, yx_um: np.ndarray, beyond: float | bool) -> np.ndarray:
        """What `values` (H, W), one for each pixel, are at positions (..., 2) in um: (...); outside the grid `beyond`."""
        yx = np.floor(self.to_px(yx_um)).astype(np.int64)
        inside = np.all((yx >= 0) & (yx < values.shape), axis=-1)
        y, x = np.moveaxis(np.where(inside[..., None], yx, 0), -1, 0)
        return np.where(inside, values[y, x], values.dtype.type(beyond))

    def crop(self, top: int, left: int, height: int, width: int) -> PixelGrid:
        """The part that starts at pixel (top, left); it may reach beyond this grid."""
        origin = (self.origin_um[0] + top * self.um_per_px, self.origin_um[1] + left * self.um_per_px)
        return PixelGrid((height, width), self.um_per_px, origin)

    def rescaled(self, um_per_px: float) -> PixelGrid:
        """The same area in pixels of another size; the last row and column may reach up to one pixel beyond it."""
        ratio = self.um_per_px / um_per_px
        # 1e-6: a size that divides evenly must not gain a pixel through rounding
        height, width = (max(1, math.ceil(n * ratio - 1e-6)) for n in self.shape)
        return PixelGrid((height, width), um_per_px, self.origin_um)

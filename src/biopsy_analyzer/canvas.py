"""Where the networks look: the tissue's bounding box, in a network's pixels, and which parts of it are glass."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.stain import estimate_vectors
from biopsy_analyzer.tissue.mask import Tissue

MARGIN_UM = 50.0
"""Round the tissue's mask, whose edge is rough: about one fibre."""


def tissue_canvas(slide_grid: PixelGrid, tissue: Tissue, um_per_px: float, stride: int) -> PixelGrid:
    """The tissue's bounding box and a margin, clipped to the slide, in pixels of `um_per_px`; the tissue must not be empty.

    Starts at a multiple of `stride` px from the slide's corner, so that the network's phases do not depend on where tissue starts.
    The slide's last, partial pixel is left out: an object at the edge of the canvas touches the edge of the slide.
    """
    rows, columns = (np.flatnonzero(tissue.mask.any(axis=axis)) for axis in (1, 0))
    first, last = tissue.grid.to_um(np.array([[rows[0], columns[0]], [rows[-1] + 1, columns[-1] + 1]]))
    start = [max(0, int((edge - MARGIN_UM) / um_per_px) // stride * stride) for edge in first]
    limit = [max(1, int(n * slide_grid.um_per_px / um_per_px + 1e-6)) for n in slide_grid.shape]
    stop = [min(most, math.ceil((edge + MARGIN_UM) / um_per_px)) for edge, most in zip(last, limit, strict=True)]
    height, width = (max(1, b - a) for a, b in zip(start, stop, strict=True))
    return PixelGrid(slide_grid.shape, um_per_px).crop(start[0], start[1], height, width)


def slide_on(canvas: PixelGrid, slide_grid: PixelGrid) -> tuple[int, int, int, int]:
    """First row and column of the slide in px of a `tissue_canvas`, and those past its last whole pixel."""
    first = [-round(origin / canvas.um_per_px) for origin in canvas.origin_um]
    past = [at + max(1, int(n * slide_grid.um_per_px / canvas.um_per_px + 1e-6)) for at, n in zip(first, slide_grid.shape, strict=True)]
    return first[0], first[1], past[0], past[1]


def tissue_mask_of(canvas: PixelGrid, tissue: Tissue) -> np.ndarray:
    """Which parts of `canvas` to look at: bool (h, w) in pixels about as large as the tissue mask's, the tissue grown by the margin."""
    coarse = canvas.rescaled(tissue.grid.um_per_px)
    centres = coarse.to_um(np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in coarse.shape), indexing="ij"), axis=-1))
    reach = math.ceil(MARGIN_UM / coarse.um_per_px)
    return np.asarray(ndimage.maximum_filter(in_tissue(tissue, centres), size=2 * reach + 1))


def in_tissue(tissue: Tissue, yx_um: np.ndarray) -> np.ndarray:
    """Whether positions (..., 2) in um lie in the tissue: bool (...); outside the mask's grid is glass."""
    return tissue.grid.at(tissue.mask, yx_um, beyond=False)


def picture_grid(slide_grid: PixelGrid, tissue: Tissue, least_px: int = 1600, most_px: int = 4000) -> PixelGrid:
    """The tissue's canvas (the slide, without tissue) for a picture whose longer side has between `least_px` and `most_px`."""
    whole = tissue_canvas(slide_grid, tissue, slide_grid.um_per_px, 1) if tissue.mask.any() else slide_grid
    longest = max(whole.shape)
    return whole.rescaled(whole.um_per_px * longest / min(max(longest, least_px), most_px))


def section_stains(rgb: np.ndarray, grid: PixelGrid, tissue: Tissue) -> np.ndarray:
    """The section's stain directions (2, 3) from a picture of it, RGB uint8 (H, W, 3) on `grid`: `stain.estimate_vectors` of its tissue.

    About a quarter of a million pixels, evenly spread, are looked at.
    """
    every = max(1, round((rgb.size / 3 / 250_000) ** 0.5))
    sample = rgb[::every, ::every]
    at = np.stack(np.meshgrid(*(np.arange(n) * every + 0.5 for n in sample.shape[:2]), indexing="ij"), axis=-1)
    return estimate_vectors(sample, in_tissue(tissue, grid.to_um(at)))

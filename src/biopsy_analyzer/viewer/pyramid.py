"""A slide as a pyramid of lazy arrays: opening reads nothing, looking reads the stored tiles in view.

No dask between: building its graph for a view of a slide of 200,000 px took 60 to 300 ms, reading the view's tiles takes less.
"""

from __future__ import annotations

import warnings

import numpy as np

from biopsy_analyzer.errors import BiopsyAnalyzerError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.slide.reader import Level
from biopsy_analyzer.viewer.lazy import LazyArray

_OVERVIEW_PX = 2048  # the coarsest level's longer side is at most this


class SlideLevel(LazyArray):
    """RGB uint8 (H, W, 3): a stored level, or one that is shrunk from those.

    Where the file turns out to be damaged it is white, and a warning (which napari shows) says so once.
    """

    def __init__(self, slide: Slide, level: Level | PixelGrid) -> None:
        super().__init__((*level.shape, 3), np.uint8)
        self._slide, self._level, self._warned = slide, level, False

    def window(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        height, width = bottom - top, right - left
        try:
            if isinstance(self._level, PixelGrid):
                return self._slide.read(self._level.crop(top, left, height, width))
            return self._level.read(top, left, height, width)
        except BiopsyAnalyzerError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(str(error), stacklevel=2)
            return np.full((height, width, 3), 255, np.uint8)


def slide_pyramid(slide: Slide) -> list[SlideLevel]:
    """The stored levels, finest first, and coarser ones, each half as fine, until an overview of 2048 px is there."""
    levels = [SlideLevel(slide, level) for level in slide.levels]
    grid = slide.grid(slide.um_per_px * round(slide.shape[0] / levels[-1].shape[0]))
    while max(grid.shape) > _OVERVIEW_PX:
        grid = slide.grid(grid.um_per_px * 2)
        levels.append(SlideLevel(slide, grid))
    return levels

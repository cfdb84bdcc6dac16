"""A slide as a pyramid of lazy arrays: opening reads nothing, looking reads the stored tiles in view.

Where levels are missing, the first two are shrunk for each view: up to 16 stored pixels for one that is seen. From the third on, which
would decode 64 and more, an overview is read in the background instead: slides of more than 8192 px without coarser levels.

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
from biopsy_analyzer.viewer.overview import Overview, OverviewLevel

_OVERVIEW_PX = 2048  # the coarsest level's longer side is at most this
_SHRUNK = 2  # levels that are shrunk for each view


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


def slide_pyramid(slide: Slide) -> list[SlideLevel | OverviewLevel]:
    """The stored levels, finest first, and coarser ones, each half as fine, until an overview of 2048 px is there."""
    stored = [SlideLevel(slide, level) for level in slide.levels]
    grids = [slide.grid(slide.um_per_px * round(slide.shape[0] / stored[-1].shape[0]))]
    while max(grids[-1].shape) > _OVERVIEW_PX:
        grids.append(slide.grid(grids[-1].um_per_px * 2))
    near, far = grids[1 : _SHRUNK + 1], grids[_SHRUNK + 1 :]
    levels: list[SlideLevel | OverviewLevel] = [*stored, *(SlideLevel(slide, grid) for grid in near)]
    if far:
        overview = Overview(slide, far[0])
        levels += [OverviewLevel(overview, grid.shape, 2**k) for k, grid in enumerate(far)]
    return levels

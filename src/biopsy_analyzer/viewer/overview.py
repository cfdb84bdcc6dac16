"""The overview of a slide that stores none: read in the background, so that opening waits for nothing and looking sees it grow."""

from __future__ import annotations

import threading
import weakref

import cv2
import numpy as np

from biopsy_analyzer.errors import BiopsyAnalyzerError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.viewer.lazy import LazyArray

UNREAD = 128
"""Grey of what has not been read yet: no glass, no tissue."""

_LEAST_BAND_PX = 16


class Overview:
    """RGB uint8 (H, W, 3) of the whole slide in pixels of `grid`, held in memory; nothing is read before the first look."""

    def __init__(self, slide: Slide, grid: PixelGrid) -> None:
        self.file_name, self._reading = slide.file_name, _Reading(slide, grid)
        weakref.finalize(self, self._reading.stop)  # the last layer that shows it is gone, or the program ends

    def look(self) -> np.ndarray:
        """The pixels as far as they are read; the first look begins it."""
        self._reading.begin()
        return self._reading.pixels

    @property
    def share(self) -> float:
        """How much is read, 0 to 1."""
        return self._reading.rows / len(self._reading.pixels)

    @property
    def error(self) -> str:
        """Why it ended before all was read: what is left is grey. Empty where it did not."""
        return self._reading.error


class OverviewLevel(LazyArray):
    """An overview, or one that is `factor` times as coarse, as a level of a pyramid."""

    def __init__(self, overview: Overview, shape: tuple[int, int], factor: int) -> None:
        super().__init__((*shape, 3), np.uint8)
        self.overview, self._factor = overview, factor

    def window(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        n = self._factor
        part = self.overview.look()[top * n : bottom * n, left * n : right * n].copy()
        if n == 1:
            return part
        missing = (bottom - top) * n - part.shape[0], (right - left) * n - part.shape[1]
        whole = np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        return np.asarray(cv2.resize(whole, (right - left, bottom - top), interpolation=cv2.INTER_AREA))


class _Reading:
    """What the thread works on; it knows nothing of who looks, so that those can go."""

    def __init__(self, slide: Slide, grid: PixelGrid) -> None:
        self.pixels = np.full((*grid.shape, 3), UNREAD, np.uint8)
        self.rows, self.error = 0, ""
        self._slide, self._grid = slide, grid
        self._stopped, self._once = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start reading, once."""
        with self._once:
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="overview", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End within a band; the slide may be closed then."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _read(self) -> None:
        height, width = self._grid.shape
        tile_px = self._slide.source(self._grid.um_per_px).tile_um[0] / self._grid.um_per_px
        band = max(round(tile_px), _LEAST_BAND_PX)  # along the stored tiles, each of which is decoded once
        try:
            for top in range(0, height, band):
                if self._stopped.is_set():
                    return
                rows = min(band, height - top)
                self.pixels[top : top + rows] = self._slide.read(self._grid.crop(top, 0, rows, width))
                self.rows = top + rows
        except BiopsyAnalyzerError as error:
            self.error = str(error)

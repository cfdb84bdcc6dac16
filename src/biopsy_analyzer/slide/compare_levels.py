"""Whether the levels of a pyramid show the same picture: a level that was built from another slide, or turned, must not be read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from biopsy_analyzer.slide.reader import Level

PATCH_PX = 64  # of the coarser level
PATCHES = 5
CELLS = 16  # rows and columns of the raster of places that are looked at
AVERAGED = 4  # px of the coarser level averaged before comparing: half a pixel of shift between levels is usual, and no fault
MIN_CORRELATION = 0.9
MIN_CONTRAST = 3.0  # grey levels; below, both are glass and there is nothing to compare
MAX_SEARCHED_PX = 4_000_000
Box = tuple[int, int, int, int]


def agreeing(levels: Sequence[Level]) -> tuple[list[Level], list[str]]:
    """The levels that agree with level 0, largest first, and a note on each that is left out.

    A level is compared with the coarsest finer one that was kept, at the places where the coarsest of all has the strongest contrast.
    """
    kept, notes = [levels[0]], list[str]()
    places = _places(levels[-1]) if len(levels) > 1 else []
    for number, level in enumerate(levels[1:], start=1):
        found = correlation(kept[-1], level, places)
        if found is None or found >= MIN_CORRELATION:
            kept.append(level)
        else:
            size = f"{level.shape[1]} x {level.shape[0]} px"
            notes.append(f"level {number} ({size}) shows another picture (correlation {found:.2f}), left out")
    return kept, notes


def correlation(fine: Level, coarse: Level, places: Sequence[tuple[float, float]]) -> float | None:
    """Correlation of grey values of two levels: the median over patches at `places` (share of height, of width), so that one damaged
    tile does not decide; None where all patches are plain in both.
    """
    boxes = [_box(coarse, *place) for place in places]
    pairs = [(_small(coarse, box, box), _small(fine, _scaled(box, coarse, fine), box)) for box in boxes]
    found = [_alike(*pair) for pair in pairs if max(pair[0].std(), pair[1].std()) >= MIN_CONTRAST]
    return float(np.median(found)) if found else None


def _alike(first: np.ndarray, second: np.ndarray) -> float:
    return 0.0 if min(first.std(), second.std()) < 1e-6 else float(np.corrcoef(first, second)[0, 1])


def _places(level: Level) -> list[tuple[float, float]]:
    """Where a level has the strongest contrast, as shares of its height and width; spread evenly where it is too large to search."""
    height, width = level.shape
    rows, columns = (np.linspace(0, size, min(CELLS, size) + 1).astype(int) for size in (height, width))
    centres = [((y0 + y1) / 2 / height, (x0 + x1) / 2 / width) for y0, y1 in pairwise(rows) for x0, x1 in pairwise(columns)]
    if height * width > MAX_SEARCHED_PX:
        return centres[CELLS // 2 :: len(centres) // PATCHES][:PATCHES]
    grey = level.read(0, 0, height, width).mean(axis=2, dtype=np.float32)
    spread = [grey[y0:y1, x0:x1].std() for y0, y1 in pairwise(rows) for x0, x1 in pairwise(columns)]
    return [centres[number] for number in np.argsort(spread, kind="stable")[::-1][:PATCHES]]


def _box(level: Level, y: float, x: float) -> Box:
    """The patch that holds a place; patches start at multiples of their size, so that few tiles are touched."""
    height, width = level.shape
    top, left = int(y * height) // PATCH_PX * PATCH_PX, int(x * width) // PATCH_PX * PATCH_PX
    return top, left, min(PATCH_PX, height - top), min(PATCH_PX, width - left)


def _scaled(box: Box, coarse: Level, fine: Level) -> Box:
    y, x = (large / small for large, small in zip(fine.shape, coarse.shape, strict=True))
    top, left = min(round(box[0] * y), fine.shape[0] - 1), min(round(box[1] * x), fine.shape[1] - 1)
    height, width = max(1, round(box[2] * y)), max(1, round(box[3] * x))
    return top, left, min(height, fine.shape[0] - top), min(width, fine.shape[1] - left)


def _small(level: Level, box: Box, coarse: Box) -> np.ndarray:
    grey = level.read(*box).mean(axis=2, dtype=np.float32)
    size = max(1, coarse[3] // AVERAGED), max(1, coarse[2] // AVERAGED)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).ravel()

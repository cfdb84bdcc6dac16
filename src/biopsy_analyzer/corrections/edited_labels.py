"""A label pyramid with corrections over it: the machine's stays as it is on disk, only the boxes that were edited are held."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.labels import LabelPyramid

_CHUNK_PX = 1024
_HELD_CHUNKS = 48  # of 4 MiB, by level; neighbouring objects mostly lie in the same one

Box = tuple[int, int, int, int]
"""top, left, bottom, right in px, the last two outside."""


class EditedLevel:
    """One level, int32 (H, W), sliced like an array: the machine's pixels, then the edited boxes in order, without the ids taken away."""

    ndim, dtype = 2, np.dtype(np.int32)

    def __init__(self, base: Any, every: int, edits: _Edits) -> None:
        """base: array-like with shape and slicing, read window by window; it holds every `every`-th pixel of level 0."""
        self.shape = (int(base.shape[0]), int(base.shape[1]))
        self._every, self._edits = every, edits

        @lru_cache(_HELD_CHUNKS)
        def chunk(row: int, column: int) -> np.ndarray:
            top, left = row * _CHUNK_PX, column * _CHUNK_PX
            return np.asarray(base[top : top + _CHUNK_PX, left : left + _CHUNK_PX], dtype=np.int32)

        self._chunk = chunk

    def __getitem__(self, key: Any) -> np.ndarray:
        """Slices and whole numbers along both axes, as numpy has them (steps above 0)."""
        rows, columns = (*key, slice(None))[:2] if isinstance(key, tuple) else (key, slice(None))
        spans = [slice(k, k + 1) if isinstance(k, (int, np.integer)) else k for k in (rows, columns)]
        (top, bottom, y_step), (left, right, x_step) = (span.indices(n) for span, n in zip(spans, self.shape, strict=True))
        found = self.read((top, left, max(top, bottom), max(left, right)))[::y_step, ::x_step]
        if isinstance(columns, (int, np.integer)):
            found = found[:, 0]
        return found[0] if isinstance(rows, (int, np.integer)) else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read((0, 0, *self.shape)), dtype=dtype)

    def read(self, box: Box) -> np.ndarray:
        """A copy of the pixels in `box`; beyond the image 0."""
        top, left, bottom, right = box
        out = np.zeros((bottom - top, right - left), np.int32)
        for row in range(max(top, 0) // _CHUNK_PX, -(-min(bottom, self.shape[0]) // _CHUNK_PX)):
            for column in range(max(left, 0) // _CHUNK_PX, -(-min(right, self.shape[1]) // _CHUNK_PX)):
                _paste(self._chunk(row, column), row * _CHUNK_PX, column * _CHUNK_PX, out, top, left)
        for y, x, pixels in self._edits.boxes:
            sampled = pixels[-y % self._every :: self._every, -x % self._every :: self._every]
            _paste(sampled, -(-y // self._every), -(-x // self._every), out, top, left)
        gone = self._edits.gone
        out[gone[np.minimum(out, len(gone) - 1)]] = 0
        return out


class _Edits:
    """What all levels share: boxes (top, left, pixels) in level 0 px, and which ids are gone; the last entry stands for greater ids."""

    def __init__(self) -> None:
        self.boxes: list[tuple[int, int, np.ndarray]] = []
        self.gone = np.zeros(1, bool)


class EditedLabels:
    """All levels, finest first, and how they are edited; `pixels` and `grid` are level 0's, as those of a `LabelPyramid`."""

    def __init__(self, machine: LabelPyramid) -> None:
        self._edits = _Edits()
        self.grids = machine.grids
        every = [round(grid.um_per_px / machine.grid.um_per_px) for grid in machine.grids]
        self.levels = tuple(EditedLevel(level, step, self._edits) for level, step in zip(machine.levels, every, strict=True))

    @property
    def pixels(self) -> EditedLevel:
        return self.levels[0]

    @property
    def grid(self) -> PixelGrid:
        return self.grids[0]

    def read(self, box: Box) -> np.ndarray:
        """A copy of level 0's pixels in `box`, int32; beyond the image 0."""
        return self.pixels.read(box)

    def write(self, box: Box, pixels: np.ndarray) -> None:
        """Lay `pixels` (level 0) over `box`, which lies in the image."""
        self._edits.boxes.append((box[0], box[1], pixels.astype(np.int32)))

    def unwrite(self) -> None:
        """Take the last `write` back."""
        self._edits.boxes.pop()

    def take_away(self, ids: list[int], away: bool = True) -> None:
        """Show these ids as background; away False: show them again."""
        missing = max(ids, default=0) + 2 - len(self._edits.gone)
        self._edits.gone = np.concatenate([self._edits.gone, np.zeros(max(missing, 0), bool)])
        self._edits.gone[ids] = away

    @property
    def highest_gone(self) -> int:
        """The highest id that was ever taken away; -1 for none."""
        return len(self._edits.gone) - 2

    def around(self, yx_um: np.ndarray, margin_um: float = 0.0) -> Box:
        """The box in the image that holds positions (n, 2) in um and a margin."""
        px = self.grid.to_px(yx_um)
        margin = margin_um / self.grid.um_per_px
        low, high = np.floor(px.min(axis=0) - margin).astype(int), np.ceil(px.max(axis=0) + margin).astype(int) + 1
        return self.clipped((int(low[0]), int(low[1]), int(high[0]), int(high[1])))

    def clipped(self, box: Box) -> Box:
        """The part of `box` in the image."""
        (top, bottom), (left, right) = ((min(max(box[k], 0), n), min(max(box[k + 2], 0), n)) for k, n in enumerate(self.pixels.shape))
        return top, left, max(top, bottom), max(left, right)

    def grid_of(self, box: Box) -> PixelGrid:
        """Where `box` lies on the slide."""
        return self.grid.crop(box[0], box[1], box[2] - box[0], box[3] - box[1])


def _paste(source: np.ndarray, y: int, x: int, out: np.ndarray, top: int, left: int) -> None:
    """The part of `source`, whose corner is at (y, x), that lies in `out`, whose corner is at (top, left)."""
    y0, x0 = max(y, top), max(x, left)
    y1, x1 = min(y + source.shape[0], top + out.shape[0]), min(x + source.shape[1], left + out.shape[1])
    if y0 < y1 and x0 < x1:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = source[y0 - y : y1 - y, x0 - x : x1 - x]

"""Fibre labels as a viewer shows them: the class in every pixel, and each fibre's edge apart from its inside.

Napari's own way, a colour for each of 20,000 labels, takes 0.4 s for every change of one state, contours or fill but not both, and
more than 65,536 labels not at all without numba. A table from id to class takes milliseconds for the view.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from biopsy_analyzer.report.palette import FIBRE_COLOURS
from biopsy_analyzer.report.shown import fibre_class
from biopsy_analyzer.viewer.lazy import LazyArray

CLASSES = tuple(FIBRE_COLOURS)
EDGE = len(CLASSES)
"""Codes: 0 background, 1..5 the inside of a fibre by class, 6..10 its edge."""

_BLOCK_PX = 512
_BLOCKS = 96  # kept decoded: 100 MB


class ClassOfFibre:
    """From a fibre's id to the code of its class: 0 for ids that no row has."""

    def __init__(self, fibres: pd.DataFrame) -> None:
        ids = fibres["fibre_id"].to_numpy()
        self.codes = np.zeros(ids.max(initial=0) + 1, np.uint8)
        self.codes[ids] = fibre_class(fibres).map({name: code for code, name in enumerate(CLASSES, start=1)}).to_numpy(dtype=np.uint8)

    def of(self, labels: np.ndarray) -> np.ndarray:
        """The codes of labels, uint8; of ids beyond the table 0."""
        return np.where(labels < len(self.codes), self.codes[np.minimum(labels, len(self.codes) - 1)], 0).astype(np.uint8)


class ShownLevel(LazyArray):
    """Codes uint8 (H, W) of one level of label images, made when sliced; what was read last is kept."""

    def __init__(self, labels: Any, classes: ClassOfFibre, edge_px: int = 1) -> None:
        super().__init__(tuple(labels.shape), np.uint8)
        self._labels, self._classes, self._edge_px = labels, classes, edge_px
        self._blocks: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    def recolour(self, classes: ClassOfFibre) -> None:
        """Other classes from now on."""
        self._classes = classes

    def forget(self, top: float, left: float, bottom: float, right: float) -> None:
        """Read again what lies in this part, in px, when it is looked at: outlines there have changed."""
        rows, columns = (range(int(a) // _BLOCK_PX, int(b) // _BLOCK_PX + 1) for a, b in ((top, bottom), (left, right)))
        for key in [key for key in self._blocks if key[0] in rows and key[1] in columns]:
            del self._blocks[key]

    def window(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        margin = self._edge_px
        y0, x0 = max(top - margin, 0), max(left - margin, 0)
        around = self._read(y0, x0, min(bottom + margin, self.shape[0]), min(right + margin, self.shape[1]))
        edge = edges(around)
        for _ in range(1, self._edge_px):
            edge = ndimage.binary_dilation(edge)
        asked = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
        codes = self._classes.of(around[asked])
        codes[(codes > 0) & edge[asked]] += EDGE
        return codes

    def _read(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        out = np.empty((max(bottom - top, 0), max(right - left, 0)), np.int32)
        for row in range(top // _BLOCK_PX, -(-bottom // _BLOCK_PX)):
            for column in range(left // _BLOCK_PX, -(-right // _BLOCK_PX)):
                block, y, x = self._block(row, column), row * _BLOCK_PX, column * _BLOCK_PX
                y0, x0, y1, x1 = max(top, y), max(left, x), min(bottom, y + _BLOCK_PX), min(right, x + _BLOCK_PX)
                out[y0 - top : y1 - top, x0 - left : x1 - left] = block[y0 - y : y1 - y, x0 - x : x1 - x]
        return out

    def _block(self, row: int, column: int) -> np.ndarray:
        if (row, column) not in self._blocks:
            y, x = row * _BLOCK_PX, column * _BLOCK_PX
            self._blocks[row, column] = np.asarray(self._labels[y : y + _BLOCK_PX, x : x + _BLOCK_PX])
            if len(self._blocks) > _BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end((row, column))
        return self._blocks[row, column]


class HalfLevel:
    """Every second row and column of a level."""

    def __init__(self, level: Any) -> None:
        self.shape, self._level = tuple(-(-n // 2) for n in level.shape), level

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        """Slices without steps."""
        rows, columns = (slice(2 * part.start, 2 * part.stop, 2) for part in key)
        return np.asarray(self._level[rows, columns])


def edges(labels: np.ndarray) -> np.ndarray:
    """Pixels, bool (H, W), one of whose four neighbours bears another label; beyond the array nothing is known, so no edge."""
    edge = np.zeros(labels.shape, bool)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge


def colours(filled: bool, hidden: frozenset[str] = frozenset()) -> dict[int | None, tuple[float, float, float, float]]:
    """RGBA 0..1 of every code: edges opaque, insides clear or `filled`, sick fibres more than others; `hidden` classes clear."""
    table: dict[int | None, tuple[float, float, float, float]] = {None: (0.0,) * 4, 0: (0.0,) * 4}
    for code, name in enumerate(CLASSES, start=1):
        red, green, blue = (channel / 255 for channel in FIBRE_COLOURS[name])
        fill = (0.25 if name == "normal" else 0.5) if filled else 0.0
        seen = 0.0 if name in hidden else 1.0
        table[code], table[code + EDGE] = (red, green, blue, fill * seen), (red, green, blue, seen)
    return table

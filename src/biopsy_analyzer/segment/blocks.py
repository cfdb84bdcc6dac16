"""How a canvas that memory can't hold is walked: in blocks, row by row, of which a rim stays for the blocks to come. Integers and arrays.

Along one axis, at a cut between two blocks:

    ----------|-- margin --|-- margin --|-- halo --|------->
              |            |            |          read      pixels are read so far ahead of the cut
              |            |            cut                  that the network knows its maps up to it
              |            label                             objects are told up to here, and owned by the block where their
              window                                         box has its middle; the next block's labels start from here

An object that is at most a margin long and lies in a block's core, even in part, therefore lies in its window as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Axis:
    """Where the blocks of one axis of a canvas begin and end, in px: n + 1 positions for each stage."""

    read: tuple[int, ...]
    cut: tuple[int, ...]
    label: tuple[int, ...]

    @property
    def blocks(self) -> int:
        return len(self.cut) - 1


def cut_axis(length: int, blocks: int, stride: int, halo: int, margin: int) -> Axis:
    """`blocks` even blocks of `length` px; cuts between them lie on multiples of `stride`. ValueError when there are more than fit."""
    between = [round(k * length / (blocks * stride)) * stride for k in range(1, blocks)]
    cut = (0, *between, length)
    if any(b <= a for a, b in pairwise(cut)):
        raise ValueError(f"{length} px can't be cut into {blocks} blocks on multiples of {stride} px")
    read = (-halo, *(c + halo for c in cut[1:]))
    label = (0, *(max(0, c - margin) for c in between), length)
    return Axis(read, cut, label)


def even_edge(length: int, stride: int, most: int) -> int:
    """Edge of equal pieces that cover `length` px: a multiple of `stride`, at most `most` (which is one)."""
    return math.ceil(length / math.ceil(length / most) / stride) * stride


def read_further(axis: Axis, to: Sequence[int]) -> Axis:
    """`axis` of which the blocks but for the last are read up to `to`, (blocks - 1) px, where that is farther than they need."""
    further = [min(max(old, new), axis.read[-1]) for old, new in zip(axis.read[1:-1], to, strict=True)]
    return replace(axis, read=(axis.read[0], *further, axis.read[-1]))


class Rim:
    """What stays of an array (..., H, W, ...) that arrives block by block in raster order: `size` rows above and columns left of a block.

    axis   of the rows; the columns follow
    shape  of the whole array, of which only the width and the other axes matter
    Beyond the array's upper and left edge, and in place of blocks passed over, lies `fill`.
    """

    def __init__(self, size: int, shape: tuple[int, ...], axis: int, dtype: type, fill: int) -> None:
        self.size, self._axis, self._fill = size, axis, fill
        self._above: np.ndarray = np.full((*shape[:axis], size, *shape[axis + 1 :]), fill, dtype)
        self._left: np.ndarray | None = None

    def blank(self, height: int, width: int) -> np.ndarray:
        """A window of `fill` for a block of (height, width), to be filled in from [size, size] on, and room above and left of it."""
        shape = list(self._above.shape)
        shape[self._axis : self._axis + 2] = self.size + height, self.size + width
        window = np.zeros(shape, self._above.dtype)
        if self._fill:
            window.fill(self._fill)
        return window

    def lay(self, window: np.ndarray, at: int) -> None:
        """Lay the rim of the blocks before above and left of a new one at column `at`. Column 0 starts a row."""
        width = window.shape[self._axis + 1] - self.size
        window[self._part(slice(self.size), slice(self.size, None))] = self._above[self._part(slice(None), slice(at, at + width))]
        if at > 0 and self._left is not None:
            window[self._part(slice(None), slice(self.size))] = self._left

    def keep(self, window: np.ndarray, at: int) -> None:
        """Take the rim of the blocks to come from a window that is filled in."""
        rows = slice(window.shape[self._axis] - self.size, None)
        columns = slice(window.shape[self._axis + 1] - self.size, None)
        self._left = window[self._part(slice(None), columns)].copy()
        width = window.shape[self._axis + 1] - self.size
        self._above[self._part(slice(None), slice(at, at + width))] = window[self._part(rows, slice(self.size, None))]

    def pass_over(self, width: int, at: int) -> None:
        """Nothing but `fill` lies in this block and its window."""
        self._left = None
        self._above[self._part(slice(None), slice(at, at + width))] = self._fill

    def _part(self, rows: slice, columns: slice) -> tuple[slice, ...]:
        return (*(slice(None),) * self._axis, rows, columns)

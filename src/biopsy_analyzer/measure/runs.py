"""A label image as runs of equal pixels within rows: thousands of sums per label at the price of one pass over the pixels."""

from __future__ import annotations

from functools import cached_property

import numpy as np


class Runs:
    """The runs of a label image (H, W), background included: `label`, `row`, `left` and `width` of each, in raster order.

    Sums have one entry for each of 1..n, by default the largest label; 0 for labels that don't occur.
    """

    def __init__(self, labels: np.ndarray, n: int | None = None) -> None:
        flat = labels.ravel()
        first = np.ones(flat.shape, bool)
        np.not_equal(flat[1:], flat[:-1], out=first[1:])
        first.reshape(labels.shape)[:, :1] = True
        self._start = np.flatnonzero(first)
        self.label = flat[self._start]
        self.row, self.left = np.divmod(self._start, labels.shape[1])
        self.width = np.diff(self._start, append=labels.size)
        self.n = int(self.label.max(initial=0)) if n is None else n

    @cached_property
    def inside(self) -> np.ndarray:
        """Positions of all labelled pixels in the raveled image, int64 (m,), in raster order."""
        width = self.width[self._labelled]
        return np.arange(int(width.sum())) + np.repeat(self._start[self._labelled] - self._before, width)

    @cached_property
    def _labelled(self) -> np.ndarray:
        return np.flatnonzero(self.label)

    @cached_property
    def _before(self) -> np.ndarray:
        """How many labelled pixels lie before each labelled run."""
        width = self.width[self._labelled]
        return np.cumsum(width) - width

    def total(self, per_run: np.ndarray) -> np.ndarray:
        """Sum over each label's runs of a value per run, float64 (n,)."""
        return np.bincount(self.label, per_run, self.n + 1)[1:]

    def pixel_total(self, values: np.ndarray) -> np.ndarray:
        """Sum over each label's pixels of `values` (H, W), any real dtype, float64 (n,)."""
        return self.inside_total(values.ravel()[self.inside])

    def inside_total(self, values: np.ndarray) -> np.ndarray:
        """The same of the values at `inside` alone, (m,)."""
        if not len(values):
            return np.zeros(self.n)
        of_run = np.add.reduceat(np.asarray(values, dtype=np.float32), self._before)
        return np.bincount(self.label[self._labelled], of_run, self.n + 1)[1:]

    def first(self) -> np.ndarray:
        """Row and column of each label's first pixel in raster order, int64 (n, 2); every label 1..n must occur."""
        at = np.empty(self.n + 1, np.int64)
        at[self.label[::-1]] = np.arange(len(self.label))[::-1]  # of a repeated index the last value stays
        return np.stack([self.row, self.left], axis=1)[at[1:]]

    def boxes(self) -> np.ndarray:
        """First row and column and those past the last of each label, int64 (n, 4); every label 1..n must occur."""
        low, high = np.full((2, self.n + 1), np.iinfo(np.int64).max), np.zeros((2, self.n + 1), np.int64)
        for axis, (first, past) in enumerate(((self.row, self.row + 1), (self.left, self.left + self.width))):
            np.minimum.at(low[axis], self.label, first)
            np.maximum.at(high[axis], self.label, past)
        return np.concatenate([low, high])[:, 1:].T

"""A label image as runs of equal pixels within rows: thousands of sums per label at the price of one pass over the pixels."""

from __future__ import annotations

import numpy as np


class Runs:
    """The runs of a label image (H, W), background included: `label`, `row`, `left` and `width` of each, in raster order.

    Sums have one entry for each of 1..n, by default the largest label; 0 for labels that don't occur.
    """

    def __init__(self, labels: np.ndarray, n: int | None = None) -> None:
        first = np.ones(labels.shape, bool)
        first[:, 1:] = labels[:, 1:] != labels[:, :-1]
        self._start = np.flatnonzero(first)
        self.label = labels.ravel()[self._start]
        self.row, self.left = np.divmod(self._start, labels.shape[1])
        self.width = np.diff(self._start, append=labels.size)
        self.n = int(self.label.max(initial=0)) if n is None else n

    def total(self, per_run: np.ndarray) -> np.ndarray:
        """Sum over each label's runs of a value per run, float64 (n,)."""
        return np.bincount(self.label, per_run, self.n + 1)[1:]

    def pixel_total(self, values: np.ndarray) -> np.ndarray:
        """Sum over each label's pixels of `values` (H, W), any real dtype, float64 (n,)."""
        return self.total(np.add.reduceat(np.asarray(values, dtype=np.float32).ravel(), self._start))

    def first(self) -> np.ndarray:
        """Row and column of each label's first pixel in raster order, int64 (n, 2); every label 1..n must occur."""
        at = np.empty(self.n + 1, np.int64)
        at[self.label[::-1]] = np.arange(len(self.label))[::-1]  # of a repeated index the last value stays
        return np.stack([self.row, self.left], axis=1)[at[1:]]

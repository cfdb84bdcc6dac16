"""A label image as runs of equal pixels within rows: ten thousands of numbers in place of millions of pixels, to sum, renumber and join."""

from __future__ import annotations

from functools import cached_property

import numpy as np


class Runs:
    """The runs of a label image (H, W), background included: `label`, `row`, `left` and `width` of each, in raster order.

    `start` is a run's first pixel in the raveled image, `shape` the image's. Sums have one entry for each of 1..n, by default the largest
    label; 0 for labels that don't occur.
    """

    def __init__(self, labels: np.ndarray, n: int | None = None) -> None:
        flat = labels.ravel()
        first = np.ones(flat.shape, bool)
        np.not_equal(flat[1:], flat[:-1], out=first[1:])
        first.reshape(labels.shape)[:, :1] = True
        start = np.flatnonzero(first)
        self._fill(labels.shape, start, flat[start], n)

    def _fill(self, shape: tuple[int, ...], start: np.ndarray, label: np.ndarray, n: int | None) -> None:
        self.shape, self.start, self.label = shape, start, label
        self.row, self.left = np.divmod(start, shape[1])
        self.width = np.diff(start, append=shape[0] * shape[1])
        self.n = int(label.max(initial=0)) if n is None else n

    def with_labels(self, label: np.ndarray, n: int | None = None) -> Runs:
        """The image in which each run has the label given here; neighbours that now have the same one become one run."""
        first = np.ones(len(label), bool)
        first[1:] = (label[1:] != label[:-1]) | (self.left[1:] == 0)
        runs = Runs.__new__(Runs)
        runs._fill(self.shape, self.start[first], label[first], n)
        return runs

    def image(self, per_run: np.ndarray | None = None) -> np.ndarray:
        """The label image (H, W), or that of another value per run."""
        return np.repeat(self.label if per_run is None else per_run, self.width).reshape(self.shape)

    @cached_property
    def inside(self) -> np.ndarray:
        """Positions of all labelled pixels in the raveled image, int64 (m,), in raster order."""
        width = self.width[self._labelled]
        return np.arange(int(width.sum())) + np.repeat(self.start[self._labelled] - self._before, width)

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

    @cached_property
    def area(self) -> np.ndarray:
        """Pixels of each label, float64 (n,)."""
        return self.total(self.width)

    def inside_total(self, values: np.ndarray) -> np.ndarray:
        """Sum over each label's pixels of the values at `inside`, (m,) of any real dtype, float64 (n,)."""
        if not len(values):
            return np.zeros(self.n)
        of_run = np.add.reduceat(np.asarray(values, dtype=np.float32), self._before)
        return np.bincount(self.label[self._labelled], of_run, self.n + 1)[1:]

    def centroid(self) -> tuple[np.ndarray, np.ndarray]:
        """y and x in px, float64 (n,) each, with pixels as squares; NaN for labels that don't occur."""
        with np.errstate(invalid="ignore"):
            y = self.total(self.width * (self.row + 0.5)) / self.area
            x = self.total(self.width * (self.left + self.width / 2)) / self.area
        return y, x

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

    def meeting(self, some: np.ndarray, rows: int, reach: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of runs: those of `some` (numbers) and those `rows` below (negative: above) that begin at most `reach` px beside them.

        Runs of `some` in whose place the image has no row are left out. In the order of `some`; int64 (m,) each.
        """
        height, width = self.shape
        some = some[(self.row[some] + rows >= 0) & (self.row[some] + rows < height)]
        there = (self.row[some] + rows) * width
        low = there + np.maximum(self.left[some] - reach, 0)
        high = there + np.minimum(self.left[some] + self.width[some] - 1 + reach, width - 1)
        first, last = (np.searchsorted(self.start, at, side="right") - 1 for at in (low, high))
        count = last - first + 1
        other = np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)
        return np.repeat(some, count), other

    def neighbours(self) -> np.ndarray:
        """How many pairs of pixels each label has side by side, one below the other, and along the two diagonals: int64 (4, n)."""
        one, other = self.meeting(self._labelled, 1, 1)
        same = self.label[one] == self.label[other]
        one, other = one[same], other[same]
        pairs = [self.total(self.width - 1)]
        for right in (0, 1, -1):
            past = np.minimum(self.left[one] + self.width[one], self.left[other] + self.width[other] - right)
            shared = np.maximum(past - np.maximum(self.left[one], self.left[other] - right), 0)
            pairs.append(np.bincount(self.label[one], shared, self.n + 1)[1:])
        return np.array(pairs).astype(np.int64)


def as_runs(labels: np.ndarray | Runs) -> Runs:
    """The runs of a label image; runs as they are."""
    return labels if isinstance(labels, Runs) else Runs(labels)

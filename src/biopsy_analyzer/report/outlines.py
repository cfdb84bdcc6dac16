"""Labels as polygons along pixel edges: what GeoJSON holds and the overlay draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import overload

import cv2
import numpy as np

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.segment.runs import Runs, as_runs

_NEAR = 0.9  # in half pixels; at a whole one right angles lose a point, and straight sides lean


class Rings(Sequence[np.ndarray]):
    """Outlines, each (k, 2) float64 corners (y, x) in um, not closed; kept as whole pixels of `grid`, at 8 bytes a corner.

    corners  int (m, 2), those of all rings one after the other;  ends  int (n,), where each ring ends
    """

    def __init__(self, corners: np.ndarray, ends: np.ndarray, grid: PixelGrid) -> None:
        self._corners, self._ends, self._grid = corners.astype(np.int32, copy=False), ends, grid

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Rings: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Rings:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                return self.chosen(np.arange(len(self))[index])
            first = int(self._ends[start - 1]) if start else 0
            ends = self._ends[start : max(start, stop)]
            return Rings(self._corners[first : ends[-1] if len(ends) else first], ends - first, self._grid)
        index = range(len(self))[index]  # negative ones, and IndexError
        return self._grid.to_um(self._corners[self._ends[index - 1] if index else 0 : self._ends[index]])

    def chosen(self, rows: np.ndarray) -> Rings:
        """The rings of `rows` (n,), in that order."""
        return Rings(*_picked(self._corners, self._ends, rows), self._grid)

    def laid_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners (m, 2) in um, those of all rings one after the other, and where each ring ends, int (n,): for work on all at once."""
        return self._grid.to_um(self._corners), self._ends

    def without_stairs(self) -> Rings:
        """The rings for the eye, on whole half pixels: stairs become straight lines, and a third of the points is left.

        Each corner is cut at half a pixel before and behind it, then points within half a pixel of the line are left out. The least
        labels may end as two points.
        """
        back, onward = (np.sign(steps) for steps in _steps(self._corners, self._ends))  # each is along an edge, at least a pixel long
        cut = np.empty((2 * len(back), 2), np.int32)  # in half pixels
        cut[::2] = 2 * self._corners - back
        cut[1::2] = 2 * self._corners + onward
        rings = [cv2.approxPolyDP(ring, _NEAR, True)[:, 0] for ring in split(cut, 2 * self._ends)]
        grid = PixelGrid((2 * self._grid.shape[0], 2 * self._grid.shape[1]), self._grid.um_per_px / 2, self._grid.origin_um)
        return Rings(np.concatenate([np.zeros((0, 2), np.int32), *rings]), np.cumsum([len(ring) for ring in rings], dtype=np.int64), grid)

    @classmethod
    def joined(cls, parts: Sequence[Rings], at: Sequence[tuple[int, int]], order: np.ndarray, grid: PixelGrid) -> Rings:
        """The rings of windows of `grid` that start at pixels `at`, all together in the order given (n,)."""
        corners = [part._corners + np.array(start, np.int32) for part, start in zip(parts, at, strict=True)]
        sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(part._ends, prepend=0) for part in parts)])
        return cls(*_picked(np.concatenate([np.zeros((0, 2), np.int32), *corners]), np.cumsum(sizes), order), grid)


def laid_out(rings: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """`Rings.laid_out` of any sequence of rings (k, 2)."""
    if isinstance(rings, Rings):
        return rings.laid_out()
    return np.concatenate([np.zeros((0, 2)), *rings]), np.cumsum([len(ring) for ring in rings], dtype=np.int64)


def split(corners: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    """Rings that are laid out one after the other, each by itself (a view)."""
    edges = [0, *ends.tolist()]
    return [corners[start:end] for start, end in pairwise(edges)]


def _picked(corners: np.ndarray, ends: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of rings that end there those of `rows`, in that order, and their ends."""
    sizes = np.diff(ends, prepend=0)
    picked = sizes[rows]
    past = np.cumsum(picked)
    return corners[np.arange(int(picked.sum())) + np.repeat((ends - sizes)[rows] - (past - picked), picked)], past


def outlines(labels: np.ndarray | Runs, grid: PixelGrid) -> Rings:
    """The outer outline of each label 1..n, in the order of the labels.

    labels int32 (H, W) on `grid`, or its runs, consecutive. The polygon runs along pixel edges, so without holes its area is the label's.
    Of a label in several pieces the largest is taken; holes are filled. No labels: an empty sequence.
    """
    rings = [np.zeros((0, 2), np.int32)]
    runs = as_runs(labels)
    pixels = runs.image()
    for label, (top, left, bottom, right) in enumerate(runs.boxes().tolist(), start=1):
        rings.append(_edge_polygon(pixels[top:bottom, left:right] == label) + np.array([top, left], np.int32))
    return Rings(*_without_straight_points(np.concatenate(rings), np.cumsum([len(ring) for ring in rings[1:]], dtype=np.int64)), grid)


def _edge_polygon(mask: np.ndarray) -> np.ndarray:
    """Corners int32 (k, 2) (y, x) in px of the largest piece of a bool mask; some are repeated, or lie on a straight line.

    OpenCV joins the centres of the border's pixels, half a pixel inside. In the mask doubled, each of those centres is next to
    exactly one corner of the original's pixels: even ones at their upper left, odd ones at their lower right.
    """
    doubled = cv2.resize(mask.view(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea) if len(contours) > 1 else contours[0]
    return (largest[:, 0, ::-1] + 1) // 2


def _without_straight_points(corners: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rings, one after the other, without repeated points and points on a straight line between their neighbours; and their ends."""
    corners, ends = _only(corners, ends, np.any(_steps(corners, ends)[0], axis=1))
    back, onward = _steps(corners, ends)
    return _only(corners, ends, back[:, 0] * onward[:, 1] != back[:, 1] * onward[:, 0])


def _steps(corners: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each corner of rings that end there the way (y, x) from the corner before it in its ring, and that to the next."""
    sizes = np.diff(ends, prepend=0)
    last = ends[sizes > 0] - 1
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    back = np.diff(corners, axis=0, prepend=corners[:1])
    back[first] = corners[first] - corners[last]
    onward = np.concatenate([back[1:], back[:1]])
    onward[last] = back[first]
    return back, onward


def _only(corners: np.ndarray, ends: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return corners[kept], np.concatenate([[0], np.cumsum(kept)])[ends]


def hull(points: np.ndarray) -> np.ndarray:
    """The convex hull of points (n, 2) as corners (k, 2), float64."""
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def cluster_outlines(nucleus_outlines: Sequence[np.ndarray], cluster_of_nucleus: np.ndarray, n_clusters: int) -> list[np.ndarray]:
    """For each cluster 1..n the convex hull (k, 2) in um around the outlines of its nuclei; cluster_of_nucleus: int, by row, 0 none."""
    members = [np.flatnonzero(cluster_of_nucleus == k) for k in range(1, n_clusters + 1)]
    return [hull(np.concatenate([nucleus_outlines[int(i)] for i in rows])) for rows in members]

"""Size and form of labelled objects, with pixels as squares: pixel (0, 0) covers [0, 1), so a centroid of one pixel is 0.5."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.segment.runs import Runs, as_runs
from biopsy_analyzer.tables import SHAPE, empty, typed

HULLS = 256  # looked at together: their pairs of corners fit into a core's own memory


def measure_shape(labels: np.ndarray | Runs, grid: PixelGrid) -> pd.DataFrame:
    """The SHAPE columns of `labels` (int32 (H, W) on `grid`, 1..n without gaps, or its runs), row k - 1 for label k.

    No labels: an empty table.

    Positions are um on the slide. Areas, centroids and second moments are exact for pixels as squares (a single pixel has
    eccentricity 0, unlike with moments of pixel centres). Perimeter: Cauchy-Crofton over four directions, right on average
    over orientations (a disc within 1 %, an axis-parallel square 5 to 9 % too small); outlines of holes count. Convex hull and
    Feret diameters: over the middles of the pixels' edges. Solidity and circularity are cut at 1, which small objects would exceed.
    """
    runs = as_runs(labels)
    if runs.n == 0:
        return empty(SHAPE)
    um = grid.um_per_px
    area, perimeter = runs.area, _crofton_perimeter(runs)
    y, x, eccentricity = _moments(runs)
    hull_area, min_feret, max_feret = _hulls(runs)
    centre = grid.to_um(np.stack([y, x], axis=1))
    columns = {
        "y_um": centre[:, 0],
        "x_um": centre[:, 1],
        "area_um2": area * um**2,
        "perimeter_um": perimeter * um,
        "min_feret_um": min_feret * um,
        "max_feret_um": max_feret * um,
        "equivalent_diameter_um": np.sqrt(4 * area / np.pi) * um,
        "eccentricity": eccentricity,
        "solidity": np.minimum(area / hull_area, 1),
        "circularity": np.minimum(4 * np.pi * area / perimeter**2, 1),
        "touches_border": _touches_border(runs),
    }
    return typed(pd.DataFrame(columns), SHAPE)


def _moments(runs: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroid (y, x) in px and eccentricity, from integrals over each run's rectangle; centred first, for precision far from 0."""
    middle_y, middle_x = runs.row + 0.5, runs.left + runs.width / 2
    (y, x), area = runs.centroid(), runs.area
    # the background's entry is never used
    dy, dx = middle_y - np.append(0, y)[runs.label], middle_x - np.append(0, x)[runs.label]
    yy = runs.total(runs.width * (dy**2 + 1 / 12)) / area
    xx = runs.total(runs.width * (dx**2 + runs.width**2 / 12)) / area
    xy = runs.total(runs.width * dy * dx) / area
    spread = np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    largest = (yy + xx) / 2 + spread
    return y, x, np.sqrt(np.minimum(2 * spread / largest, 1))


def _crofton_perimeter(runs: Runs) -> np.ndarray:
    """Perimeter in px (n,): pi / 8 times the sum over four directions of crossings times the distance of the lines."""
    crossings = 2 * (runs.area - runs.neighbours())  # of a pixel's two sides along a line those that are not shared with its own label
    return np.pi / 8 * (np.array([1.0, 1.0, np.sqrt(0.5), np.sqrt(0.5)])[:, None] * crossings).sum(axis=0)


def _hulls(runs: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Area (px^2), smallest and largest Feret diameter (px) of each label's convex hull."""
    labelled = np.flatnonzero(runs.label)
    order = labelled[np.argsort(runs.label[labelled], kind="stable")]
    top, left, right = 2 * runs.row[order], 2 * runs.left[order], 2 * (runs.left + runs.width)[order]
    # in half pixels, (x, y): the edge middles of the first and the last pixel of each run
    corners = [(left, top + 1), (left + 1, top), (left + 1, top + 2), (right, top + 1), (right - 1, top), (right - 1, top + 2)]
    points = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1).astype(np.int32).reshape(-1, 2)
    ends = 6 * np.searchsorted(runs.label[order], np.arange(1, runs.n + 1), side="right")
    hulls = [cv2.convexHull(points[a:b])[:, 0] for a, b in pairwise((0, *ends.tolist()))]
    by_corners = sorted(range(len(hulls)), key=lambda k: len(hulls[k]))  # those of a batch are filled up to the same number
    sizes = np.empty((len(hulls), 3))
    for start in range(0, len(hulls), HULLS):
        some = by_corners[start : start + HULLS]
        sizes[some] = _hull_sizes([hulls[k] for k in some])
    return sizes[:, 0] / 4, sizes[:, 1] / 2, sizes[:, 2] / 2


def _hull_sizes(hulls: list[np.ndarray]) -> np.ndarray:
    """Area, smallest and largest Feret diameter of convex polygons, each int (k, 2), in their own units, float64 (n, 3)."""
    sizes = np.array([len(hull) for hull in hulls])
    number = np.minimum(np.arange(sizes.max()), sizes[:, None] - 1)  # shorter ones repeat their last corner
    corner = np.concatenate(hulls).astype(np.float64)[np.cumsum(sizes)[:, None] - sizes[:, None] + number]
    side = np.roll(corner, -1, axis=1) - corner
    (x, y), (along_x, along_y) = np.moveaxis(corner, -1, 0), np.moveaxis(side, -1, 0)
    area = np.abs((x * along_y - y * along_x).sum(axis=1)) / 2
    # the narrowest strip around a convex polygon lies along one of its sides
    beside = along_x[:, :, None] * y[:, None] - along_y[:, :, None] * x[:, None]
    length = np.hypot(along_x, along_y)
    strip = np.divide(np.ptp(beside, axis=2), length, out=np.full(length.shape, np.inf), where=length > 0)
    apart = np.square(x[:, :, None] - x[:, None]) + np.square(y[:, :, None] - y[:, None])
    return np.stack([area, strip.min(axis=1), np.sqrt(apart.max(axis=(1, 2)))], axis=1)


def _touches_border(runs: Runs) -> np.ndarray:
    height, width = runs.shape
    touches = np.zeros(runs.n + 1, bool)
    touches[runs.label[(runs.row == 0) | (runs.row == height - 1) | (runs.left == 0) | (runs.left + runs.width == width)]] = True
    return touches[1:]

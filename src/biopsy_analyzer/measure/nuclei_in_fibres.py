"""Which nucleus lies in which fibre, and how deep."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.segment.borders import borders
from biopsy_analyzer.segment.stored_labels import StoredLabels

AT_OUTLINE_UM = 1.0
"""A nucleus whose centre lies at most this far outside a fibre is that fibre's, at depth 0: outlines run around the nuclei under
the sarcolemma and are no better than about a pixel, while a capillary's or fibroblast's centre lies 1.5 um outside and more. Prior."""


NEAR_UM = 64.0  # reach of the windows in which nearly all nuclei have a fibre
FAR_UM = 1000.0  # no fibre so far away says anything of a nucleus
WINDOW_PX = 2048
LEAF_POINTS = 128


def assign(nuclei: pd.DataFrame, fibre_labels: np.ndarray, fibre_grid: PixelGrid) -> pd.DataFrame:
    """The fibre of each nucleus, in columns `fibre_id` (int32), `depth_um` and `fibre_distance_um` (float64), on the index of `nuclei`.

    nuclei        `y_um`, `x_um` of the centres, on the slide
    fibre_labels  int32 (H, W) on `fibre_grid`, which need not be the grid of the nuclei

    fibre_id           the fibre under the centre, or that at most AT_OUTLINE_UM away; 0: between the fibres or beyond the image
    depth_um           centre to the fibre's outline, also where it touches a neighbour; the edge of the image is no outline, and
                       NaN where no outline is in the image; NaN between the fibres
    fibre_distance_um  centre to the nearest fibre; 0 for nuclei that have one; NaN without fibres

    Distances are to the middles of the pixel edges that make the outline: right to 0.1 px, 0.4 px outside sharp corners.
    """
    centres = fibre_grid.to_px(nuclei[["y_um", "x_um"]].to_numpy(dtype=np.float64).reshape(-1, 2))
    fibre = _label_under(centres, fibre_labels)
    distance = np.full(len(nuclei), np.nan)
    points, owner = _outlines(fibre_labels)
    if len(points) and len(nuclei):
        # unbalanced and coarse: built several times faster, queried as fast
        distance, nearest = cKDTree(points, LEAF_POINTS, balanced_tree=False, compact_nodes=False).query(centres)
        distance = distance * fibre_grid.um_per_px
        at_outline = (fibre == 0) & (distance <= AT_OUTLINE_UM)
        fibre = np.where(at_outline, owner[nearest], fibre)
        depth = np.where(at_outline, 0.0, distance)
    else:
        depth = distance
    columns = {
        "fibre_id": fibre.astype(np.int32),
        "depth_um": np.where(fibre > 0, depth, np.nan),
        "fibre_distance_um": np.where(fibre > 0, 0.0, distance),
    }
    return pd.DataFrame(columns, index=nuclei.index)


def assign_by_window(nuclei: pd.DataFrame, fibre_labels: np.ndarray | StoredLabels, fibre_grid: PixelGrid) -> pd.DataFrame:
    """What `assign` gives, from windows of a label image that need not fit into memory.

    Exact up to FAR_UM: a nucleus farther from any fibre has `fibre_distance_um` NaN, and one deeper below its outline `depth_um` NaN.
    """
    found = assign(nuclei, np.zeros((1, 1), np.int32), PixelGrid((1, 1), fibre_grid.um_per_px))
    rows = np.arange(len(nuclei))
    for reach_um in (NEAR_UM, FAR_UM):
        left_over = []
        for some in _squares(nuclei.iloc[rows], fibre_grid):
            told, sure = _assign_in_window(nuclei.iloc[rows[some]], fibre_labels, fibre_grid, reach_um)
            sure |= reach_um == FAR_UM
            found.iloc[rows[some[sure]]] = told[sure]
            left_over.append(rows[some[~sure]])
        rows = np.concatenate([np.zeros(0, np.intp), *left_over])
    far = ~(found[["depth_um", "fibre_distance_um"]] <= FAR_UM)
    return found.assign(**{name: found[name].mask(far[name]) for name in far})


def _squares(nuclei: pd.DataFrame, grid: PixelGrid) -> list[np.ndarray]:
    """Row numbers of the nuclei of each square of WINDOW_PX."""
    square = np.floor(grid.to_px(nuclei[["y_um", "x_um"]].to_numpy(dtype=np.float64).reshape(-1, 2)) / WINDOW_PX).astype(np.int64)
    _, number = np.unique(square, axis=0, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return [part for part in np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(part)]


def _assign_in_window(
    nuclei: pd.DataFrame, labels: np.ndarray | StoredLabels, grid: PixelGrid, reach_um: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """`assign` in the window that reaches `reach_um` round these nuclei, and for which of them nothing beyond it can be nearer."""
    centres = grid.to_px(nuclei[["y_um", "x_um"]].to_numpy(dtype=np.float64))
    reach = reach_um / grid.um_per_px
    top, left = np.maximum(np.floor(centres.min(axis=0) - reach), 0).astype(int).tolist()
    bottom, right = np.minimum(np.ceil(centres.max(axis=0) + reach), grid.shape).astype(int).tolist()
    window = grid.crop(top, left, max(bottom - top, 0), max(right - left, 0))
    told = assign(nuclei, labels[top : top + window.shape[0], left : left + window.shape[1]], window)
    whole = top == left == 0 and (bottom, right) == grid.shape
    distance = told["depth_um"].where(told["fibre_id"] > 0, told["fibre_distance_um"])
    return told, (distance <= reach_um).to_numpy() | whole


def nuclear_mask(nucleus_labels: np.ndarray, nucleus_grid: PixelGrid, grid: PixelGrid) -> np.ndarray:
    """Which pixels of `grid` have their centre under a nucleus, bool (H, W): `exclude` when fibres' colours are measured.

    nucleus_labels int32 on `nucleus_grid`; pixels of `grid` beyond it are False.
    """
    axes = []
    for axis in (0, 1):
        centre = np.zeros((grid.shape[axis], 2))
        centre[:, axis] = np.arange(grid.shape[axis]) + 0.5
        index = np.floor(nucleus_grid.to_px(grid.to_um(centre))[:, axis]).astype(np.int64)
        axes.append((np.clip(index, 0, nucleus_grid.shape[axis] - 1), (index >= 0) & (index < nucleus_grid.shape[axis])))
    (rows, row_inside), (columns, column_inside) = axes
    return (nucleus_labels[np.ix_(rows, columns)] > 0) & row_inside[:, None] & column_inside


def _label_under(centres: np.ndarray, labels: np.ndarray) -> np.ndarray:
    index = np.floor(centres).astype(np.int64)
    inside = ((index >= 0) & (index < labels.shape)).all(axis=1)
    found = np.zeros(len(centres), np.int32)
    found[inside] = labels[tuple(index[inside].T)]
    return found


def _outlines(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles (m, 2) in px, (y, x), of the pixel edges between different labels, and a fibre at each (m,)."""
    points, owner = [], []
    flat, width = labels.ravel(), labels.shape[1]
    for (one, other), offset in zip(borders(labels), ((0.5, 1.0), (1.0, 0.5)), strict=True):
        points.append(np.stack(np.divmod(one, width), axis=1) + offset)
        owner.append(np.maximum(flat[one], flat[other]))
    return np.concatenate(points), np.concatenate(owner)

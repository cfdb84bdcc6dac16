"""Objects of one kind, fibres or nuclei, in one window: from a network's maps to labels, measures and outlines of its own ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.canvas import in_tissue
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.colour import measure_colour, pool_maps
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.report.outlines import Rings, outlines
from biopsy_analyzer.segment.front import View
from biopsy_analyzer.segment.own import Own
from biopsy_analyzer.segment.runs import Runs
from biopsy_analyzer.settings import SegmentSettings
from biopsy_analyzer.tissue.mask import Tissue

BLUR_UM = 10.0  # no measure looks farther round an object

ToLabels = Callable[[np.ndarray, float, SegmentSettings, Own | None], np.ndarray]
"""Maps (C, H, W), um/px, settings and what is needed (None: everything) -> labels int32 (H, W)."""


@dataclass(frozen=True)
class Found:
    """The objects that a window owns: labels 1..n, and a row, an outline and the first pixel of each.

    visible  labels of what lies in the window (int32, on `grid`): 1..n its own, above them its neighbours'
    at       where `visible` starts on the canvas, px
    table    SHAPE, COLOUR and `map_*`
    first    (n, 2) row and column on the canvas of each object's first pixel in raster order
    cut      how many of them were cut at the lines between blocks, as they are larger than a window is sure to hold
    """

    visible: np.ndarray
    grid: PixelGrid
    at: tuple[int, int]
    table: pd.DataFrame
    rings: Rings
    first: np.ndarray
    cut: int


def find_objects(
    view: View,
    channels: tuple[str, ...],
    to_labels: ToLabels,
    tissue: Tissue,
    stains: np.ndarray,
    settings: SegmentSettings,
    leave_out: Callable[[PixelGrid], np.ndarray] | None = None,
    neighbours: bool = True,
) -> Found:
    """Tell and measure the objects of a window; those whose centre lies outside the tissue are dropped.

    channels   the network's; those from the third on are pooled over each object as `map_*`
    stains     (2, 3) as `stain.separate` wants them
    leave_out  which pixels of a grid do not count for colour, bool (H, W): nuclei, when fibres are measured
    neighbours whether all that lies in the window is told, or of what is not its own only what it needs, which is quicker
    A window owns an object if the middle of the object's box lies in its core. Objects larger than `view.largest` are cut at the
    lines between cores, each window keeping its piece, which is said to touch the border.
    """
    um, around = view.grid.um_per_px, math.ceil(BLUR_UM / view.grid.um_per_px)
    window = Own(view.core, view.largest, around)
    found = _on_tissue(Runs(to_labels(view.maps, um, settings, None if neighbours else window)), view.grid, tissue)
    found, cut = _own_first(found, window)
    area = _around(found, around, window.core)
    labels, rgb, maps = found.image()[area], view.rgb[area], view.maps[:, *area]
    at = view.at[0] + area[0].start, view.at[1] + area[1].start
    grid = view.grid.crop(area[0].start, area[1].start, *labels.shape)
    found = found if labels.shape == found.shape else Runs(labels)
    own = found.with_labels(np.where(found.label <= len(cut), found.label, 0), len(cut))
    shape = measure_shape(own, grid).assign(touches_border=cut | _at_the_edge(own.boxes() + np.tile(at, 2), view.canvas))
    exclude = None if leave_out is None else leave_out(grid)
    colour = measure_colour(found, rgb, stains, grid.um_per_px, exclude).iloc[: len(cut)]
    pooled = pd.DataFrame(pool_maps(own, maps[2:]), columns=map_columns(channels))
    table = pd.concat([shape, colour, pooled], axis=1)
    return Found(labels, grid, at, table, outlines(own, grid), own.first() + at, int(cut.sum()))


def map_columns(channels: tuple[str, ...]) -> list[str]:
    """Names of the columns of a network's pooled classes."""
    return [f"map_{name.replace('-', '_')}" for name in channels[2:]]


def _on_tissue(runs: Runs, grid: PixelGrid, tissue: Tissue) -> Runs:
    """Labels 1..n without those whose centre lies on glass, numbered anew."""
    kept = in_tissue(tissue, grid.to_um(np.stack(runs.centroid(), axis=1)))
    return runs if kept.all() else runs.with_labels(np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)[runs.label])


def _own_first(runs: Runs, window: Own) -> tuple[Runs, np.ndarray]:
    """Labels 1..n renumbered so that the window's own come first, in the old order; and which of these are cut, bool (own,)."""
    boxes = runs.boxes()
    own, large = window.middle_in_core(boxes), window.large(boxes)
    cut = np.zeros(len(boxes), bool)
    if large.any():
        labels, cut = _cut_at_core(runs.image(), large, window.core)
        runs = Runs(labels)
        own = np.where(large, np.bincount(runs.label, minlength=len(boxes) + 1)[1 : len(boxes) + 1] > 0, own)
    own, cut = np.pad(own, (0, runs.n - len(own))), np.pad(cut, (0, runs.n - len(cut)))
    if own.all():
        return runs, cut
    number = np.where(own, np.cumsum(own), own.sum() + np.cumsum(~own))
    return runs.with_labels(np.concatenate([[0], number]).astype(np.int32)[runs.label]), cut[own]


def _cut_at_core(labels: np.ndarray, large: np.ndarray, core: tuple[tuple[int, int], tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Large objects (bool (n,)) as one piece in the core, numbered as before, and the rest of all of them as n + 1; and which are cut."""
    inside = np.zeros(labels.shape, bool)
    inside[slice(*core[0]), slice(*core[1])] = True
    outside = np.concatenate([[False], large]).take(labels) & ~inside
    cut = np.bincount(labels[outside], minlength=len(large) + 1)[1:] > 0
    return np.where(outside, np.int32(len(large) + 1), labels), cut


def _at_the_edge(boxes: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """Which boxes (n, 4) in px of the canvas reach its edge, bool (n,)."""
    return np.asarray((boxes[:, :2] <= 0).any(axis=1) | (boxes[:, 2:] >= canvas).any(axis=1))


def _around(runs: Runs, margin: int, core: tuple[tuple[int, int], tuple[int, int]]) -> tuple[slice, slice]:
    """The smallest window of even edges that holds all labels and a margin; one pixel where there are none.

    Where another window lies before this one it begins as this one does, for the sake of the last bit of what is measured; and on even
    pixels of the canvas, as mottling is told in squares of 2 px.
    """
    inside = runs.label > 0
    if not inside.any():
        return slice(0, 1), slice(0, 1)
    row, left, past = runs.row[inside], runs.left[inside], (runs.left + runs.width)[inside]
    firsts = int(row[0]), int(left.min())
    top, start = (0 if before else max(0, n - margin) // 2 * 2 for (before, _), n in zip(core, firsts, strict=True))
    bottom, end = (-(-(n + margin) // 2) * 2 for n in (int(row[-1]) + 1, int(past.max())))
    return slice(top, min(runs.shape[0], bottom)), slice(start, min(runs.shape[1], end))

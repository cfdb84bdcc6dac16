"""Label images made fit to measure: holes filled, small finds and slivers dropped, numbers without gaps."""

from __future__ import annotations

import math

import cv2
import numpy as np

from biopsy_analyzer.segment.borders import borders
from biopsy_analyzer.segment.runs import Runs
from biopsy_analyzer.segment.sheet import Sheet


def clean(labels: np.ndarray, min_area_px: float) -> np.ndarray:
    """`labels` (int32 (H, W)) with holes filled, finds below `min_area_px` and slivers dropped, numbered 1..n in the old order.

    A sliver is an object in which no circle fits whose radius is half that of a circle of `min_area_px`.
    A hole is background enclosed by one object alone; gaps between several objects stay. Zeros give zeros.
    """
    runs = Runs(labels)
    # crumbs went first and slivers go last, because a ghost fibre is a thin ring around crumbs until it is filled
    runs = _filled(_keep(runs, (runs.area >= min_area_px) & (runs.area > 0)))
    wide = ~_slivers(runs, 0.5 * math.sqrt(min_area_px / math.pi))
    if not wide.all():
        # where a sliver lay in a hole, a larger hole is left
        runs = _filled(_keep(runs, wide))
    return runs.image()


def _filled(runs: Runs) -> Runs:
    """Every piece of background that one single label encloses is given to that label.

    Background that reaches the edge of the image is never a hole: what lies beyond is unknown.
    """
    n, pieces = cv2.connectedComponents(runs.image((runs.label == 0).view(np.uint8)), connectivity=8, ltype=cv2.CV_32S)
    piece = pieces.ravel()[runs.start]
    open_ = np.zeros(n, bool)
    for edge in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        open_[edge] = True
    open_[0] = True  # what is labelled
    holes = np.flatnonzero(~open_[piece])
    if not len(holes):
        return runs
    lowest, highest = np.full(n, np.iinfo(np.int32).max, np.int32), np.zeros(n, np.int32)
    beside = (holes, holes - 1), (holes, holes + 1)  # holes do not reach the edge, and a run beside one is labelled
    for hole, wall in (*beside, runs.meeting(holes, -1), runs.meeting(holes, 1)):
        at = runs.label[wall] > 0
        np.minimum.at(lowest, piece[hole[at]], runs.label[wall[at]])
        np.maximum.at(highest, piece[hole[at]], runs.label[wall[at]])
    label = runs.label.copy()
    label[holes] = np.where(lowest == highest, highest, 0)[piece[holes]]
    return runs.with_labels(label)


def _keep(runs: Runs, wanted: np.ndarray) -> Runs:
    """The labels 1..n that are wanted, bool (n,), numbered anew."""
    return runs.with_labels(np.concatenate([[0], np.where(wanted, np.cumsum(wanted), 0)]).astype(np.int32)[runs.label])


def _slivers(runs: Runs, radius_px: float) -> np.ndarray:
    """Labels, bool (n,), without a pixel that lies `radius_px` or more inside; every label 1..n must occur."""
    doubtful = ~_wide_at_centre(runs, radius_px)
    if not doubtful.any():
        return doubtful
    # most are wide where their centre lies; the others, looked at as a whole, side by side
    image = runs.image()
    labels = Sheet(image, np.flatnonzero(doubtful) + 1, runs.boxes()[doubtful]).take(image)
    inside = np.flatnonzero(labels)
    deep = inside[_distance_inside(labels).ravel()[inside] >= radius_px]
    return doubtful & (np.bincount(labels.ravel()[deep], minlength=runs.n + 1)[1:] == 0)


def _wide_at_centre(runs: Runs, radius_px: float) -> np.ndarray:
    """Whether a disc fits round the centroid, by 1 px more than wanted, so that `_distance_inside` is sure to find it: bool (n,)."""
    centre = np.stack(runs.centroid(), axis=1).astype(np.int64)
    reach = math.ceil(radius_px + 1)
    wide = np.all((centre >= reach) & (centre < np.array(runs.shape) - reach), axis=1)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (dy * runs.shape[1] + dx)[np.hypot(dy, dx) <= radius_px + 1]
    at = (centre @ (runs.shape[1], 1))[wide, None] + disc
    found = runs.label[np.searchsorted(runs.start, at, side="right") - 1]
    wide[wide] = np.all(found == np.flatnonzero(wide)[:, None] + 1, axis=1)
    return wide


def _distance_inside(labels: np.ndarray) -> np.ndarray:
    """Distance in px from each labelled pixel's centre to the outline of its own label; the image's edge is an outline."""
    inner = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2), np.uint8)
    inner[2:-2, 2:-2] = 1
    for one, other in borders(labels):
        for side in (one, other):
            y, x = np.divmod(side, labels.shape[1])
            inner[y + 1, x + 1] = 0
    return cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1] + np.float32(0.5)

"""Label images made fit to measure: holes filled, small finds and slivers dropped, numbers without gaps."""

from __future__ import annotations

import math

import cv2
import numpy as np

from biopsy_analyzer.segment.borders import borders


def clean(labels: np.ndarray, min_area_px: float) -> np.ndarray:
    """`labels` (int32 (H, W)) with holes filled, finds below `min_area_px` and slivers dropped, numbered 1..n in the old order.

    A sliver is an object in which no circle fits whose radius is half that of a circle of `min_area_px`.
    A hole is background enclosed by one object alone; gaps between several objects stay. Zeros give zeros.
    """
    labels = _keep(labels, np.bincount(labels[labels > 0], minlength=1) >= min_area_px)
    # crumbs went first and slivers go last, because a ghost fibre is a thin ring around crumbs until it is filled
    labels = fill_holes(labels)
    inside = np.flatnonzero(labels > 0)
    deep = inside[_distance_inside(labels).ravel()[inside] >= 0.5 * math.sqrt(min_area_px / math.pi)]
    wanted = np.bincount(labels.ravel()[deep], minlength=int(labels.max(initial=0)) + 1) > 0
    if wanted[1:].all():
        return labels
    # where a sliver lay in a hole, a larger hole is left
    return fill_holes(_keep(labels, wanted))


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """`labels` with every piece of background that one single label encloses given to that label; int32 (H, W).

    Background that reaches the edge of the image is never a hole: what lies beyond is unknown.
    """
    n, pieces = cv2.connectedComponents((labels == 0).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    flat, piece = labels.ravel(), pieces.ravel()
    lowest = np.full(n, np.iinfo(np.int32).max, np.int32)
    highest = np.zeros(n, np.int32)
    for one, other in borders(labels):
        for hole, wall in ((one, other), (other, one)):
            at = flat[hole] == 0
            np.minimum.at(lowest, piece[hole[at]], flat[wall[at]])
            np.maximum.at(highest, piece[hole[at]], flat[wall[at]])
    owner = np.where(lowest == highest, highest, 0).astype(np.int32)
    for edge in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        owner[edge] = 0
    return labels + owner.take(pieces) if owner.any() else labels


def _keep(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    wanted[0] = False
    return np.where(wanted, np.cumsum(wanted), 0).astype(np.int32).take(labels)


def _distance_inside(labels: np.ndarray) -> np.ndarray:
    """Distance in px from each labelled pixel's centre to the outline of its own label; the image's edge is an outline."""
    inner = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2), np.uint8)
    inner[2:-2, 2:-2] = 1
    for one, other in borders(labels):
        for side in (one, other):
            y, x = np.divmod(side, labels.shape[1])
            inner[y + 1, x + 1] = 0
    return cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1] + np.float32(0.5)

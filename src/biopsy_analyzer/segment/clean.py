"""Label images made fit to measure: holes filled, small finds and slivers dropped, numbers without gaps."""

from __future__ import annotations

import math

import cv2
import numpy as np


def clean(labels: np.ndarray, min_area_px: float) -> np.ndarray:
    """`labels` (int32 (H, W)) with holes filled, finds below `min_area_px` and slivers dropped, numbered 1..n in the old order.

    A sliver is an object in which no circle fits whose radius is half that of a circle of `min_area_px`.
    A hole is background enclosed by one object alone; gaps between several objects stay. Zeros give zeros.
    """
    labels = _keep(labels, np.bincount(labels.ravel()) >= min_area_px)
    # crumbs went first and slivers go last, because a ghost fibre is a thin ring around crumbs until it is filled
    labels = fill_holes(labels)
    deep = _distance_inside(labels) >= 0.5 * math.sqrt(min_area_px / math.pi)
    labels = _keep(labels, np.bincount(labels[deep], minlength=int(labels.max(initial=0)) + 1) > 0)
    # where a sliver lay in a hole, a larger hole is left
    return fill_holes(labels)


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """`labels` with every piece of background that one single label encloses given to that label; int32 (H, W).

    Background that reaches the edge of the image is never a hole: what lies beyond is unknown.
    """
    n, pieces = cv2.connectedComponents((labels == 0).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    lowest = np.full(n, np.iinfo(np.int32).max, np.int32)
    highest = np.zeros(n, np.int32)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        for hole, wall in ((here, there), (there, here)):
            at = (pieces[hole] > 0) & (labels[wall] > 0)
            piece, label = pieces[hole][at], labels[wall][at]
            np.minimum.at(lowest, piece, label)
            np.maximum.at(highest, piece, label)
    owner = np.where(lowest == highest, highest, 0).astype(np.int32)
    for edge in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        owner[edge] = 0
    return labels + owner[pieces]


def _keep(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    wanted[0] = False
    return np.where(wanted, np.cumsum(wanted), 0).astype(np.int32)[labels]


def _distance_inside(labels: np.ndarray) -> np.ndarray:
    """Distance in px from each pixel's centre to the outline of its own label; 0 in the background; the image's edge is an outline."""
    padded = np.pad(labels, 1)
    core = padded[1:-1, 1:-1]
    inner = core > 0
    for neighbour in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        inner &= neighbour == core
    distance = cv2.distanceTransform(np.pad(inner.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    return np.where(labels > 0, distance + 0.5, 0)

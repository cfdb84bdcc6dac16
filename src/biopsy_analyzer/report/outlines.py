"""Labels as polygons along pixel edges: what GeoJSON holds and the overlay draws."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from biopsy_analyzer.grid import PixelGrid


def outlines(labels: np.ndarray, grid: PixelGrid) -> list[np.ndarray]:
    """The outer outline of each label 1..n as (k, 2) float64 corners (y, x) in um, not closed, in the order of the labels.

    labels int32 (H, W), consecutive. The polygon runs along pixel edges, so without holes its area is the label's. Of a label in
    several pieces the largest is taken; holes are filled. No labels: an empty list.
    """
    rings = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        corners = _edge_polygon(labels[rows, columns] == label) + np.array([rows.start, columns.start])
        rings.append(grid.to_um(corners))
    return rings


def _edge_polygon(mask: np.ndarray) -> np.ndarray:
    """Corners (k, 2) (y, x) in px of the largest piece of a bool mask.

    OpenCV joins the centres of the border's pixels, half a pixel inside. In the mask doubled, each of those centres is next to
    exactly one corner of the original's pixels: even ones at their upper left, odd ones at their lower right.
    """
    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea) if len(contours) > 1 else contours[0]
    corners = (largest[:, 0, ::-1].astype(np.int64) + 1) // 2
    return _without_straight_points(corners)


def _without_straight_points(ring: np.ndarray) -> np.ndarray:
    """The ring without repeated points and without points on a straight line between their neighbours."""
    ring = ring[np.any(np.diff(ring, axis=0, prepend=ring[-1:]) != 0, axis=1)]
    before = np.diff(ring, axis=0, prepend=ring[-1:])
    after = np.concatenate([before[1:], before[:1]])
    return ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]


def without_stairs(ring: np.ndarray, reach_um: float) -> np.ndarray:
    """The ring (k, 2) with each corner cut at `reach_um` before and behind it, or half way to the next: (2 k, 2), for the eye.

    With half a pixel of the label image stairs become straight lines, and the area shrinks by half a pixel at most.
    """
    onward = np.roll(ring, -1, axis=0) - ring
    length = np.linalg.norm(onward, axis=1, keepdims=True)
    step = onward / length * np.minimum(reach_um, length / 2)
    return np.stack([ring - np.roll(step, 1, axis=0), ring + step], axis=1).reshape(-1, 2)


def hull(points: np.ndarray) -> np.ndarray:
    """The convex hull of points (n, 2) as corners (k, 2), float64."""
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def cluster_outlines(nucleus_outlines: list[np.ndarray], cluster_of_nucleus: np.ndarray, n_clusters: int) -> list[np.ndarray]:
    """For each cluster 1..n the convex hull (k, 2) in um around the outlines of its nuclei; cluster_of_nucleus: int, by row, 0 none."""
    members = [np.flatnonzero(cluster_of_nucleus == k) for k in range(1, n_clusters + 1)]
    return [hull(np.concatenate([nucleus_outlines[i] for i in rows])) for rows in members]

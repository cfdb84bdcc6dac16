"""Outlines and marks as SVG path data: whole units and relative steps, because a section has thousands."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np


def closed_path(ring: np.ndarray, tolerance: float) -> str:
    """Path data of a ring (k, 2) (y, x) in units, rounded to whole ones, points nearer than `tolerance` to the line left out."""
    rounded = cv2.approxPolyDP(ring[:, ::-1].astype(np.float32).reshape(-1, 1, 2), tolerance, True)[:, 0]
    points = rounded.round().astype(int)
    onward = str(np.diff(points, axis=0).ravel().tolist())[1:-1].replace(",", "")  # the list as text is by far the quickest
    return f"M{points[0, 0]} {points[0, 1]}" + (f"l{onward}z" if onward else "h0")


def marks_path(centres: np.ndarray, corners: int, radius: float) -> str:
    """Path data of one mark at each of `centres` (n, 2) (y, x) in units, those on the same whole unit once.

    corners  3 triangle, 4 diamond; more: a dot, a line of no length that a round cap makes a disc
    """
    spots = np.unique(centres.round().astype(int), axis=0).tolist() if len(centres) else []
    if corners > 4:
        return "".join(f"M{x} {y}h0" for y, x in spots)
    r = round(radius)
    if corners == 3:
        return "".join(f"M{x} {y - r}l{r} {2 * r - 1}h{-2 * r}z" for y, x in spots)
    return "".join(f"M{x} {y - r}l{r} {r}l{-r} {r}l{-r} {-r}z" for y, x in spots)


def joined(rings: Iterable[np.ndarray], tolerance: float) -> str:
    """One path of many rings."""
    return "".join(closed_path(ring, tolerance) for ring in rings)

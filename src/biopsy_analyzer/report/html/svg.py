"""Outlines and marks as SVG path data: whole units and relative steps, because a section has thousands."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from biopsy_analyzer.report.outlines import laid_out, split

_WIDE = 1 << 24  # units; wider than any picture


def closed_path(ring: np.ndarray, tolerance: float) -> str:
    """Path data of a ring (k, 2) (y, x) in units, rounded to whole ones, points nearer than `tolerance` to the line left out."""
    return joined([ring], tolerance)


def joined(rings: Sequence[np.ndarray], tolerance: float) -> str:
    """One path of many rings; "" without any."""
    if not rings:
        return ""
    corners, ends = laid_out(rings)
    kept = [cv2.approxPolyDP(ring, tolerance, True)[:, 0] for ring in split(corners[:, ::-1].astype(np.float32), ends)]
    points = np.concatenate(kept).round().astype(int)
    onward = np.diff(points, axis=0, prepend=0).ravel().tolist()
    past = np.cumsum([2 * len(ring) for ring in kept]).tolist()
    starts = points[[end // 2 - len(ring) for end, ring in zip(past, kept, strict=True)]].tolist()
    return "".join(_closed(x, y, onward[end - 2 * len(ring) + 2 : end]) for (x, y), end, ring in zip(starts, past, kept, strict=True))


def _closed(x: int, y: int, onward: list[int]) -> str:
    steps = str(onward)[1:-1].replace(",", "")  # the list as text is by far the quickest
    return f"M{x} {y}" + (f"l{steps}z" if steps else "h0")


def marks_path(centres: np.ndarray, corners: int, radius: float) -> str:
    """Path data of one mark at each of `centres` (n, 2) (y, x) in units, those on the same whole unit once.

    corners  3 triangle, 4 diamond; more: a dot, a line of no length that a round cap makes a disc
    """
    if not len(centres):
        return ""
    places = np.unique(centres.round().astype(np.int64) @ [_WIDE, 1] + _WIDE // 2)  # numpy finds unique pairs ten times as slowly
    spots = np.column_stack([places // _WIDE, places % _WIDE - _WIDE // 2]).tolist()
    if corners > 4:
        return "".join(f"M{x} {y}h0" for y, x in spots)
    r = round(radius)
    if corners == 3:
        return "".join(f"M{x} {y - r}l{r} {2 * r - 1}h{-2 * r}z" for y, x in spots)
    return "".join(f"M{x} {y - r}l{r} {r}l{-r} {r}l{-r} {-r}z" for y, x in spots)

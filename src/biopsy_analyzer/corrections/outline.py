"""Shapes that a reader draws, as pixels: filled, cut, joined. Arrays only."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage
from skimage.draw import polygon

from biopsy_analyzer.errors import UsageError

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def filled(ring_px: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies in the ring (k, 2), (y, x) in px with pixel 0 covering [0, 1): bool (H, W).

    UsageError for fewer than three corners.
    """
    if len(ring_px) < 3:
        raise UsageError(f"an outline of {len(ring_px)} points; wanted at least three corners")
    mask = np.zeros(shape, bool)
    rows, columns = (ring_px - 0.5).T
    mask[polygon(rows, columns, shape)] = True
    return mask


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest 4-connected piece with its holes filled; an empty mask stays empty."""
    pieces, n = ndimage.label(mask)
    if n == 0:
        return mask
    return np.asarray(ndimage.binary_fill_holes(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1))


def cut(mask: np.ndarray, line_px: np.ndarray, min_px: float) -> list[np.ndarray]:
    """The pieces of a bool mask on the sides of a line (k, 2), largest first; every pixel is in one, crumbs go to the nearest piece.

    UsageError where the line leaves one piece, or only crumbs below `min_px` beside one.
    """
    barrier = np.zeros(mask.shape, np.uint8)
    points = np.round((line_px[:, ::-1] - 0.5) * 256).astype(np.int32)
    cv2.polylines(barrier, [points], isClosed=False, color=1, thickness=1, lineType=cv2.LINE_8, shift=8)
    thick = cv2.dilate(barrier, _CROSS)  # a diagonal line of single pixels would let 4-connected pieces touch
    pieces, n = ndimage.label(mask & (thick == 0))
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
    kept = [k + 1 for k in np.argsort(-sizes, kind="stable") if sizes[k] >= min_px]
    if len(kept) < 2:
        raise UsageError("the line leaves one piece; draw it from outside the fibre, through it, to outside again")
    seeds = np.where(np.isin(pieces, kept), pieces, 0)
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    whole = np.where(mask, seeds[tuple(nearest)], 0)
    return [whole == k for k in kept]


def joined(mask: np.ndarray, free: np.ndarray, gap_px: float) -> np.ndarray:
    """The pieces of `mask` and the `free` pixels in clefts of up to `gap_px` between them, as one piece without holes.

    UsageError where they are farther apart, or other objects lie between.
    """
    reach = int(np.ceil(gap_px / 2))
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= gap_px / 2 + 1e-9
    padded = np.pad(mask, 2 * reach).astype(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc.astype(np.uint8))[2 * reach : -2 * reach, 2 * reach : -2 * reach] > 0
    whole = mask | (closed & free)
    if ndimage.label(whole)[1] != 1:
        raise UsageError("these fibres are not next to each other; wanted neighbours with at most a cleft between them")
    return np.asarray(whole | (ndimage.binary_fill_holes(whole) & free))

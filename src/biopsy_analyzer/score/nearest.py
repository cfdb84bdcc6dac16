"""The nearest of many discs to each pixel of a raster, by exact distances: mirrored or turned by 90 degrees, discs give the same map."""

from __future__ import annotations

import cv2
import numpy as np

FIRST_REACH_PX = 2.0  # most fibres have another one within twice that; pixels that none reaches are asked again, with twice the reach
AT_A_TIME = 2048  # discs, to save memory
BESIDE = ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]))
"""Two views of a map that lay each pixel on its right neighbour, and two on its lower one."""


def nearest_disc(yx_px: np.ndarray, radius_px: np.ndarray, shape: tuple[int, int], reach_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance in px from the middle of each pixel to the edge of the nearest disc, below 0 inside, and whose disc that is.

    yx_px (n, 2), radius_px (n,): discs in px, pixel (0, 0) is [0, 1)
    Distance float64 (H, W), infinite where no disc comes within `reach_px`; row int32 (H, W), 0 there. Of discs equally near it is the one
    of the greatest y, then x, then radius: the order of rows doesn't matter.
    """
    distance, row = np.full(shape, np.inf), np.zeros(shape, dtype=np.int32)
    asked = np.lexsort((radius_px, yx_px[:, 1], yx_px[:, 0]))
    reach = min(FIRST_REACH_PX, reach_px)
    while True:
        unreached = np.isinf(distance)
        near = asked[_any_within(unreached, yx_px[asked], radius_px[asked] + reach)]
        for start in range(0, len(near), AT_A_TIME):
            _ask(near[start : start + AT_A_TIME], yx_px, radius_px, reach, unreached, distance.reshape(-1), row.reshape(-1))
        if reach == reach_px:
            return distance, row
        reach = min(2 * reach, reach_px)


def _ask(
    discs: np.ndarray, yx_px: np.ndarray, radius_px: np.ndarray, reach: float, wanted: np.ndarray, distance: np.ndarray, row: np.ndarray
) -> None:
    """Write distance and row, both flat, where one of `discs` comes within reach of a `wanted` pixel and is the nearest so far."""
    height, width = wanted.shape
    (y, x), radius = yx_px[discs].T, radius_px[discs]
    top, lines = _middles(y, radius + reach, height)
    line, disc = _counted(top, lines), np.repeat(np.arange(len(discs)), lines)
    up = (line + 0.5 - y[disc]) ** 2
    left, pixels = _middles(x[disc], np.sqrt(np.maximum((radius[disc] + reach) ** 2 - up, 0.0)), width)
    pixel, at = _counted(line * width + left, pixels), np.repeat(np.arange(len(line)), pixels)
    kept = wanted.reshape(-1)[pixel]
    pixel, at = pixel[kept], at[kept]
    apart = np.sqrt(up[at] + (pixel - (line * width + x[disc] - 0.5)[at]) ** 2) - radius[disc][at]
    np.minimum.at(distance, pixel, apart)
    nearest = np.flatnonzero(apart == distance[pixel])
    row[pixel[nearest]] = discs[disc[at[nearest]]]


def _middles(at: np.ndarray, half: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First of the pixels 0 .. size - 1 whose middle lies no further than `half` from `at`, and how many they are."""
    first = np.maximum(np.ceil(at - half - 0.5), 0).astype(np.int64)
    last = np.minimum(np.floor(at + half - 0.5), size - 1).astype(np.int64)
    return first, np.maximum(last - first + 1, 0)


def _counted(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ..., `count[0]` of them, then those of first[1], and so on."""
    return np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)


def _any_within(mask: np.ndarray, yx_px: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Whether any pixel of `mask` (H, W) lies in the square of +-`half` px around each place, bool (n,)."""
    total, size = cv2.integral(mask.astype(np.uint8)), np.array(mask.shape)
    (top, left), (bottom, right) = (np.clip(np.floor(yx_px + side).astype(int), 0, size).T for side in (-half[:, None], half[:, None] + 1))
    return np.asarray(total[bottom, right] + total[top, left] > total[top, right] + total[bottom, left])

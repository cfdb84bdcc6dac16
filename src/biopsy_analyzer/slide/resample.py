"""Any raster from any other, at exact sub-pixel positions: area average when shrinking, linear when enlarging.

Each output pixel depends only on where it lies, never on where the requested raster begins or ends. Edges are therefore
rounded to 1/4096 source pixel, and sums run over the taps in a fixed order: neighbouring reads agree bit for bit.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import sparse

STEPS = 4096
ROUNDING = 1e-5  # of sums of float32 weights: less than this outside is nothing outside
STRIP_PX = 100_000  # resampled at once, so that its numbers stay near the core: twice as fast as an image at once


def edges(start: float, step: float, count: int) -> np.ndarray:
    """The `count` + 1 edges of output pixels, int64 in 1/4096 source pixel; `start` and `step` in source pixels."""
    return np.rint((start + step * np.arange(count + 1)) * STEPS).astype(np.int64)


def span(edge: np.ndarray, size: int, enlarging: bool) -> tuple[int, int]:
    """First and past-the-last source pixel that the outputs between `edge` may touch, within 0..size; empty where outside."""
    beside = int(enlarging)
    low, high = int(edge[0] // STEPS) - beside, int(-(-edge[-1] // STEPS)) + beside
    return min(max(low, 0), size), max(min(high, size), 0)


def weights(edge: np.ndarray, size: int, enlarging: bool) -> sparse.csr_matrix:
    """Sparse float32 (outputs, size): what each source pixel gives to each output; a row sums to its share inside 0..size."""
    count = len(edge) - 1
    rows, columns, values = _linear(edge, size) if enlarging else _area(edge, size)
    keep = values > 0
    return sparse.csr_matrix((values[keep].astype(np.float32), (rows[keep], columns[keep])), shape=(count, size))


def _area(edge: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first = edge[:-1] // STEPS
    taps = int(np.max(-(-edge[1:] // STEPS) - first))
    columns = first[:, None] + np.arange(taps)
    overlap = np.minimum(edge[1:, None], (columns + 1) * STEPS) - np.maximum(edge[:-1, None], columns * STEPS)
    values = np.where((columns >= 0) & (columns < size), np.maximum(overlap, 0), 0) / np.diff(edge)[:, None]
    rows = np.broadcast_to(np.arange(len(first))[:, None], columns.shape)
    return rows.ravel(), np.clip(columns, 0, size - 1).ravel(), values.ravel()


def _linear(edge: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centre = (edge[:-1] + edge[1:]) / 2
    position = centre / STEPS - 0.5
    low = np.floor(position).astype(np.int64)
    high_share = position - low
    inside = (centre >= 0) & (centre < size * STEPS)  # beyond the outermost centres the edge pixel itself is continued
    values = np.stack([1 - high_share, high_share], axis=1) * inside[:, None]
    columns = np.clip(np.stack([low, low + 1], axis=1), 0, size - 1)
    rows = np.broadcast_to(np.arange(len(low))[:, None], columns.shape)
    return rows.ravel(), columns.ravel(), values.ravel()


def resample(pixels: np.ndarray, rows: sparse.csr_matrix, columns: sparse.csr_matrix) -> np.ndarray:
    """RGB uint8 (H, W, 3) -> (rows.shape[0], columns.shape[0], 3) uint8; what lies outside the source counts as white."""
    out = np.empty((rows.shape[0], columns.shape[0], 3), np.uint8)
    across = np.asarray(columns.sum(axis=1))
    strip = max(1, STRIP_PX // max(pixels.shape[1], 1))
    for top in range(0, len(out), strip):
        some = rows[top : top + strip]
        first, last = (int(some.indices.min()), int(some.indices.max()) + 1) if some.nnz else (0, 0)
        out[top : top + strip] = _resampled(pixels[first:last], some[:, first:last], columns, across)
    return out


def _resampled(pixels: np.ndarray, rows: sparse.csr_matrix, columns: sparse.csr_matrix, across: np.ndarray) -> np.ndarray:
    """`resample` of one strip; across (outputs, 1): the sums of `columns`."""
    height, width = pixels.shape[:2]
    shrunk = rows @ pixels.reshape(height, width * 3).astype(np.float32)
    turned = columns @ cv2.transpose(shrunk.reshape(-1, width, 3)).reshape(width, -1)
    outside = 1 - across * np.asarray(rows.sum(axis=1)).T
    result = turned.reshape(*outside.shape, 3)
    if outside.max() > ROUNDING:
        result += np.where(outside > ROUNDING, 255 * outside, 0).astype(np.float32)[..., None]
    # 1e-3: a share of 0.99999994 must not turn an even 0.5 downwards on one side of a seam only. No value reaches 256.
    result += 0.5 + 1e-3
    return cv2.transpose(result.astype(np.uint8))


def whole_ratio(rows: np.ndarray, columns: np.ndarray) -> int:
    """1 where the outputs are source pixels, 2 where each is the mean of 2 x 2 of its own; else 0: `resample` is needed."""
    steps = np.concatenate([np.diff(rows), np.diff(columns)])
    if len(rows) < 2 or rows[0] % STEPS or columns[0] % STEPS or np.any(steps != steps[0]):
        return 0
    return {STEPS: 1, 2 * STEPS: 2}.get(int(steps[0]), 0)


def halve(pixels: np.ndarray) -> np.ndarray:
    """RGB uint8 (2 H, 2 W, 3) -> (H, W, 3): what `resample` gives, in a tenth of its time."""
    return np.asarray(cv2.resize(pixels, (pixels.shape[1] // 2, pixels.shape[0] // 2), interpolation=cv2.INTER_AREA))

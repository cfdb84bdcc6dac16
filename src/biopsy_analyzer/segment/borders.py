"""Where labels meet, as positions: most of a label image is inside of something and need not be looked at twice."""

from __future__ import annotations

import numpy as np

Sides = tuple[np.ndarray, np.ndarray]


def borders(labels: np.ndarray) -> tuple[Sides, Sides]:
    """Pairs of neighbours with different labels (0 too), side by side and one below the other.

    labels (H, W) of any integer type. Each pair of sides: positions in the raveled image, int64 (m,), of the left or upper pixel and of
    the right or lower one, in raster order.
    """
    flat, width = labels.ravel(), labels.shape[1]
    beside = np.flatnonzero(flat[1:] != flat[:-1])
    beside = beside[beside % width != width - 1]  # the end of a row meets no other row
    below = np.flatnonzero(flat[width:] != flat[:-width])
    return (beside, beside + 1), (below, below + width)

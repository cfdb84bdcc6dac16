"""The few regions of a large image that need work, side by side in a small one."""

from __future__ import annotations

import math

import numpy as np

Place = tuple[slice, slice]


class Sheet:
    """Regions of an image laid out in rows, the tallest first, with a gap of 1 px to the right of and below the box of each.

    regions  int (H, W), the number of each pixel's region
    chosen   int (n,), the numbers of those laid out
    boxes    int (n, 4), their first row and column and those past the last
    Where the boxes add up to more than the image, as regions wind round each other, all stay as they lie.
    """

    def __init__(self, regions: np.ndarray, chosen: np.ndarray, boxes: np.ndarray) -> None:
        sizes = boxes[:, 2:] - boxes[:, :2] + 1
        total = int(sizes.prod(axis=1).sum())
        self._places: list[tuple[Place, Place, np.ndarray]] = []
        if total > regions.size:
            self.shape = regions.shape
            whole = slice(0, regions.shape[0]), slice(0, regions.shape[1])
            self._places.append((whole, whole, np.isin(regions, chosen)))
            return
        edge = max(math.isqrt(total), int(sizes[:, 1].max(initial=0)))
        top = left = below = 0
        for k in np.argsort(-sizes[:, 0], kind="stable").tolist():
            (height, width), (y, x, bottom, right) = sizes[k].tolist(), boxes[k].tolist()
            if left + width > edge:
                top, left = below, 0
            below = max(below, top + height)
            here, there = (slice(y, bottom), slice(x, right)), (slice(top, top + height - 1), slice(left, left + width - 1))
            self._places.append((here, there, regions[here] == chosen[k]))
            left += width
        self.shape = below, edge

    def take(self, image: np.ndarray) -> np.ndarray:
        """The regions of `image` (H, W); 0 around them."""
        sheet = np.zeros(self.shape, image.dtype)
        for here, there, region in self._places:
            np.copyto(sheet[there], image[here], where=region)
        return sheet

    def put(self, sheet: np.ndarray, image: np.ndarray) -> None:
        """Lays the regions of the sheet over those of `image`, in place."""
        for here, there, region in self._places:
            np.copyto(image[here], sheet[there], where=region)

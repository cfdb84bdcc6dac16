"""The few places of a large image that need work, side by side in a small one."""

from __future__ import annotations

import math

import cv2
import numpy as np

COARSE = 4  # px; boxes so near are joined, which costs less than to tell them apart

Place = tuple[slice, slice]


class Sheet:
    """Boxes of an image laid out in rows, the tallest first, with a gap of 1 px to the right of and below each.

    boxes  int (n, 4), first row and column and those past the last; those that overlap or nearly do are laid out as one that holds them
    """

    def __init__(self, boxes: np.ndarray) -> None:
        boxes = _apart(boxes)
        sizes = boxes[:, 2:] - boxes[:, :2] + 1
        edge = max(math.isqrt(int(sizes.prod(axis=1).sum())), int(sizes[:, 1].max(initial=0)))
        self._places: list[tuple[Place, Place]] = []
        top = left = below = 0
        for k in np.argsort(-sizes[:, 0], kind="stable").tolist():
            height, width = sizes[k].tolist()
            if left + width > edge:
                top, left = below, 0
            below = max(below, top + height)
            (y, x, bottom, right), there = boxes[k].tolist(), (slice(top, top + height - 1), slice(left, left + width - 1))
            self._places.append(((slice(y, bottom), slice(x, right)), there))
            left += width
        self.shape = below, edge

    def take(self, image: np.ndarray) -> np.ndarray:
        """The boxes of `image`, 0 in the gaps."""
        sheet = np.zeros(self.shape, image.dtype)
        for here, there in self._places:
            sheet[there] = image[here]
        return sheet

    def put(self, sheet: np.ndarray, image: np.ndarray) -> None:
        """Lays what is not 0 on the sheet over `image`, in place."""
        for here, there in self._places:
            np.copyto(image[here], sheet[there], where=sheet[there] != 0)


def _apart(boxes: np.ndarray) -> np.ndarray:
    """The boxes of which those that meet, in coarse pixels, are joined, until none do."""
    while len(boxes):
        low, high = boxes[:, :2] // COARSE, (boxes[:, 2:] - 1) // COARSE
        covered = np.zeros(high.max(axis=0) + 1, np.uint8)
        for (top, left), (bottom, right) in zip(low.tolist(), high.tolist(), strict=True):
            covered[top : bottom + 1, left : right + 1] = 1
        n, piece = cv2.connectedComponents(covered, connectivity=8, ltype=cv2.CV_32S)
        if n - 1 == len(boxes):
            break
        group = piece[low[:, 0], low[:, 1]] - 1
        joined = np.concatenate([np.full((n - 1, 2), np.iinfo(boxes.dtype).max), np.zeros((n - 1, 2), boxes.dtype)], axis=1)
        np.minimum.at(joined[:, :2], group, boxes[:, :2])
        np.maximum.at(joined[:, 2:], group, boxes[:, 2:])
        boxes = joined
    return boxes

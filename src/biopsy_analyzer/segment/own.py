"""What a window of a section has to tell apart: what may be its own, and what lies round about that. The rest is its neighbours' work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Own:
    """Which objects of a window are its own: those whose box has its middle in the core, and the parts there of larger ones.

    core     (top, bottom), (left, right), px
    largest  px along y and x: larger ones are cut at the core (None: none are)
    around   px: as far round its own objects the window needs the others, as what is measured looks that far
    """

    core: tuple[tuple[int, int], tuple[int, int]]
    largest: tuple[int | None, int | None]
    around: int

    def middle_in_core(self, boxes: np.ndarray) -> np.ndarray:
        """For which boxes, int (n, 4): first row and column and those past the last. Bool (n,)."""
        middle = (boxes[:, :2] + boxes[:, 2:]) // 2
        low, high = np.array(self.core).T
        return np.asarray(((middle >= low) & (middle < high)).all(axis=1))

    def large(self, boxes: np.ndarray) -> np.ndarray:
        """Which boxes are larger than a window is sure to hold, bool (n,)."""
        return np.asarray((boxes[:, 2:] - boxes[:, :2] > [n or np.inf for n in self.largest]).any(axis=1))

    def needed(self, boxes: np.ndarray, single: np.ndarray) -> np.ndarray:
        """Which connected pieces of foreground have to be told apart, bool (n,).

        boxes   theirs, int (n, 4)
        single  bool (n,): each of these is one object, without a pixel more or less; of the others any part may become one
        """
        low, high = np.array(self.core).T
        own = _overlap(boxes, low, high) & (~single | self.middle_in_core(boxes) | self.large(boxes))
        if not own.any():
            return own
        low, high = boxes[own, :2].min(axis=0) - self.around, boxes[own, 2:].max(axis=0) + self.around
        near = _overlap(boxes, low, high)
        # and what may lie in a hole of one of these, which otherwise would be filled
        edge = boxes[near & ((boxes[:, :2] < low) | (boxes[:, 2:] > high)).any(axis=1)]
        beyond = boxes[~near, None]
        near[~near] = ((beyond[..., :2] >= edge[:, :2]) & (beyond[..., 2:] <= edge[:, 2:])).all(axis=2).any(axis=1)
        return near


def _overlap(boxes: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which boxes (n, 4) reach into the one from `low` to `high`, (2,) each: bool (n,)."""
    return np.asarray(((boxes[:, 2:] > low) & (boxes[:, :2] < high)).all(axis=1))

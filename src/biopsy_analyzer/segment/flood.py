"""The watershed: most pixels climb to their seed, and only those that get lost on the way go through the slow queue."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.segmentation import watershed

from biopsy_analyzer.segment.runs import Runs
from biopsy_analyzer.segment.sheet import Sheet


def flood(foreground: np.ndarray, depth: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Watershed of -depth from `seeds` (Meyer 1994), int32 (H, W): pixel for pixel what ``skimage.segmentation.watershed`` gives, but where
    neighbours are exactly as deep.

    foreground bool (H, W), depth float32 (H, W) of at least 0 there, seeds int32 (H, W), 0 none. What no seed reaches stays 0.

    Floods rise from the deepest pixel on. So a pixel that can be climbed to from its seed, always upwards, is flooded in its turn, and
    by the deepest of its neighbours, which is the first of them to be flooded. Not so a peak without a seed and what leads up to it.
    """
    labels = _climbed(foreground, depth, seeds)
    lost = foreground & (labels == 0)
    if lost.any():
        _pour(foreground, depth, labels, lost)
    return labels


def _climbed(foreground: np.ndarray, depth: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Each pixel's seed by way of the deepest neighbours; 0 where that ends at a peak without a seed, or two are exactly as deep."""
    walled = cv2.copyMakeBorder(np.where(foreground, depth, np.float32(-1)), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=-1)
    labels = cv2.copyMakeBorder(seeds, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    deep, label = walled.ravel(), labels.ravel()
    at = np.flatnonzero((label == 0) & (deep >= 0))
    steps = np.array([-walled.shape[1], -1, 1, walled.shape[1]])
    beside = deep[at + steps[:, None]]
    deepest = beside.max(axis=0)
    clear = (deepest > deep[at]) & (np.count_nonzero(beside == deepest, axis=0) == 1)
    to = at + steps[beside.argmax(axis=0)]
    number = np.zeros(deep.shape, np.int32)
    number[at] = here = np.arange(len(at), dtype=np.int32)
    goal = np.where(clear & (label[to] == 0), number[to], here)
    while np.any((onward := goal[goal]) != goal):
        goal = onward
    label[at] = np.where(clear, label[to], 0)[goal]
    return np.ascontiguousarray(labels[1:-1, 1:-1])


def _pour(foreground: np.ndarray, depth: np.ndarray, labels: np.ndarray, lost: np.ndarray) -> None:
    """Flood what is `lost`, in place, from a rim of 1 px round it, through which the labels flow in."""
    rim = (cv2.dilate(lost.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & foreground
    regions = cv2.connectedComponents(rim.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1]
    runs = Runs(rim)
    runs = runs.with_labels(regions.ravel()[runs.start])
    sheet = Sheet(regions, np.arange(1, runs.n + 1), runs.boxes())
    sheet.put(watershed(-sheet.take(depth), sheet.take(labels), mask=sheet.take(rim)), labels)

"""Label images -> what the networks are taught: foreground, relative depth, class, weight."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

UNKNOWN = 255
"""Class code of objects whose class is not taught (banks also hold 5, unassessable, which is taught neither)."""

_CLASSES = 4


@dataclass(frozen=True)
class Targets:
    """What one label image teaches; all (H, W).

    foreground  uint8 0 or 255
    depth       uint8 0..255: distance to the object's own outline over the object's largest, times 255
    between     uint8 0 or 255: within a pixel or two of a border between two touching objects, where errors cost more
    classes     uint8 1..4 inside objects of known class, otherwise 0
    """

    foreground: np.ndarray
    depth: np.ndarray
    between: np.ndarray
    classes: np.ndarray


def make_targets(labels: np.ndarray, codes: np.ndarray) -> Targets:
    """Targets of integer `labels` (H, W), 0 background, and the raster of class `codes` uint8 (H, W).

    An object cut by the image's edge is taken to go on beyond it, mirrored: the edge is no outline. An image without
    objects gives zeros everywhere. A single pixel has depth 0: it is all outline.
    """
    labels = np.ascontiguousarray(labels)
    foreground = labels > 0
    outline, between = _borders(labels)
    distance = _distance((foreground & ~outline).astype(np.uint8))
    return Targets(
        foreground=foreground.astype(np.uint8) * 255,
        depth=_relative(distance, labels),
        between=cv2.dilate(between.astype(np.uint8) * 255, np.ones((3, 3), np.uint8)),
        classes=np.where(foreground & (codes <= _CLASSES), codes, 0).astype(np.uint8),
    )


def _borders(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels with a 4-neighbour of another label (both sides of each border), and those of them between two objects."""
    outline, between = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[here] != labels[there]
        both = differ & (labels[here] > 0) & (labels[there] > 0)
        for side in (here, there):
            outline[side] |= differ
            between[side] |= both
    return outline, between


def _distance(inside: np.ndarray) -> np.ndarray:
    """Distance (H, W) float32 in px to the nearest 0 of uint8 `inside`; an image without any 0 gives 1 everywhere."""
    if inside.all():
        return np.ones(inside.shape, np.float32)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5)


def _relative(distance: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`distance` over the largest of its object, as uint8 0..255."""
    index = labels.ravel().astype(np.intp)
    largest = np.zeros(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(largest, index, distance.ravel())
    scale = np.divide(255, largest, out=np.zeros_like(largest), where=largest > 0)
    return np.rint(distance * scale[index].reshape(labels.shape)).astype(np.uint8)

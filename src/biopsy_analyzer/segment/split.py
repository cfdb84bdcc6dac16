"""Foreground into objects: seeds where depth is high, flooding downhill, and pieces without a real border between them joined."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skimage.segmentation import watershed

from biopsy_analyzer.segment.borders import borders

LEVELS = (0.1, -1.0)
"""Depths at which basins with one seed are taken whole before the slow flooding: only the speed depends on them (2 to 3.5 times faster)."""


def split(foreground: np.ndarray, depth: np.ndarray, *, smoothing_px: float, seed: float, min_seed_px: float, join: float) -> np.ndarray:
    """Labels of the objects in `foreground`, int32 (H, W), 0 background, 1..n without gaps, each 4-connected.

    foreground    bool (H, W)
    depth         float32 (H, W), distance to the object's outline over the object's own greatest distance, 0..1
    smoothing_px  sigma of the smoothing of depth, because noise of single pixels makes seeds
    seed          depth above which a connected region is a seed; foreground that holds no seed becomes background
    min_seed_px   smaller seeds are ignored
    join          two touching pieces are one object where the mean depth along their shared edge, over the smaller of their
                  two greatest depths, is above this: a true border has depth near 0, a hole or cleft leaves most of it high

    Empty foreground gives zeros. The flooding is the watershed of -depth (Meyer 1994), pixel for pixel what
    ``skimage.segmentation.watershed`` gives from the same seeds.
    """
    depth = cv2.GaussianBlur(np.ascontiguousarray(depth, dtype=np.float32), (0, 0), smoothing_px)
    labels = _flood(foreground, depth, _seeds(foreground & (depth > seed), min_seed_px))
    return _join(labels, depth, join)


def _seeds(mask: np.ndarray, min_px: float) -> np.ndarray:
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    keep = np.bincount(labels[mask], minlength=1) >= min_px
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32).take(np.asarray(labels))


def _flood(foreground: np.ndarray, depth: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Watershed of -depth; only pixels whose basin holds two seeds or more go through the queue of pixels, which is slow."""
    labels = seeds
    for level in LEVELS:
        labels = _take_whole_basins(foreground & (depth > level), labels)
    open_pixels = foreground & (labels == 0)
    if not open_pixels.any():
        return labels
    # with a rim of 1 px, through which the labels flow in
    rim = (cv2.dilate(open_pixels.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & foreground
    flooded = watershed(-depth, np.where(rim, labels, 0), mask=rim)
    return np.where(labels > 0, labels, flooded).astype(np.int32, copy=False)


def _take_whole_basins(mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gives every connected region of `mask` that touches one label only to that label: no other could reach it first."""
    n, basins = cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    inside = np.flatnonzero(mask)
    basin, label = basins.ravel()[inside], labels.ravel()[inside]
    at, found = basin[label > 0], label[label > 0]
    owner = np.zeros(n, np.int32)
    owner[at] = found
    owner[at[owner[at] != found]] = 0
    taken = labels.copy()
    taken.ravel()[inside] = np.where(label > 0, label, owner[basin])
    return taken


def _join(labels: np.ndarray, depth: np.ndarray, join: float) -> np.ndarray:
    n = int(labels.max(initial=0)) + 1
    greatest = np.zeros(n, np.float32)
    inside = labels > 0
    np.maximum.at(greatest, labels[inside], depth[inside])
    first, second, edge_depth = _shared_edges(labels, depth)
    same = edge_depth > join * np.minimum(greatest[first], greatest[second])
    graph = coo_matrix((np.ones(int(same.sum()), bool), (first[same], second[same])), shape=(n, n))
    _, joined = connected_components(graph, directed=False)
    # background is alone in the graph, so it stays 0; components are numbered by their first member, without gaps
    return joined.astype(np.int32).take(labels)


def _shared_edges(labels: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair of labels that touch: smaller label, larger label, mean over the shared edge of the lower depth of its two sides."""
    label, deep = labels.ravel(), depth.ravel()
    pairs = [(one[both], other[both]) for one, other in borders(labels) for both in ((label[one] > 0) & (label[other] > 0),)]
    one, other = (np.concatenate(sides) for sides in zip(*pairs, strict=True))
    n = np.int64(labels.max(initial=0)) + 1
    key = np.minimum(label[one], label[other]) * n + np.maximum(label[one], label[other])
    keys, index = np.unique(key, return_inverse=True)
    mean = np.bincount(index, np.minimum(deep[one], deep[other]), len(keys)) / np.bincount(index, minlength=len(keys))
    return keys // n, keys % n, mean

"""Foreground into objects: seeds where depth is high, flooding downhill, and pieces without a real border between them joined."""

from __future__ import annotations

import cv2
import numpy as np

from biopsy_analyzer.near import linked
from biopsy_analyzer.segment.borders import borders
from biopsy_analyzer.segment.flood import flood
from biopsy_analyzer.segment.half import widened
from biopsy_analyzer.segment.own import Own
from biopsy_analyzer.segment.runs import Runs
from biopsy_analyzer.segment.sheet import Sheet


def split(
    foreground: np.ndarray, depth: np.ndarray, *, smoothing_px: float, seed: float, min_seed_px: float, join: float, own: Own | None = None
) -> np.ndarray:
    """Labels of the objects in `foreground`, int32 (H, W), 0 background, each 4-connected, in the order of their first seeds.

    foreground    bool (H, W)
    depth         float16 or float32 (H, W), distance to the object's outline over the object's own greatest distance, 0..1
    smoothing_px  sigma of the smoothing of depth, because noise of single pixels makes seeds
    seed          depth above which a connected region is a seed; foreground that holds no seed becomes background
    min_seed_px   smaller seeds are ignored
    join          two touching pieces are one object where the mean depth along their shared edge, over the smaller of their
                  two greatest depths, is above this: a true border has depth near 0, a hole or cleft leaves most of it high
    own           pieces of foreground that its window does not need may become background, whole ones (None: all are needed)

    Empty foreground gives zeros. The flooding is the watershed of -depth: see `flood`.
    """
    depth = cv2.GaussianBlur(widened(depth), (0, 0), smoothing_px)
    pieces, seed_of, at = _seeds(foreground & (depth > seed), min_seed_px)
    runs, basins = Runs(foreground), _regions(foreground)
    owner, crowded = _owners(basins, at)
    basin = basins.ravel()[runs.start]
    if own is not None:
        owner, crowded = _needed(owner, crowded, runs.with_labels(basin), own)
    if not crowded.any():
        return runs.image(owner[basin])
    # most of the foreground holds one seed and is done: the rest is flooded and joined by itself
    boxes = runs.with_labels(np.where(crowded, np.cumsum(crowded), 0)[basin]).boxes()
    sheet = Sheet(basins, np.flatnonzero(crowded), boxes)
    deep = sheet.take(depth)
    flooded = flood(sheet.take(foreground), deep, seed_of.take(sheet.take(pieces)))
    number = _joined(flooded, deep, join, len(at))
    labels = runs.image(number[owner[basin]])
    sheet.put(number.take(flooded), labels)
    return labels


def _regions(mask: np.ndarray) -> np.ndarray:
    """The 4-connected regions of a bool mask, int32 (H, W)."""
    return cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1]


def _seeds(mask: np.ndarray, min_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regions of `mask` as an image, the seed 1..n that each of them is (0: none, too small), and one pixel of each seed (n + 1,)."""
    pieces, runs = _regions(mask), Runs(mask)
    piece = pieces.ravel()[runs.start]
    keep = np.bincount(piece, runs.width) >= min_px
    keep[0] = False
    seed_of = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    at = np.zeros(int(keep.sum()) + 1, np.int64)
    at[seed_of[piece]] = runs.start
    return pieces, seed_of, at


def _owners(basins: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each basin the one seed in it, int32, 0 where there are none or several, and whether there are several: no other seed could
    reach a basin first that holds one alone. at (n + 1,): a pixel of each seed, which lie in one basin each.
    """
    basin = basins.ravel()[at[1:]]
    seeds = np.bincount(basin, minlength=int(basins.max(initial=0)) + 1)
    owner = np.zeros(len(seeds), np.int32)
    owner[basin] = np.arange(1, len(at))
    return np.where(seeds == 1, owner, 0), seeds > 1


def _needed(owner: np.ndarray, crowded: np.ndarray, basins: Runs, own: Own) -> tuple[np.ndarray, np.ndarray]:
    """`owner` and `crowded` of basins, of which those become background that are not needed."""
    seeded = np.flatnonzero((owner > 0) | crowded)
    kept = np.zeros(len(owner), bool)
    kept[seeded] = own.needed(basins.boxes()[seeded - 1], owner[seeded] > 0)
    return np.where(kept, owner, 0), crowded & kept


def _joined(labels: np.ndarray, depth: np.ndarray, join: float, n: int) -> np.ndarray:
    """The object, int32, that each label below `n` belongs to: without gaps, in the order of their first labels; 0 stays 0."""
    greatest, runs = np.zeros(n, np.float32), Runs(labels)
    np.maximum.at(greatest, runs.label, np.maximum.reduceat(depth.ravel(), runs.start))
    first, second, edge_depth = _shared_edges(labels, depth)
    same = edge_depth > join * np.minimum(greatest[first], greatest[second])
    return linked(np.stack([first, second], axis=1)[same], n).astype(np.int32)


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

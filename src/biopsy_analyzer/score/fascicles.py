"""Fascicles from the fibres' places and sizes: groups of fibres with wider gaps between them than within.

A septum may be no wider than a corner between fibres is, so no single gap tells it; but a row of gaps along a common border does. So
fibres are merged, closest first, as long as the mean gap along the border of two groups is that of endomysium (average linkage). What
is usual within fascicles is learned from the section itself: endomysium may be wide, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from biopsy_analyzer.near import linked
from biopsy_analyzer.score.nearest import BESIDE
from biopsy_analyzer.settings import SpaceSettings

DOUBT = 2.0  # standard errors by which a mean gap must be above the usual: borders of few gaps are not taken for septa. Convention
CLIPS = 5  # rounds in which the gaps of septa are left out of what is usual; it hardly moves after three

AS_NEAR_UM = 2.5  # so little farther from the middle of a gap a third fibre lies between, too: outlines are no better. Prior


@dataclass(frozen=True)
class Facing:
    """Fibres next to each other with no third one between: pairs (k, 2) of rows, and the gap between their discs, below 0: they overlap."""

    pairs: np.ndarray
    gap_um: np.ndarray


def find_facing(nearest: np.ndarray, within: np.ndarray, yx_px: np.ndarray, radius_px: np.ndarray, raster_um: float) -> Facing:
    """Fibres that share a border in a map of the nearest fibre, and have no third one halfway between them.

    nearest int32 (H, W): row of the nearest disc;  within bool (H, W): where it counts;  yx_px (n, 2), radius_px (n,): discs on that map
    """
    n, keys = len(yx_px), []
    for here, there in BESIDE:
        side = (nearest[here] != nearest[there]) & within[here] & within[there]
        one, two = nearest[here][side].astype(np.int64), nearest[there][side].astype(np.int64)
        keys.append(np.minimum(one, two) * n + np.maximum(one, two))
    key = np.sort(np.concatenate(keys))  # np.unique hashes, which takes several times as long
    one, two = np.divmod(key[np.diff(key, prepend=-1) > 0], n)
    apart = yx_px[two] - yx_px[one]
    distance = np.maximum(np.hypot(*apart.T), 1e-9)
    half_gap = (distance - radius_px[one] - radius_px[two]) / 2
    middle = yx_px[one] + apart * ((radius_px[one] + half_gap) / distance)[:, None]
    free = np.ones(len(half_gap), dtype=bool)
    for third in _around(nearest, middle):
        nearer = np.hypot(*(middle - yx_px[third]).T) - radius_px[third] < half_gap + AS_NEAR_UM / raster_um
        free &= ~nearer | (third == one) | (third == two)
    return Facing(np.stack([one, two], axis=1)[free], 2 * half_gap[free] * raster_um)


def _around(nearest: np.ndarray, at: np.ndarray) -> Iterator[np.ndarray]:
    """The nearest discs (n,) in the pixel of each place and in those around: whoever is nearest to the place owns one of them."""
    pixel, last = np.floor(at).astype(np.int64), np.array(nearest.shape) - 1
    for step in np.ndindex(3, 3):
        y, x = np.clip(pixel + step - 1, 0, last).T
        yield nearest[y, x]


def find_fascicles(radius: np.ndarray, facing: Facing, settings: SpaceSettings) -> tuple[np.ndarray, float]:
    """The fascicle of each fibre, int (n,) from 0 on, all 0 where no septum is found; and the usual gap within fascicles, um, from 0 on.

    A mean gap parts two groups if it is wider than the usual one by `septum_um` and by `septum_share` of the fibres' median diameter.
    """
    if not len(facing.pairs):
        return np.zeros(len(radius), dtype=np.int64), 0.0
    wider = max(settings.septum_um, settings.septum_share * 2 * float(np.median(radius)))
    usual, spread = _usual(facing, wider)
    return _merged(len(radius), facing, usual + wider, spread, settings), max(usual, 0.0)


def _usual(facing: Facing, wider: float) -> tuple[float, float]:
    """Middle and spread of the gaps within fascicles: of those that are not `wider` than the middle and beyond three spreads."""
    gap = facing.gap_um
    kept = gap[gap <= np.median(gap)]
    for _ in range(CLIPS):
        usual = float(np.median(kept))
        spread = 1.4826 * float(np.median(np.abs(kept - usual)))
        kept = gap[gap < usual + max(wider, 3 * spread)]
    return usual, spread


def _merged(n: int, facing: Facing, widest: float, spread: float, settings: SpaceSettings) -> np.ndarray:
    """Groups of fibres, int (n,): in each round every group is merged with its closest one, as long as there is one close enough."""
    group: np.ndarray = np.arange(n)
    size: np.ndarray = np.ones(n)
    a, b = facing.pairs.T
    total: np.ndarray = facing.gap_um
    count: np.ndarray = np.ones(len(facing.gap_um))
    while len(a):
        mean = total / count
        small = np.minimum(size[a], size[b]) < settings.least_fascicle
        joins = (mean - DOUBT * spread / np.sqrt(count) < widest) | (small & (mean < settings.perimysium_um))
        distance = np.where(joins, mean, np.inf)
        closest = np.full(len(size), np.inf)
        np.minimum.at(closest, a, distance)
        np.minimum.at(closest, b, distance)
        chosen = joins & ((distance <= closest[a]) | (distance <= closest[b]))
        if not chosen.any():
            break
        merged = linked(np.stack([a[chosen], b[chosen]], axis=1), len(size))
        number = int(merged.max()) + 1
        group = merged[group]
        size = np.bincount(group, minlength=number)
        a, b = merged[a].astype(np.int64), merged[b].astype(np.int64)
        apart = a != b
        keys = np.minimum(a, b)[apart] * number + np.maximum(a, b)[apart]
        found, which = np.unique(keys, return_inverse=True)
        total, count = (np.bincount(which, weights=values[apart]) for values in (total, count))
        a, b = np.divmod(found, number)
    return np.asarray(group)

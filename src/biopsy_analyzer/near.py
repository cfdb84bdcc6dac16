"""Who lies near whom, and who hangs together.

The same answers as scipy's `cKDTree.query_pairs` and `connected_components` give, without loading these: that takes a sixth of a
second, longer than a section's score takes to compute.
"""

from __future__ import annotations

import numpy as np


def pairs_within(yx: np.ndarray, reach: float) -> np.ndarray:
    """Pairs (k, 2) of rows of `yx` (n, 2) no farther from each other than `reach` (> 0), the lower row first; in no order.

    The plane is cut into strips as wide as the reach, so that a partner lies in the same strip or in the next one.
    """
    if not len(yx):
        return np.empty((0, 2), dtype=np.int64)
    y, x = (yx - yx.min(axis=0)).T
    apart = x.max() + 3 * reach  # between the strips, which are laid one after the other
    place = np.floor(y / reach) * apart + x
    order = np.argsort(place, kind="stable")
    place, here = place[order], np.arange(len(yx))
    y, x = yx[order].T  # as they are given: less the lowest, a pair at the very reach may be rounded out of it
    slack = 1e-9 * place[-1]  # rounding; the distance decides
    strips = (here + 1, place + reach + slack), (np.searchsorted(place, place + apart - reach - slack), place + apart + reach + slack)
    found = []
    for first, furthest in strips:
        count = np.searchsorted(place, furthest, side="right") - first
        other = np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)
        near = (np.repeat(y, count) - y[other]) ** 2 + (np.repeat(x, count) - x[other]) ** 2 <= reach**2
        found.append(np.stack([np.repeat(here, count)[near], other[near]], axis=1))
    return np.sort(order[np.concatenate(found)], axis=1)


def linked(pairs: np.ndarray, n: int) -> np.ndarray:
    """The group of each of n rows, int (n,), where `pairs` (k, 2) hang together; numbered from 0 in the order of their first rows."""
    group = np.arange(n)  # the lowest row that is known to belong to it
    while len(pairs):
        low, high = np.sort(group[pairs], axis=1).T
        np.minimum.at(group, high, low)
        while np.any(group[group] != group):
            group = group[group]
        pairs = pairs[group[pairs[:, 0]] != group[pairs[:, 1]]]
    return np.unique(group, return_inverse=True)[1]

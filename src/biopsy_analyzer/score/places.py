"""Fascicles and perimysium from the fibres' places and sizes alone: so that they follow every correction of the tables.

Each fibre stands as a disc of its own area. Two things are perimysium: gaps between the discs wider by `perimysium_um` than those
within fascicles, with the vessels, nerves and fat in them, but for holes as small as a missed fibre or two; and what lies between the
facing fibres of two fascicles (fascicles.py), where it is narrower. Discs miss the corners of fibres, so the measure is right to some
10 um: tests/score/test_places.py holds it against drawn perimysium.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.near import pairs_within
from biopsy_analyzer.score.fascicles import find_facing, find_fascicles
from biopsy_analyzer.score.nearest import BESIDE, nearest_disc
from biopsy_analyzer.score.remember import remember_last
from biopsy_analyzer.settings import SpaceSettings


@dataclass(frozen=True)
class Places:
    """Where each object lies.

    border  (n,) bool: fibres at the border of their fascicle;  in_gap  (m,) bool: nuclei in the perimysium
    fascicle  (n,) int: the fascicle of each fibre;  fascicles  how many there are; 0 where no perimysium is found
    gap_um, facing  (n,): half the gaps to the fibres of its fascicle that it faces, overlaps counting 0, and half their number
    """

    border: np.ndarray
    in_gap: np.ndarray
    fascicle: np.ndarray
    fascicles: int
    gap_um: np.ndarray
    facing: np.ndarray


def find_places(fibres: pd.DataFrame, nuclei: pd.DataFrame, settings: SpaceSettings) -> Places:
    """Places of all fibres and nuclei; without fibres no perimysium is told."""
    yx, nucleus_yx = fibres[["y_um", "x_um"]].to_numpy(), nuclei[["y_um", "x_um"]].to_numpy()
    if not len(fibres):
        return no_places(fibres, nuclei)
    found = _compartments(yx, fibres["area_um2"].to_numpy(), settings)
    in_gap = _under(found.perimysium, (nucleus_yx - found.middle) / settings.raster_um + found.half)
    return Places(found.border, in_gap, found.fascicle, found.fascicles, found.gap_um, found.facing)


class Compartments(NamedTuple):
    """What the fibres alone tell of `Places`; perimysium bool (H, W), and the middle of that raster in um and px."""

    border: np.ndarray
    fascicle: np.ndarray
    fascicles: int
    gap_um: np.ndarray
    facing: np.ndarray
    perimysium: np.ndarray
    middle: np.ndarray
    half: np.ndarray


@remember_last
def _compartments(yx: np.ndarray, area_um2: np.ndarray, settings: SpaceSettings) -> Compartments:
    radius = np.sqrt(area_um2 / np.pi)
    middle = (yx.min(axis=0) + yx.max(axis=0)) / 2  # from the middle, so that a mirrored section has the same raster
    half = np.ceil(((yx.max(axis=0) - yx.min(axis=0)) / 2 + settings.tissue_um + radius.max()) / settings.raster_um).astype(int) + 1
    shape = (int(2 * half[0]), int(2 * half[1]))
    yx_px = (yx - middle) / settings.raster_um + half
    radius_px = radius / settings.raster_um
    distance, nearest = nearest_disc(yx_px, radius_px, shape, settings.tissue_um / settings.raster_um)
    outside = np.maximum(distance, 0.0) * settings.raster_um
    facing = find_facing(nearest, np.isfinite(distance), yx_px, radius_px, settings.raster_um)
    fascicle, usual_um = find_fascicles(radius, facing, settings)
    gap = _wide_gaps(outside, settings.perimysium_um + usual_um, np.median(area_um2), settings)
    perimysium = gap | _septa(fascicle[nearest], outside, settings)
    border = np.zeros(len(yx), dtype=bool)
    if gap.any():
        to_gap = _to_next(gap, settings.raster_um)
        at = np.clip(np.floor(yx_px).astype(int), 0, np.array(shape) - 1)
        border = to_gap[at[:, 0], at[:, 1]] - settings.raster_um / 2 - radius <= settings.border_um
    apart = fascicle[facing.pairs[:, 0]] != fascicle[facing.pairs[:, 1]]
    border[facing.pairs[apart].ravel()] = True
    fascicles = int((np.bincount(fascicle) >= settings.least_fascicle).sum()) if perimysium.any() else 0
    within, gaps = facing.pairs[~apart].ravel(), np.repeat(np.maximum(facing.gap_um[~apart], 0.0), 2) / 2
    gap_um, number = (np.bincount(within, weights=of, minlength=len(yx)) for of in (gaps, np.full(len(gaps), 0.5)))
    return Compartments(border, fascicle, fascicles, gap_um, number, perimysium, middle, half)


def no_places(fibres: pd.DataFrame, nuclei: pd.DataFrame) -> Places:
    """Places where nothing is told: all inside."""
    nowhere, nothing = np.zeros(len(fibres), dtype=bool), np.zeros(len(fibres))
    return Places(nowhere, np.zeros(len(nuclei), dtype=bool), np.zeros(len(fibres), dtype=np.int64), 0, nothing, nothing)


def neighbours(fibres: pd.DataFrame, settings: SpaceSettings) -> np.ndarray:
    """Pairs (k, 2) of rows whose equal-area discs come within `neighbour_um` of each other."""
    return _neighbours(fibres[["y_um", "x_um"]].to_numpy(), fibres["area_um2"].to_numpy(), settings.neighbour_um)


@remember_last
def _neighbours(yx: np.ndarray, area_um2: np.ndarray, neighbour_um: float) -> np.ndarray:
    radius = np.sqrt(area_um2 / np.pi)
    if len(yx) < 2:
        return np.empty((0, 2), dtype=np.int64)
    # a few giant finds must not make all pairs be looked at: they are asked for apart
    usual = float(np.quantile(radius, 0.998))
    large = np.flatnonzero(radius > usual)
    pairs = [pairs_within(yx, 2 * usual + neighbour_um)]
    for i in large:
        near = np.flatnonzero(np.hypot(*(yx - yx[i]).T) <= radius[i] + radius.max() + neighbour_um)
        pairs.append(np.sort(np.stack([np.full(len(near) - 1, i), near[near != i]], axis=1), axis=1))
    found = np.concatenate(pairs)
    gaps = np.hypot(*(yx[found[:, 0]] - yx[found[:, 1]]).T) - radius[found].sum(axis=1)
    found = found[gaps <= neighbour_um]
    key = np.sort(found[:, 0] * len(yx) + found[:, 1])  # np.unique hashes, which takes several times as long
    return np.stack(np.divmod(key[np.diff(key, prepend=-1) > 0], len(yx)), axis=1)


def _wide_gaps(outside: np.ndarray, wide_um: float, median_um2: float, settings: SpaceSettings) -> np.ndarray:
    """Gaps wider than `wide_um` between fibres, bool (H, W); outside: um to the nearest disc."""
    fascicles = _closed(outside, wide_um / 2, settings.raster_um)
    tissue = _closed(outside, settings.tissue_um, settings.raster_um)
    gap = (tissue & ~fascicles).astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(gap, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] * settings.raster_um**2 >= settings.missed_fibres * median_um2
    large[0] = False
    return np.asarray(large[parts])


def _septa(fascicle: np.ndarray, outside: np.ndarray, settings: SpaceSettings) -> np.ndarray:
    """What lies between the discs of two fascicles, no further than half of `perimysium_um` from the line between them; bool (H, W).

    fascicle int (H, W): that of the nearest disc
    """
    line, near = np.zeros(fascicle.shape, dtype=bool), np.isfinite(outside)
    for here, there in BESIDE:
        side = (fascicle[here] != fascicle[there]) & near[here] & near[there]
        line[here] |= side
        line[there] |= side
    if not line.any():
        return line
    # the line runs between the pixels on both sides of it, half a pixel from their middles
    return np.asarray((_to_next(line, settings.raster_um) <= (settings.perimysium_um - settings.raster_um) / 2) & (outside > 0))


def _closed(outside_um: np.ndarray, reach_um: float, raster_um: float) -> np.ndarray:
    """Closing with a disc of `reach_um`; outside_um: distance to what is closed.

    It reaches half a pixel too far, which discs need: they miss the corners of fibres.
    """
    beyond = np.pad(outside_um > reach_um, 1, constant_values=True)
    return np.asarray((_to_next(beyond, raster_um)[1:-1, 1:-1] > reach_um) | (outside_um == 0))


def _to_next(mask: np.ndarray, raster_um: float) -> np.ndarray:
    """Distance in um from the middle of each pixel to that of the next one in `mask`, 0 within."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * raster_um


def _under(mask: np.ndarray, yx_px: np.ndarray) -> np.ndarray:
    at = np.floor(yx_px).astype(np.int64)
    inside = ((at >= 0) & (at < mask.shape)).all(axis=1)
    found = np.zeros(len(at), dtype=bool)
    found[inside] = mask[tuple(at[inside].T)]
    return found

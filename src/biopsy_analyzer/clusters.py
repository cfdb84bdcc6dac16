"""Clusters of inflammatory cells, and the necrotic fibres they surround.

Macrophages and lymphocytes are linked when their centres lie within reach of each other. A linked group is a cluster if it has
`min_cells`, or if at least `min_cells_at_necrosis` of its cells lie in or at a necrotic fibre. Macrophages inside a necrotic fibre
are members (they and those around it are one reaction), but they never count towards `min_cells`: they belong to the necrosis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.classify.features import INSIDE_UM
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.near import linked, pairs_within
from biopsy_analyzer.settings import ClusterSettings
from biopsy_analyzer.tables import CLUSTERS, NECROTIC_STATES, empty, plural, typed

if TYPE_CHECKING:
    from biopsy_analyzer.segment.stored_labels import StoredLabels

_WINDOW_UM = 1500.0  # edge of the squares whose fibres are looked at together

Border = tuple[np.ndarray, np.ndarray]
"""Centres in um (m, 2) of the border pixels of some fibres, and the fibre of each (m,)."""


def necrotic_fibre_ids(fibres: pd.DataFrame) -> np.ndarray:
    """Ids of the assessable fibres that are necrotic or pale-fragmented."""
    return fibres.loc[fibres["assessable"] & fibres["state"].isin(NECROTIC_STATES), "fibre_id"].to_numpy()


def necrotic_border(ids: np.ndarray, labels: np.ndarray, grid: PixelGrid) -> Border:
    """The border pixels of the fibres `ids` (`necrotic_fibre_ids`) in labels int32 (H, W) on `grid`; no such fibre: no points.

    Each fibre's points depend on its own pixels alone, so the border of some fibres may be read from windows that hold them whole.
    """
    wanted = np.zeros(max(int(labels.max(initial=0)), int(ids.max(initial=0))) + 1, dtype=bool)
    wanted[ids] = True
    dead = np.where(wanted[labels], labels, 0).astype(np.float32)  # float32: exact for labels below 2^24, and cv2 erodes it
    if not dead.size or not dead.any():
        return np.empty((0, 2)), np.empty(0, dtype=np.int32)
    inner = cv2.erode(dead, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) == dead
    inner &= cv2.dilate(dead, np.ones((3, 3), np.uint8)) == dead
    y, x = np.nonzero((dead > 0) & ~inner)
    return grid.to_um(np.stack([y, x], axis=1) + 0.5), labels[y, x]


def necrotic_border_by_window(fibres: pd.DataFrame, labels: np.ndarray | StoredLabels, grid: PixelGrid) -> Border:
    """`necrotic_border` of a section's `fibres`, from windows of a label image that need not fit into memory."""
    dead = fibres[fibres["fibre_id"].isin(necrotic_fibre_ids(fibres))]
    parts = [(np.empty((0, 2)), np.empty(0, dtype=np.int32))]
    for _, some in dead.groupby([dead["y_um"] // _WINDOW_UM, dead["x_um"] // _WINDOW_UM]):
        reach = some[["max_feret_um"]].to_numpy() + 2 * grid.um_per_px
        low, high = (grid.to_px(some[["y_um", "x_um"]].to_numpy() + sign * reach) for sign in (-1, 1))
        top, left = np.maximum(np.floor(low.min(axis=0)), 0).astype(int).tolist()
        bottom, right = np.minimum(np.ceil(high.max(axis=0)), grid.shape).astype(int).tolist()
        window = grid.crop(top, left, bottom - top, right - left)
        parts.append(necrotic_border(some["fibre_id"].to_numpy(), labels[top:bottom, left:right], window))
    return np.concatenate([points for points, _ in parts]), np.concatenate([owners for _, owners in parts])


def inside_necrosis(nuclei: pd.DataFrame, fibres: pd.DataFrame) -> np.ndarray:
    """Which nuclei lie inside a necrotic or pale-fragmented fibre, bool (n,); within 2 um of its border they count as on it."""
    return (nuclei["fibre_id"].isin(necrotic_fibre_ids(fibres)) & ~(nuclei["depth_um"] < INSIDE_UM)).to_numpy()


def distance_to_necrosis(nuclei: pd.DataFrame, fibres: pd.DataFrame, border: Border) -> np.ndarray:
    """um from each nucleus' centre to the nearest border pixel of a necrotic or pale-fragmented fibre, float64 (n,).

    0 inside such a fibre; NaN where the section has none. border: of those fibres; positions of nuclei in um.
    """
    points, _ = border
    if not len(nuclei) or not len(points):
        return np.full(len(nuclei), np.nan)
    from scipy.spatial import cKDTree  # scores need this module, and no tree

    distance, _ = cKDTree(points).query(nuclei[["y_um", "x_um"]].to_numpy())
    return np.where(inside_necrosis(nuclei, fibres), 0.0, distance)


def find_clusters(nuclei: pd.DataFrame, fibres: pd.DataFrame, border: Border, settings: ClusterSettings) -> tuple[pd.DataFrame, np.ndarray]:
    """The CLUSTERS table, ordered by position, and the cluster of each nucleus, int32 (n,), 0 in none.

    nuclei  positions, `type`, `probability`, `fibre_id`;  fibres  `fibre_id`, `state`, `assessable`;  border  of the necrotic fibres
    No inflammatory cells: an empty table.
    """
    cluster_of = np.zeros(len(nuclei), dtype=np.int32)
    member = np.flatnonzero(nuclei["type"].isin(("macrophage", "lymphocyte")).to_numpy())
    if not len(member):
        return empty(CLUSTERS), cluster_of
    cells = nuclei.iloc[member].reset_index(drop=True)
    inside = inside_necrosis(cells, fibres)
    touched = _touched(cells, inside, *border, settings.at_necrosis_um)
    group = linked(pairs_within(cells[["y_um", "x_um"]].to_numpy(), settings.reach_um), len(cells))
    at_necrosis = np.bincount(group, weights=[bool(ids) for ids in touched])
    enough = (np.bincount(group, weights=~inside) >= settings.min_cells) | (at_necrosis >= settings.min_cells_at_necrosis)
    found = np.flatnonzero(enough)
    by_group = np.argsort(group, kind="stable")
    members = np.split(by_group, np.cumsum(np.bincount(group))[:-1])
    columns = _Cells(cells[["y_um", "x_um"]].to_numpy(), (cells["type"] == "macrophage").to_numpy(), cells["probability"].to_numpy())
    rows = [_describe(columns, members[g], touched, settings) for g in found.tolist()]
    order = sorted(range(len(rows)), key=lambda i: (rows[i]["y_um"], rows[i]["x_um"]))
    number = np.zeros(len(enough), dtype=np.int32)
    number[found[order]] = np.arange(1, len(rows) + 1)
    cluster_of[member] = number[group]
    if not rows:
        return empty(CLUSTERS), cluster_of
    table = pd.DataFrame([rows[i] for i in order]).assign(cluster_id=np.arange(1, len(rows) + 1))
    return typed(table, CLUSTERS), cluster_of


def _touched(cells: pd.DataFrame, inside: np.ndarray, border: np.ndarray, border_fibre: np.ndarray, reach_um: float) -> list[set[int]]:
    """For each cell the necrotic fibres that it lies in or within reach of."""
    own = cells["fibre_id"].to_numpy()
    touched: list[set[int]] = [{int(i)} if within else set() for i, within in zip(own, inside, strict=True)]
    if len(border):
        from scipy.spatial import cKDTree

        near = cKDTree(border).query_ball_point(cells[["y_um", "x_um"]].to_numpy(), reach_um)
        for fibres, found in zip(touched, near, strict=True):
            fibres.update(int(i) for i in np.unique(border_fibre[found]))
    return touched


class _Cells(NamedTuple):
    """Columns of the inflammatory cells as arrays: a table cut for each cluster would take a thousand times as long."""

    positions: np.ndarray
    macrophage: np.ndarray
    probability: np.ndarray


def _describe(cells: _Cells, members: np.ndarray, touched: list[set[int]], settings: ClusterSettings) -> dict[str, object]:
    positions = cells.positions[members]
    macrophages = int(cells.macrophage[members].sum())
    lymphocytes = len(members) - macrophages
    share = macrophages / len(members)
    kind = "macrophage" if share >= settings.pure_share else "lymphocytic" if 1 - share >= settings.pure_share else "mixed"
    necrotic = set().union(*(touched[i] for i in members.tolist()))
    center = positions.mean(axis=0)
    hull = cv2.convexHull((positions - center).astype(np.float32))  # about the centre: float32 keeps its digits
    cells_text = f"{plural(macrophages, 'macrophage')}, {plural(lymphocytes, 'lymphocyte')}"
    return {
        "y_um": center[0],
        "x_um": center[1],
        "area_um2": float(cv2.contourArea(hull)),  # 0 for cells on one line
        "cells": len(members),
        "macrophages": macrophages,
        "lymphocytes": lymphocytes,
        "kind": kind,
        "necrotic_fibres": len(necrotic),
        "probability": cells.probability[members].mean(),
        "reason": cells_text + (f"; in or at {plural(len(necrotic), 'necrotic fibre')}" if necrotic else ""),
    }

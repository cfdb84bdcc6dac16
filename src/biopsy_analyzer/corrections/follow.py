"""What follows from an edit by definition, looked at again only where it can have changed.

Nuclei: whose they are, how deep, how far from the next fibre. Fibres: their counts of nuclei. Then distances to necrosis and clusters.
Everything here gives what the analysis would give on the whole corrected section; the tests compare the two.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from biopsy_analyzer.classify.features import count_nuclei
from biopsy_analyzer.classify.nuclei import CRESCENT
from biopsy_analyzer.clusters import Border, find_clusters, inside_necrosis, necrotic_border, necrotic_fibre_ids
from biopsy_analyzer.corrections.book import Book
from biopsy_analyzer.measure.nuclei_in_fibres import assign
from biopsy_analyzer.near import linked, pairs_within
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import CLUSTERS, typed

BY_HAND = "by hand"
"""Reasons of what a reader decided begin with this, and such calls are never told anew."""

_FIRST_MARGIN_UM = 60.0  # about a fibre; widened where the nearest outline may lie farther away
_INFLAMMATORY = ("macrophage", "lymphocyte")


def settle_nuclei(book: Book, settings: Settings) -> None:
    """Tell anew, after outlines changed: the fibre, depth and distance of the nuclei near them, and internal from myonucleus."""
    nuclei = book.tables["nuclei"]
    near = _nearer_than(nuclei, nuclei["fibre_distance_um"].to_numpy(), book.touched.fibre_rows)
    near |= nuclei["fibre_id"].isin(book.touched.fibres).to_numpy()
    todo = nuclei[near]
    margin = _FIRST_MARGIN_UM
    while len(todo):
        found, sure = _assigned(book, todo, margin)
        rows = todo[sure].assign(**{name: found.loc[sure, name] for name in found})
        book.put("nuclei", rows.assign(type=told_types(rows, settings)))
        todo, margin = todo[~sure], margin * 4


def _assigned(book: Book, nuclei: pd.DataFrame, margin_um: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Fibre, depth and distance from a window of the labels, and for which nuclei nothing beyond the window can be nearer."""
    labels = book.labels["fibres"]
    positions = nuclei[["y_um", "x_um"]].to_numpy()
    box = labels.around(positions, margin_um)
    found = assign(nuclei, labels.read(box), labels.grid_of(box))
    px = labels.grid.to_px(positions)
    far = [np.where(np.array(box[k : k + 1]) > 0, px[:, k] - box[k], np.inf) for k in (0, 1)]
    far += [np.where(np.array(box[k + 2 : k + 3]) < labels.pixels.shape[k], box[k + 2] - px[:, k], np.inf) for k in (0, 1)]
    reach = np.min(far, axis=0) * labels.grid.um_per_px
    distance = np.fmax(found["depth_um"].to_numpy(), found["fibre_distance_um"].to_numpy())  # one of them is 0 or NaN
    unknown = np.isnan(found["depth_um"].where(found["fibre_id"] > 0, found["fibre_distance_um"]).to_numpy())
    return found, np.isinf(reach) | (~unknown & (distance <= reach))


def told_types(nuclei: pd.DataFrame, settings: Settings) -> pd.Series:
    """Types with muscle nuclei told by their depth, as in `classify_nuclei`; what a reader decided stays."""
    muscle = nuclei["type"].isin(("myonucleus", "internal")) & ~nuclei["reason"].str.startswith(BY_HAND)
    deep = (nuclei["fibre_id"] > 0) & (nuclei["depth_um"] > settings.classify.internal_depth_um) & (nuclei["solidity"] >= CRESCENT)
    return nuclei["type"].mask(muscle & deep, "internal").mask(muscle & ~deep, "myonucleus")


def settle_counts(book: Book, owner_before: pd.Series) -> None:
    """Count anew the nuclei of fibres that changed, or that touched nuclei lie in or lay in before (`owner_before`, by nucleus id)."""
    nuclei = book.tables["nuclei"]
    at, known = book.places("nuclei", book.touched.nuclei)
    index, touched = owner_before.index.to_numpy(), np.fromiter(book.touched.nuclei, np.int64)
    owners = owner_before.to_numpy()[np.isin(index, touched)] if len(touched) else np.empty(0, np.int32)
    ids = book.touched.fibres.union(owners.tolist(), nuclei["fibre_id"].to_numpy()[at[known]].tolist())
    at, known = book.places("fibres", sorted(ids))
    rows = book.tables["fibres"].iloc[at[known]]
    if len(rows):
        owner = nuclei["fibre_id"].to_numpy()
        inside = np.zeros(max(int(owner.max(initial=0)), int(rows.index[-1])) + 1, bool)
        inside[rows.index] = True
        counted = count_nuclei(rows, nuclei.loc[inside[owner], ["fibre_id", "depth_um", "type", "area_um2"]])
        book.put("fibres", counted)


class Following:
    """Distances to necrosis and clusters, kept up to date from edit to edit.

    distance, cluster   by nucleus id; clusters: the CLUSTERS table
    """

    def __init__(self, book: Book, clusters: pd.DataFrame, settings: Settings) -> None:
        nuclei = book.tables["nuclei"]
        self.clusters, self._settings = clusters, settings
        size = int(nuclei.index.max()) + 1 if len(nuclei) else 1
        self.distance, self.cluster = np.full(size, np.nan), np.zeros(size, np.int32)
        self.distance[nuclei.index], self.cluster[nuclei.index] = nuclei["necrosis_distance_um"], nuclei["cluster_id"]
        self._necrotic = set(necrotic_fibre_ids(book.tables["fibres"]).tolist())
        self._borders: dict[int, np.ndarray] = {}
        self._linked: tuple[pd.DataFrame, np.ndarray] | None = None

    def update(self, book: Book) -> None:
        """Bring distances and clusters up to date with what `book.touched` says."""
        touched = book.touched
        necrotic = set(necrotic_fibre_ids(book.tables["fibres"]).tolist())
        if touched.boxes["fibres"]:
            for fibre in touched.fibres:
                self._borders.pop(fibre, None)
            changed = (necrotic ^ self._necrotic) | (touched.fibres & (necrotic | self._necrotic))
        else:
            changed = necrotic ^ self._necrotic
        self._necrotic = necrotic
        rows = [part[part.index.isin(changed)] for part in touched.fibre_rows] if changed else []
        rows = [part for part in rows if len(part)]
        if rows or touched.nuclei:
            self._update_distances(book, rows)
            self._update_clusters(book, rows)

    def _update_distances(self, book: Book, rows: list[pd.DataFrame]) -> None:
        nuclei = book.tables["nuclei"]
        near = _nearer_than(nuclei, self.distance[nuclei.index.to_numpy()], rows) | book.among("nuclei", book.touched.nuclei)
        chosen = nuclei[near]
        border, _ = self._border_near(book, chosen, None)
        if len(chosen):
            positions = chosen[["y_um", "x_um"]].to_numpy()
            distance = cKDTree(border).query(positions)[0] if len(border) else np.full(len(chosen), np.nan)
            inside = inside_necrosis(chosen, book.tables["fibres"])
            self.distance[chosen.index] = np.where(inside, 0.0, distance)

    def _update_clusters(self, book: Book, rows: list[pd.DataFrame]) -> None:
        nuclei, reach = book.tables["nuclei"], self._settings.clusters.at_necrosis_um
        if self._linked is None or book.touched.nuclei:
            cells = nuclei[nuclei["type"].isin(_INFLAMMATORY)]
            self._linked = cells, linked(pairs_within(cells[["y_um", "x_um"]].to_numpy(), self._settings.clusters.reach_um), len(cells))
        cells, group = self._linked
        if len(cells):
            ids = np.array([i for part in rows for i in part.index], dtype=np.int64)
            hit = _nearer_than(cells, np.full(len(cells), reach), rows) | cells["fibre_id"].isin(ids).to_numpy()
        else:
            hit = np.zeros(0, bool)
        came = np.fromiter(book.touched.nuclei, np.int64)
        hit |= cells.index.isin(came)
        old = set(self.cluster[came]) | set(self.cluster[cells.index[np.isin(group, group[hit])]])
        while True:  # cells of one old cluster may now be in several groups, and one group may hold several old clusters
            hit = np.isin(group, group[hit | np.isin(self.cluster[cells.index], list(old - {0}))])
            grown = old | set(self.cluster[cells.index[hit]])
            if grown == old:
                break
            old = grown
        self._replace(book, cells[hit], came, old - {0})

    def _replace(self, book: Book, cells: pd.DataFrame, came: np.ndarray, old: set[int]) -> None:
        """Clusters `old` by those that `cells` make now, and all numbered by place."""
        border = self._border_near(book, cells, self._settings.clusters.at_necrosis_um)
        found, number = find_clusters(cells, book.tables["fibres"], border, self._settings.clusters)
        kept = self.clusters[~self.clusters["cluster_id"].isin(old)]
        self.cluster[came] = 0
        if not len(found) and len(kept) == len(self.clusters):
            self.cluster[cells.index] = 0
            return
        start = int(self.clusters["cluster_id"].max()) if len(self.clusters) else 0
        self.cluster[cells.index] = np.where(number > 0, number + start, 0)
        parts = [part for part in (kept, found.assign(cluster_id=found["cluster_id"] + start)) if len(part)]
        if not parts:
            self.clusters = typed(self.clusters.iloc[:0], CLUSTERS)
            return
        merged = pd.concat(parts).sort_values(["y_um", "x_um"], kind="stable")
        new_number = np.zeros(int(merged["cluster_id"].max()) + 1, np.int32)
        new_number[merged["cluster_id"]] = np.arange(1, len(merged) + 1)
        present = book.tables["nuclei"].index
        self.cluster[present] = new_number[self.cluster[present]]
        self.clusters = typed(merged.assign(cluster_id=np.arange(1, len(merged) + 1)), CLUSTERS)

    def _border_near(self, book: Book, nuclei: pd.DataFrame, reach_um: float | None) -> Border:
        """Border points of the necrotic fibres that can be the nearest to one of `nuclei`, or lie within `reach_um` of one."""
        fibres = book.tables["fibres"].loc[sorted(self._necrotic), ["y_um", "x_um", "max_feret_um"]]
        if not len(fibres) or not len(nuclei):
            return np.empty((0, 2)), np.empty(0, np.int32)
        places, size = fibres[["y_um", "x_um"]].to_numpy(), fibres["max_feret_um"].to_numpy()
        positions = nuclei[["y_um", "x_um"]].to_numpy()
        to_nucleus = cKDTree(positions).query(places)[0]
        if reach_um is None:
            nearest, which = cKDTree(places).query(positions)
            reach_um = float((nearest + size[which]).max())
        chosen = fibres.index[to_nucleus - size <= reach_um]
        points = [self._border_of(book, int(fibre), fibres.loc[fibre]) for fibre in chosen]
        owners = np.repeat(chosen.to_numpy(dtype=np.int32), [len(p) for p in points])
        return (np.concatenate(points), owners) if points else (np.empty((0, 2)), owners)

    def _border_of(self, book: Book, fibre: int, row: pd.Series) -> np.ndarray:
        if fibre not in self._borders:
            labels = book.labels["fibres"]
            box = labels.around(row[["y_um", "x_um"]].to_numpy(dtype=float)[None], float(row["max_feret_um"]))
            self._borders[fibre], _ = necrotic_border(np.array([fibre]), labels.read(box), labels.grid_of(box))
        return self._borders[fibre]


def _nearer_than(nuclei: pd.DataFrame, distance: np.ndarray, rows: list[pd.DataFrame]) -> np.ndarray:
    """Which nuclei may have one of the fibres `rows` at or within `distance` (NaN: any): bool (n,)."""
    near = np.zeros(len(nuclei), bool)
    limit = np.where(np.isnan(distance), np.inf, distance)
    y, x = nuclei["y_um"].to_numpy(), nuclei["x_um"].to_numpy()
    for part in rows:
        for fibre_y, fibre_x, size in part[["y_um", "x_um", "max_feret_um"]].to_numpy():
            near |= np.hypot(y - fibre_y, x - fibre_x) - size <= limit
    return near

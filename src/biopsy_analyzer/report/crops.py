"""Close-ups of single objects, so that a reader can check a call by eye: which are shown, and how they are cut from the slide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.result import Crop, CropKind
from biopsy_analyzer.report.shown import fibre_class
from biopsy_analyzer.score.model import Evidence
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.tables import FIBRE_STATES

PER_END = 3  # close-ups of the surest calls of a class, and as many of the least sure
UNASSESSABLE = 4
CELL_TYPES = ("macrophage", "lymphocyte", "internal")
CLUSTERS = 4
EDGE_PX = 256
CELL_UM = 40.0  # edge of the window of a nucleus
FIBRE_UM = (64.0, 192.0)  # least and greatest edge of the usual window of a fibre; one for a section, so that sizes can be compared
FIBRES_WIDE = 2.5  # that edge over the fibres' median length
ROOM = 1.25  # window over object, for those that are larger


def choose_crops(
    fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, evidence: Iterable[Evidence] = ()
) -> list[tuple[CropKind, int]]:
    """The objects to show, each once: (kind, id).

    Of each fibre state and each type of cell that matters the surest calls and the least sure ones, ties by id, fibres that the image cuts
    last; some unassessable fibres; the largest clusters; two objects of each evidence item. Some 80 at most, none for empty tables.
    """
    tables: dict[CropKind, pd.DataFrame] = {"fibre": fibres, "nucleus": nuclei, "cluster": clusters}
    objects = {kind: _Objects.of(table, kind) for kind, table in tables.items()}
    classes = fibre_class(fibres)
    chosen: list[tuple[CropKind, int]] = []
    for state in FIBRE_STATES:
        chosen += [("fibre", number) for number in objects["fibre"].both_ends((classes == state).to_numpy())]
    left_over = np.flatnonzero((classes == "unassessable").to_numpy())
    ids, area, cut = (fibres[name].to_numpy()[left_over] for name in ("fibre_id", "area_um2", "touches_border"))
    chosen += [("fibre", number) for number in ids[np.lexsort((ids, -area, cut))][:UNASSESSABLE].tolist()]
    for cell in CELL_TYPES:
        chosen += [("nucleus", number) for number in objects["nucleus"].both_ends((nuclei["type"] == cell).to_numpy())]
    ids, cells = clusters["cluster_id"].to_numpy(), clusters["cells"].to_numpy()
    chosen += [("cluster", number) for number in ids[np.lexsort((ids, -cells))][:CLUSTERS].tolist()]
    rests_on = (item.objects for item in evidence if item.objects and item.objects.ids)
    chosen += [(found.kind, number) for found in rests_on for number in objects[found.kind].extremes(found.ids)]
    return list(dict.fromkeys(chosen))


@dataclass(frozen=True)
class _Objects:
    """What the objects of one kind are ranked by, (n,) each; cut: the image's edge cuts them. Tables would take ten times as long."""

    ids: np.ndarray
    probability: np.ndarray
    cut: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, kind: CropKind) -> _Objects:
        cut = table["touches_border"].to_numpy() if "touches_border" in table else np.zeros(len(table), dtype=bool)
        return cls(table[f"{kind}_id"].to_numpy(), table["probability"].to_numpy(), cut)

    def ranked(self, rows: np.ndarray, sign: float = -1.0) -> np.ndarray:
        """Rows (k,) by sureness, the surest first (1: last), what is cut last in either case, ties by id."""
        return np.asarray(rows[np.lexsort((self.ids[rows], sign * self.probability[rows], self.cut[rows]))])

    def both_ends(self, chosen: np.ndarray) -> list[int]:
        """Ids of the surest and of the least sure of those `chosen`, bool (n,); none twice."""
        rows = self.ranked(np.flatnonzero(chosen))
        least = self.ranked(rows[PER_END:], 1.0)
        return [int(number) for number in self.ids[np.concatenate([rows[:PER_END], least[:PER_END]])]]

    def extremes(self, ids: Iterable[int]) -> list[int]:
        """The surest and the least sure of these ids; one that is cut only where all are."""
        rows = np.flatnonzero(np.isin(self.ids, list(ids)))
        rows = self.ranked(rows if self.cut[rows].all() else rows[~self.cut[rows]])
        return [int(self.ids[rows[place]]) for place in (0, -1)]


def cut_crops(
    slide: Slide, fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, evidence: Iterable[Evidence] = ()
) -> tuple[Crop, ...]:
    """Read what `choose_crops` names from the slide: windows of 256 px at most, never finer than the slide; white beyond its edge."""
    chosen = choose_crops(fibres, nuclei, clusters, evidence)
    windows = _windows(chosen, fibres, nuclei, slide.um_per_px)
    with ThreadPoolExecutor(2) as pool:  # decoding leaves the interpreter to others
        pixels = pool.map(slide.read, windows)
        return tuple(Crop(kind, number, rgb, grid) for (kind, number), rgb, grid in zip(chosen, pixels, windows, strict=True))


def _windows(chosen: Sequence[tuple[CropKind, int]], fibres: pd.DataFrame, nuclei: pd.DataFrame, finest_um: float) -> list[PixelGrid]:
    usual = float(np.clip(FIBRES_WIDE * np.nan_to_num(fibres["max_feret_um"].median()), *FIBRE_UM))
    places = {"fibre": _places(fibres, "fibre", chosen), "nucleus": _places(nuclei, "nucleus", chosen)}
    cells, cluster = nuclei[["y_um", "x_um"]].to_numpy(), nuclei["cluster_id"].to_numpy()
    found = []
    for kind, number in chosen:
        if kind == "cluster":
            members = cells[cluster == number]
            centre, edge = (members.min(axis=0) + members.max(axis=0)) / 2, max(usual, float(np.ptp(members, axis=0).max()) + CELL_UM)
        else:
            *at, length = places[kind][number]
            centre = np.array(at)
            edge = max(usual, ROOM * np.nan_to_num(length)) if kind == "fibre" else max(CELL_UM, 2 * ROOM * np.nan_to_num(length))
        found.append(_window(centre, edge, finest_um))
    return found


def _places(table: pd.DataFrame, kind: CropKind, chosen: Iterable[tuple[CropKind, int]]) -> dict[int, list[float]]:
    """Centre and length (y, x, length) in um of those objects of that kind, by id."""
    ids = table[f"{kind}_id"].to_numpy()
    rows = np.flatnonzero(np.isin(ids, [number for of, number in chosen if of == kind]))
    values = np.column_stack([table[name].to_numpy()[rows] for name in ("y_um", "x_um", "max_feret_um")])
    return dict(zip(ids[rows].tolist(), values.tolist(), strict=True))


def _window(centre_um: np.ndarray, edge_um: float, finest_um: float) -> PixelGrid:
    """A square around the centre that starts on a pixel of the slide: at the slide's own pixel size it is copied, not resampled."""
    um_per_px = max(edge_um / EDGE_PX, finest_um)
    edge_px = math.ceil(edge_um / um_per_px - 1e-6)
    top, left = np.floor((centre_um - edge_px * um_per_px / 2) / finest_um) * finest_um
    return PixelGrid((edge_px, edge_px), um_per_px, (float(top), float(left)))

"""Close-ups of single objects, so that a reader can check a call by eye: which are shown, and how they are cut from the slide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

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
    # few columns: each cut of a table copies all of them
    fibres = fibres[["fibre_id", "state", "assessable", "touches_border", "probability", "area_um2"]].copy()
    nuclei = nuclei[["nucleus_id", "type", "touches_border", "probability"]].copy()
    clusters = clusters[["cluster_id", "cells", "probability"]].copy()
    classes = fibre_class(fibres)
    chosen: list[tuple[CropKind, int]] = []
    for state in FIBRE_STATES:
        of_state = fibres[classes == state].sort_values(["touches_border", "probability", "fibre_id"], ascending=[True, False, True])
        chosen += [("fibre", number) for number in _both_ends(of_state, "fibre_id")]
    left_over = fibres[classes == "unassessable"].sort_values(["touches_border", "area_um2", "fibre_id"], ascending=[True, False, True])
    chosen += [("fibre", number) for number in left_over["fibre_id"].head(UNASSESSABLE).tolist()]
    for cell in CELL_TYPES:
        of_type = nuclei[nuclei["type"] == cell].sort_values(["touches_border", "probability", "nucleus_id"], ascending=[True, False, True])
        chosen += [("nucleus", number) for number in _both_ends(of_type, "nucleus_id")]
    largest = clusters.sort_values(["cells", "cluster_id"], ascending=[False, True])["cluster_id"].head(CLUSTERS)
    chosen += [("cluster", number) for number in largest.tolist()]
    tables = {"fibre": fibres, "nucleus": nuclei, "cluster": clusters}
    for objects in (item.objects for item in evidence if item.objects and item.objects.ids):
        table, id_column = tables[objects.kind], f"{objects.kind}_id"
        rests_on = table[table[id_column].isin(objects.ids)]
        if "touches_border" in rests_on and not rests_on["touches_border"].all():
            rests_on = rests_on[~rests_on["touches_border"]]
        ranked = rests_on.sort_values(["probability", id_column], ascending=[False, True])[id_column]
        chosen += [(objects.kind, int(ranked.iloc[place])) for place in (0, -1)]  # the surest, the least sure
    return list(dict.fromkeys(chosen))


def _both_ends(ranked: pd.DataFrame, id_column: str) -> list[int]:
    """Ids of the first and of the least sure rows of a table ranked by sureness, none twice."""
    first = ranked.head(PER_END)
    rest = ranked.drop(first.index).sort_values(["touches_border", "probability", id_column])
    return [*first[id_column].tolist(), *rest[id_column].head(PER_END).tolist()]


def cut_crops(
    slide: Slide, fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, evidence: Iterable[Evidence] = ()
) -> tuple[Crop, ...]:
    """Read what `choose_crops` names from the slide: windows of 256 px at most, never finer than the slide; white beyond its edge."""
    chosen = choose_crops(fibres, nuclei, clusters, evidence)
    windows = _windows(chosen, fibres, nuclei, slide.um_per_px)
    with ThreadPoolExecutor(2) as pool:  # decoding leaves the interpreter to others
        pixels = pool.map(slide.read, windows)
        return tuple(Crop(kind, number, rgb, grid) for (kind, number), rgb, grid in zip(chosen, pixels, windows, strict=True))


def _windows(chosen: Iterable[tuple[CropKind, int]], fibres: pd.DataFrame, nuclei: pd.DataFrame, finest_um: float) -> list[PixelGrid]:
    place = ["y_um", "x_um", "max_feret_um"]
    fibre_rows, nucleus_rows = fibres.set_index("fibre_id")[place], nuclei.set_index("nucleus_id")[place]
    usual = float(np.clip(FIBRES_WIDE * np.nan_to_num(fibres["max_feret_um"].median()), *FIBRE_UM))
    found = []
    for kind, number in chosen:
        if kind == "fibre":
            y, x, length = fibre_rows.loc[number].to_numpy(float)
            centre, edge = np.array([y, x]), max(usual, ROOM * np.nan_to_num(length))
        elif kind == "nucleus":
            y, x, length = nucleus_rows.loc[number].to_numpy(float)
            centre, edge = np.array([y, x]), max(CELL_UM, 2 * ROOM * np.nan_to_num(length))
        else:
            members = nuclei.loc[nuclei["cluster_id"] == number, ["y_um", "x_um"]].to_numpy(float)
            centre, edge = (members.min(axis=0) + members.max(axis=0)) / 2, max(usual, float(np.ptp(members, axis=0).max()) + CELL_UM)
        found.append(_window(centre, edge, finest_um))
    return found


def _window(centre_um: np.ndarray, edge_um: float, finest_um: float) -> PixelGrid:
    """A square around the centre that starts on a pixel of the slide: at the slide's own pixel size it is copied, not resampled."""
    um_per_px = max(edge_um / EDGE_PX, finest_um)
    edge_px = math.ceil(edge_um / um_per_px - 1e-6)
    top, left = np.floor((centre_um - edge_px * um_per_px / 2) / finest_um) * finest_um
    return PixelGrid((edge_px, edge_px), um_per_px, (float(top), float(left)))

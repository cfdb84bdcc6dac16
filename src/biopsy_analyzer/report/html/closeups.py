"""Close-ups by class, the surest calls first: outlined, with number, probability and reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.crops import PER_END
from biopsy_analyzer.report.html.material import Material
from biopsy_analyzer.report.html.render import data_uri
from biopsy_analyzer.report.html.svg import closed_path, marks_path
from biopsy_analyzer.report.html.words import CLASSES
from biopsy_analyzer.report.legend import scale_bar_um
from biopsy_analyzer.report.palette import NUCLEUS_MARKERS
from biopsy_analyzer.report.pictures import Shot
from biopsy_analyzer.report.shown import fibre_class

UNITS_PER_UM = 5
MARK_UM = 1.6

Cells = tuple[np.ndarray, np.ndarray]
"""Centres (n, 2) (y, x) in um and types (n,) of the nuclei that bear a mark."""


def closeups(material: Material) -> list[dict[str, Any]]:
    """Every close-up whose object is still there, under the class that the tables say now.

    After corrections that may not be the class for which it was cut.
    """
    fibres, nuclei, clusters = material.fibres, material.nuclei, material.clusters.assign(sheet=material.sheets)
    rows = {
        "fibre": _rows(material, "fibre", fibres, fibre_class(fibres), ["state", "min_feret_um", "touches_border"]),
        "nucleus": _rows(material, "nucleus", nuclei, nuclei["type"], ["fibre_id"]),
        "cluster": _rows(material, "cluster", clusters, pd.Series(["cluster"] * len(clusters), dtype=object), ["kind", "cells", "sheet"]),
    }
    marked = material.nuclei["type"].isin(list(NUCLEUS_MARKERS))
    cells = material.nuclei.loc[marked, ["y_um", "x_um"]].to_numpy(), material.nuclei.loc[marked, "type"].to_numpy()
    here = [shot for shot in material.shots[1:] if shot.id in rows[shot.kind]]
    return [_closeup(material, cells, shot, rows[shot.kind][shot.id]) for shot in here]


def _rows(material: Material, kind: str, table: pd.DataFrame, shown: pd.Series, needed: list[str]) -> dict[int, dict[str, Any]]:
    """What is told of the objects of that kind that have a close-up, by id; shown: the class of each row."""
    wanted = [shot.id for shot in material.shots[1:] if shot.kind == kind]
    rows = np.flatnonzero(np.isin(table[f"{kind}_id"].to_numpy(), wanted))
    columns = {name: table[name].iloc[rows].tolist() for name in (f"{kind}_id", "probability", "reason", *needed)}
    columns["shown"] = shown.iloc[rows].tolist()
    return {cells[0]: dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)}


def closeup_groups(material: Material, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A group for each class that has close-ups, in the order of `CLASSES`: the surest calls, then the least sure."""
    totals = {**fibre_class(material.fibres).value_counts(), **material.nuclei["type"].value_counts(), "cluster": len(material.clusters)}
    groups = [(name, _ends(name, [closeup for closeup in found if closeup["shown"] == name])) for name in CLASSES]
    return [{"key": name, "title": CLASSES[name], "total": totals[name], "closeups": members} for name, members in groups if members]


def _ends(name: str, members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those at both ends of sureness, each told at which; what was not called, and clusters, are shown as they come."""
    ordered = sorted(members, key=lambda closeup: (-closeup["probability"], closeup["id"]))
    if name in ("unassessable", "cluster"):
        return [{**closeup, "end": ""} for closeup in ordered[: 2 * PER_END]]
    surest, rest = ordered[:PER_END], ordered[PER_END:][-PER_END:]
    return [*({**closeup, "end": "surest"} for closeup in surest), *({**closeup, "end": "least sure"} for closeup in rest)]


def _closeup(material: Material, cells: Cells, shot: Shot, row: dict[str, Any]) -> dict[str, Any]:
    grid = shot.grid
    edge_um = grid.shape[0] * grid.um_per_px
    ring = material.rings[shot.kind].get(shot.id)
    name = row["shown"] if shot.kind != "cluster" else f"cluster-{row['kind']}"
    return {
        "key": f"{shot.kind}-{shot.id}",
        "title": f"{shot.kind} {shot.id}",
        "id": shot.id,
        "shown": row["shown"],
        "class": name,
        "uri": data_uri(shot.jpeg, "jpeg"),
        "view": round(edge_um * UNITS_PER_UM),
        "outline": "" if ring is None else closed_path(_units(ring, grid), 0.5),
        "marks": _marks(cells, shot),
        "bar_um": scale_bar_um(edge_um / 3),
        "probability": float(row["probability"]),
        "reason": row["reason"],
        "facts": _facts(shot.kind, row),
    }


def _units(yx_um: np.ndarray, grid: PixelGrid) -> np.ndarray:
    return (yx_um - np.asarray(grid.origin_um)) * UNITS_PER_UM


def _marks(cells: Cells, shot: Shot) -> list[dict[str, Any]]:
    """The cells within the window, but for the close-up of a single cell, which is left free."""
    if shot.kind == "nucleus":
        return []
    centres, types = cells
    where = _units(centres, shot.grid)
    edge = shot.grid.shape[0] * shot.grid.um_per_px * UNITS_PER_UM
    inside = np.all((where >= 0) & (where < edge), axis=1)
    here, types = where[inside], types[inside]
    radius = max(MARK_UM * UNITS_PER_UM, edge / 90)
    paths = {name: marks_path(here[types == name], marker.corners, radius) for name, marker in NUCLEUS_MARKERS.items()}
    return [{"class": n, "path": p, "dot": NUCLEUS_MARKERS[n].corners > 4, "width": 2 * radius} for n, p in paths.items() if p]


def _facts(kind: str, row: dict[str, Any]) -> list[str]:
    if kind == "fibre":
        facts = [f"least diameter {row['min_feret_um']:.0f} µm" + (", cut by the image's edge" if row["touches_border"] else "")]
        if row["state"] != row["shown"]:
            facts.append(f"likeliest: {row['state']}")
        return facts
    if kind == "nucleus":
        place = "between the fibres" if not row["fibre_id"] else f"in fibre {row['fibre_id']}"
        return [place]
    return [f"{row['kind']}{', a confluent sheet and no cluster' if row['sheet'] else ''}, {row['cells']} cells"]

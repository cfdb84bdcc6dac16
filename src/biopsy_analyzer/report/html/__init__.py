"""The report for people: report.html for a slide, index.html for the slides of a folder. Each is one file without requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biopsy_analyzer.errors import ResultError
from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.report.html.index import index_page
from biopsy_analyzer.report.html.material import Material, numbered, rings_of
from biopsy_analyzer.report.html.page import slide_page
from biopsy_analyzer.report.pictures import compress, read_pictures, write_pictures
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.saved import Saved

REPORT, INDEX = "report.html", "index.html"


def write_report(saved: Saved, folder: Path) -> Path:
    """Make `folder`/report.html from the files of a result alone: the tables, objects.geojson and pictures.parquet; gives its path.

    The same bytes as `write_report_of` gives for the result in memory. ResultError where a file is missing or damaged.
    """
    shots = read_pictures(saved.folder)
    path = saved.folder / "objects.geojson"
    try:
        collection = json.loads(path.read_bytes())
        rings = rings_of(collection, saved.document["slide"]["um_per_px"], {(shot.kind, shot.id) for shot in shots})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ResultError(f"{path}: missing or damaged ({error}). Run analyze again") from error
    write_bytes(folder / REPORT, slide_page(Material(saved.document, saved.fibres, saved.nuclei, saved.clusters, rings, shots)))
    return folder / REPORT


def write_report_of(result: Result, document: dict[str, Any], rings: dict[str, Sequence[np.ndarray]], folder: Path) -> None:
    """Write pictures.parquet and report.html of a result in memory into `folder`.

    document  the content of its scores.json;  rings  outlines in um by kind "fibre", "nucleus", "cluster", in the order of the tables
    """
    shots = compress(result.picture, result.crops)
    write_pictures(shots, folder)
    few = [shot.id for shot in shots if shot.kind == "nucleus"]
    um_per_px = result.slide.um_per_px
    by_id = {kind: numbered(rings[kind], few if kind == "nucleus" else range(1, len(rings[kind]) + 1), um_per_px) for kind in rings}
    write_bytes(folder / REPORT, slide_page(Material(document, result.fibres, result.nuclei, result.clusters, by_id, shots)))


def write_index(out: Path) -> Path:
    """Make `out`/index.html over all results that lie directly in `out`, and the slides that failed; gives its path."""
    write_bytes(out / INDEX, index_page(out))
    return out / INDEX

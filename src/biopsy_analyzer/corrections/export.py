"""The corrected section as a result folder of its own, corrected/ beside the machine's files, which stay as they are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.corrections.book import ID, Kind
from biopsy_analyzer.corrections.section import Corrections
from biopsy_analyzer.errors import ResultError
from biopsy_analyzer.report.atomic import copy_whole, prepare_folder, write_bytes, write_chunks
from biopsy_analyzer.report.geojson import feature_collection
from biopsy_analyzer.report.html import write_report
from biopsy_analyzer.report.labels import write_labels
from biopsy_analyzer.report.outlines import cluster_outlines
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.report.saved import Saved
from biopsy_analyzer.report.scores_json import ScoresDocument, to_text
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.score.traced import evidence_objects
from biopsy_analyzer.settings import Settings

FOLDER = "corrected"


def export(corrections: Corrections) -> Path:
    """Write the corrected tables, scores.json, objects.geojson, label images and report into corrected/; gives that folder.

    Each file is whole or not there; scores.json goes first and comes back last, so where it stands all belong together. A repeated
    export replaces it. OutputError where it can't be written; ResultError where the machine's objects.geojson is damaged.
    """
    folder = corrections.saved.folder / FOLDER
    prepare_folder(folder, last_file="scores.json")
    fibres, nuclei, clusters = corrections.fibres, corrections.nuclei, corrections.clusters
    for name, table in (("fibres", fibres), ("nuclei", nuclei), ("clusters", clusters)):
        write_table(table, folder, name)
    fibre_rings, nucleus_rings = _rings(corrections, "fibres", fibres), _rings(corrections, "nuclei", nuclei)
    cluster_rings = cluster_outlines(nucleus_rings, nuclei["cluster_id"].to_numpy(), len(clusters))
    slide = corrections.saved.document["slide"]
    kinds = (fibres, fibre_rings), (nuclei, nucleus_rings), (clusters, cluster_rings)
    write_chunks(folder / "objects.geojson", feature_collection(slide["sha256"], slide["um_per_px"], *kinds))
    write_labels(_labels(corrections, "fibres"), _labels(corrections, "nuclei"), folder)
    pictures = corrections.saved.folder / "pictures.parquet"
    if pictures.exists():
        copy_whole(pictures, folder / pictures.name)
    settings = Settings.model_validate(corrections.saved.document["settings"])
    write_table(evidence_objects(fibres, nuclei, clusters, settings), folder, "evidence")
    document = corrected_document(corrections)
    if pictures.exists():  # without the section's picture a report shows nothing
        write_report(Saved(folder, document, fibres, nuclei, clusters), folder)
    write_bytes(folder / "scores.json", to_text(document).encode("utf-8"))
    return folder


def written(corrections: Corrections) -> Path | None:
    """The folder that `export` wrote, if that was after the last edit; None where it is older, damaged or not there."""
    folder = corrections.saved.folder / FOLDER
    try:
        document = json.loads((folder / "scores.json").read_bytes())
        return folder if document["corrections"]["journal_sha256"] == corrections.journal.sha256 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def corrected_document(corrections: Corrections) -> dict[str, Any]:
    """scores.json of the corrected section: the machine's, with the scores of now and what was corrected by whom."""
    saved, scores = corrections.saved, corrections.scores()
    document = saved.document | scores.model_dump(mode="json")
    document["quality"] = document["quality"] | {"tissue_area_mm2": corrections.tissue_area_mm2}
    document["warnings"] = list(dict.fromkeys([*scores.warnings, *_notes(corrections)]))
    kinds = Counter(line["edit"] for line in corrections.edits)
    document["corrections"] = {
        "edits": len(corrections.edits),
        "kinds": dict(sorted(kinds.items())),
        "by": sorted({line["who"] for line in corrections.edits}),
        "last_utc": corrections.journal.lines[-1]["utc"] if corrections.journal.lines else None,
        "unmeasured_fibres": int(corrections.fibres.set_index("fibre_id").loc[sorted(corrections.reshaped()), "eosin_od"].isna().sum()),
        "journal_sha256": corrections.journal.sha256,
    }
    return ScoresDocument.model_validate(document).model_dump(mode="json")


def _notes(corrections: Corrections) -> list[str]:
    """Warnings of the analysis that come from elsewhere than the scores (memory that ran out, say) and hold as before."""
    warnings = corrections.saved.document["warnings"]
    return [warning for warning in warnings if warning not in corrections.machine_scores.warnings]


def _labels(corrections: Corrections, kind: Kind) -> Labels:
    edited = corrections.labels[kind]
    return Labels(edited.pixels, edited.grid)  # type: ignore[arg-type]  # read window by window, as labels on a disk are


def _rings(corrections: Corrections, kind: Kind, table: pd.DataFrame) -> list[np.ndarray]:
    """Outlines (k, 2) in um in the order of `table`: the machine's, but for fibres whose outline was changed."""
    name = {"fibres": "Fibre", "nuclei": "Nucleus"}[kind]
    machine = _machine_rings(corrections.saved.folder / "objects.geojson", name, corrections.saved.document["slide"]["um_per_px"])
    ids = table[ID[kind]].tolist()
    changed = corrections.reshaped() if kind == "fibres" else set()
    return [corrections.outline(i) if i in changed or i not in machine else machine[i] for i in ids]


def _machine_rings(path: Path, name: str, um_per_px: float) -> dict[int, np.ndarray]:
    try:
        features = json.loads(path.read_bytes())["features"]
        own = [f for f in features if f["properties"]["name"].startswith(f"{name} ")]
        return {int(f["properties"]["name"].split()[1]): np.array(f["geometry"]["coordinates"][0])[:-1, ::-1] * um_per_px for f in own}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ResultError(f"{path}: damaged or missing ({error}); analyse the section again") from error

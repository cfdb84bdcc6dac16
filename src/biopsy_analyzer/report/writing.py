"""A result written as files: the one way from what was found to a result folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.report.atomic import MADE_OF_RESULTS, prepare_folder, write_bytes, write_chunks
from biopsy_analyzer.report.geojson import feature_collection
from biopsy_analyzer.report.html import write_report_of
from biopsy_analyzer.report.labels import write_labels
from biopsy_analyzer.report.outlines import Rings, cluster_outlines
from biopsy_analyzer.report.overlay import Ringed, draw_overlay
from biopsy_analyzer.report.png import png_bytes
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.scores_json import scores_document, to_text
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.score.doubts import FORBIDDING
from biopsy_analyzer.score.tallies import is_sheet
from biopsy_analyzer.score.traced import evidence_objects


def write_result(result: Result, folder: Path | str) -> Path:
    """Write `folder`/<slide id>/ with scores.json, tables, objects.geojson, labels.ome.zarr, pictures and report.html; gives that folder.

    Each file is whole or not there. scores.json goes first and comes back last: where it stands, all other files are of the same
    analysis. OutputError when the folder can't be written or the disk is full.
    """
    folder = Path(folder) / result.slide.id
    prepare_folder(folder, last_file="scores.json", made_of_it=MADE_OF_RESULTS)
    fibre_rings, nucleus_rings = result.fibre_labels.outlines(), result.nucleus_labels.outlines()
    cluster_rings = cluster_outlines(nucleus_rings, result.nuclei["cluster_id"].to_numpy(), len(result.clusters))
    fibres, nuclei, clusters = (result.fibres, fibre_rings), (result.nuclei, nucleus_rings), (result.clusters, cluster_rings)
    with ThreadPoolExecutor(1) as side:  # OpenCV draws and compresses the overlay while Python writes the rest
        overlay = side.submit(_overlay, result, fibres, nuclei, clusters)
        for name, (table, _) in (("fibres", fibres), ("nuclei", nuclei), ("clusters", clusters)):
            write_table(table, folder, name)
        write_table(evidence_objects(result.fibres, result.nuclei, result.clusters, result.settings), folder, "evidence")
        objects = feature_collection(result.slide.sha256, result.slide.um_per_px, fibres, nuclei, clusters)
        write_chunks(folder / "objects.geojson", objects)
        write_labels(result.fibre_labels, result.nucleus_labels, folder)
        document = scores_document(result)
        write_report_of(result, document, {"fibre": fibre_rings, "nucleus": nucleus_rings, "cluster": cluster_rings}, folder)
        write_bytes(folder / "overlay.png", overlay.result())
    write_bytes(folder / "scores.json", to_text(document).encode("utf-8"))
    return folder


def _overlay(result: Result, fibres: tuple[pd.DataFrame, Rings], nuclei: tuple[pd.DataFrame, Rings], clusters: Ringed) -> bytes:
    """overlay.png; outlines without stairs, for the eye. The hull of a sheet of cells encloses what it likes: sheets are told in words."""
    smooth_fibres, smooth_nuclei = ((table, rings.without_stairs()) for table, rings in (fibres, nuclei))
    rows = np.flatnonzero(~is_sheet(clusters[0], result.settings.clusters))
    bounded = clusters[0].iloc[rows], [clusters[1][row] for row in rows.tolist()]
    assessed = result.scores.inflammation.macrophages_in_necrotic_fibres is not None
    picture, grid = result.picture.rgb, result.picture.grid
    words = _caption(result), _facts(result), _notes(result)
    return png_bytes(draw_overlay(picture, grid, smooth_fibres, smooth_nuclei, bounded, *words, assessed))


def _caption(result: Result) -> str:
    slide = result.slide
    sheets = result.scores.sheets.count
    facts = [for_terminal(slide.file_name), f"{slide.um_per_px:g} um/px", f"status: {result.status}"]
    facts += [f"sheets of cells, not outlined: {sheets}"] if sheets else []
    return "  ·  ".join((*facts, "Research use only, not for diagnosis"))


def _notes(result: Result) -> list[str]:
    """What forbids a pattern, by its flags, for a reader who sees the legend's numbers and no report."""
    codes = [flag.code for flag in result.flags if flag.code in FORBIDDING]
    return [f"doubtful: {', '.join(codes)}"] if codes else []


def _facts(result: Result) -> list[str]:
    """The pattern and what it rests on, for the legend."""
    axes = result.axes
    shares = {"necrosis": axes.necrosis.measured, "regeneration": axes.regeneration.measured}
    cells = axes.inflammation.measured
    return [
        f"pattern: {result.scores.pattern.label}",
        *(f"{name}: {'not assessed' if share is None else f'{share:.1%} of fibres'}" for name, share in shares.items()),
        f"inflammation: {'not assessed' if cells is None else f'{cells:.0f} cells per mm2'}",
    ]

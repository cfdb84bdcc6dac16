"""Export: a picture with scale bar and legend, and the files of the result. No Qt."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from biopsy_analyzer.errors import OutputError
from biopsy_analyzer.report.atomic import copy_whole, write_bytes
from biopsy_analyzer.report.legend import add_legend
from biopsy_analyzer.report.shown import fibre_class
from biopsy_analyzer.viewer.session import Session

FILES = {
    "report.html": "report",
    "scores.json": "scores",
    "objects.geojson": "objects for QuPath",
    "labels.ome.zarr": "label images",
    "fibres.csv": "fibre table",
    "nuclei.csv": "nucleus table",
    "clusters.csv": "cluster table",
}
"""What can be copied from a result folder, in the order it is offered."""


def save_picture(canvas: np.ndarray, um_per_px: float, session: Session, path: Path) -> None:
    """The canvas, RGB or RGBA uint8 (H, W, 3 or 4), as PNG with the legend below it: scale bar, colours, counts, pattern, caption.

    um_per_px: of the canvas as it is. OutputError where it can't be written.
    """
    slide, scores = session.document["slide"], session.document
    assessed = scores["inflammation"]["macrophages_in_necrotic_fibres"] is not None
    caption = f"{slide['file_name']}  ·  view  ·  Research use only, not for diagnosis"
    picture = add_legend(
        np.ascontiguousarray(canvas[..., :3]),
        um_per_px,
        fibre_class(session.fibres),
        session.nuclei["type"] if assessed else None,
        session.clusters["kind"] if assessed else None,
        caption,
        [f"pattern: {scores['pattern']['label']}", "counts: whole section"],
    )
    written, content = cv2.imencode(".png", picture[..., ::-1])
    if not written:
        raise OutputError(f"{path.name}: the picture can't be encoded")
    write_bytes(path, content.tobytes())


def copy_files(folder: Path, names: list[str], into: Path) -> list[Path]:
    """Copies of these files of a result folder in `into`, which may exist; those that the result has not are left out.

    Each copy is whole or not there, and takes the place of what had its name. OutputError where one can't be made, or where `into` is
    the result folder itself.
    """
    if into.resolve() == folder.resolve():
        raise OutputError(f"{into} is the result folder itself. Choose another folder")
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"can't write into {into}: {error.strerror}. Choose another folder") from error
    there = [name for name in names if (folder / name).exists()]
    for name in there:
        copy_whole(folder / name, into / name)
    return [into / name for name in there]

"""Real images with truth: annotations read from GeoJSON, and drawn as rasters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from skimage.draw import polygon as polygon_pixels

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS
from biopsy_analyzer.training.targets import UNKNOWN

UNSURE = len(FIBRE_STATES) + 1
"""State code of a fibre whose outline counts and whose state doesn't."""

FIBRE_CODES = {f"Fibre: {state}": code for code, state in enumerate((*FIBRE_STATES, "unsure"), start=1)}
NUCLEUS_CODES = {f"Nucleus: {kind}": code for code, kind in enumerate(NUCLEUS_KINDS, start=1)} | {
    "Nucleus: internal": 1,
    "Nucleus: myonucleus": 1,
    "Nucleus: unknown": UNKNOWN,
}
REGION_NAMES = ("Region: annotated", "Region: unsure", "Region: infiltrate", "Region: nerve", "Region: vessel", "Region: no muscle")


@dataclass(frozen=True)
class Source:
    """What an annotation was drawn on; `file` is relative to the folder of the real images, `shape` is (H, W) at level 0."""

    file: str
    um_per_px: float
    shape: tuple[int, int]
    source: str
    licence: str
    held_out: bool  # for measuring only, never for training
    teach_states: bool = True  # False: no ordinary fibre on this slide, so the rule that compares with ordinary ones can't learn from it
    teach_maps: bool = True  # False: the states are a network's own, which would confirm itself


@dataclass(frozen=True)
class Annotation:
    """One annotated image in level-0 pixels; outlines are (n, 2) float64 as (y, x), open, in the file's order."""

    source: Source
    fibres: list[np.ndarray]
    fibre_state: np.ndarray  # uint8 (n_fibres + 1,): code by label 1..n; 1..4 FIBRE_STATES, 5 unsure; [0] is 0
    regions: list[tuple[str, np.ndarray]]
    nuclei: pd.DataFrame  # marked by points: y_px, x_px, name ("internal", "macrophage", ...), kind (1..4, NUCLEUS_KINDS; 255 unknown)
    nucleus_outlines: list[np.ndarray]  # those outlined; then "Region: annotated" holds every nucleus, so that the rest is none
    nucleus_names: list[str]  # by label 1..n, [0] is ""; "unknown": an outline without a kind


@dataclass(frozen=True)
class Raster:
    """An annotation drawn on pixels."""

    fibres: np.ndarray  # int32 (H, W), 0 background
    fibre_state: np.ndarray  # uint8 (n_fibres + 1,), code by label
    ignore: np.ndarray  # bool (H, W): no truth here
    nuclei: pd.DataFrame  # y_px, x_px in this raster, name, kind, fibre_id (0: between fibres); only those in the raster
    outlined: np.ndarray | None  # int32 (H, W): nuclei by label, where they are outlined


def read_annotations(path: Path | str) -> Annotation:
    """Read one annotation file: a GeoJSON FeatureCollection as QuPath writes it, with a top-level `source`.

    UsageError for a file that isn't one, for an unknown class name, for a geometry other than Polygon (fibres, regions, nuclei) or Point
    (nuclei) and for one without finite positions (x, y). Holes of polygons are not read: by convention a fibre has none.
    """
    fibres, codes, regions, points, outlines, names = [], [0], [], [], [], [""]
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        source = _source(data["source"])
        for feature in data["features"]:
            name, geometry = feature["properties"]["classification"]["name"], feature["geometry"]
            _check(path, name, geometry["type"])
            if geometry["type"] == "Point":
                ((y, x),) = _positions([geometry["coordinates"]], 1)
                points.append((y, x, name.removeprefix("Nucleus: "), NUCLEUS_CODES[name]))
                continue
            outline = _positions(geometry["coordinates"][0], 4)[:-1]
            if name in FIBRE_CODES:
                fibres.append(outline)
                codes.append(FIBRE_CODES[name])
            elif name in NUCLEUS_CODES:
                outlines.append(outline)
                names.append(name.removeprefix("Nucleus: "))
            else:
                regions.append((name, outline))
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path}: not an annotation file ({error}); see annotations/README.md for the format") from error
    nuclei = pd.DataFrame(points, columns=["y_px", "x_px", "name", "kind"])
    return Annotation(source, fibres, np.array(codes, np.uint8), regions, nuclei, outlines, names)


def _source(facts: dict[str, Any]) -> Source:
    um_per_px = facts["um_per_px"]
    if isinstance(um_per_px, str) or not 0 < um_per_px < np.inf:
        raise ValueError(f"um_per_px {um_per_px!r}, wanted a number above 0")
    return Source(**{**facts, "shape": (int(facts["shape"][0]), int(facts["shape"][1]))})


def _positions(coordinates: list[list[float]], least: int) -> np.ndarray:
    """Positions (n, 2) as (y, x) of those (x, y) in the file."""
    found = np.array(coordinates, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) < least or not np.isfinite(found).all():
        raise ValueError(f"coordinates of shape {found.shape}, wanted at least {least} finite positions (x, y)")
    return found[:, ::-1]


def _check(path: Path | str, name: str, geometry_type: str) -> None:
    known = [*FIBRE_CODES, *NUCLEUS_CODES, *REGION_NAMES]
    if name not in known:
        raise UsageError(f"{path}: unknown class {name!r}; known: {', '.join(known)}")
    wanted = ("Polygon", "Point") if name in NUCLEUS_CODES else ("Polygon",)
    if geometry_type not in wanted:
        raise UsageError(f"{path}: {name!r} is a {geometry_type}, wanted a {' or '.join(wanted)}")


def rasterise(
    annotation: Annotation, shape: tuple[int, int], *, um_per_px: float | None = None, origin_px: tuple[int, int] = (0, 0)
) -> Raster:
    """Draw an annotation on (H, W) pixels of `um_per_px` (None: the image's own), starting at `origin_px` (y, x) of that raster.

    A pixel belongs to the outline that holds its centre; where outlines overlap, the first in the file keeps it. Label k is
    the k-th fibre of the file, so a fibre outside the raster leaves its number unused. `ignore` is everything outside
    "Region: annotated", and what lies in "Region: unsure" and in no outlined fibre or nucleus; a fibre that reaches beyond the annotated
    region keeps its whole label, so that its depth is right. No fibres, no regions: zeros, all ignored.
    """
    scale = annotation.source.um_per_px / (um_per_px or annotation.source.um_per_px)

    def filled(outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = (outline * scale - origin_px - 0.5).T
        return polygon_pixels(rows, columns, shape)

    def labelled(outlines: list[np.ndarray]) -> np.ndarray:
        labels = np.zeros(shape, np.int32)
        for label in range(len(outlines), 0, -1):  # backwards: the first is drawn last and keeps an overlap
            labels[filled(outlines[label - 1])] = label
        return labels

    fibres = labelled(annotation.fibres)
    outlined = labelled(annotation.nucleus_outlines) if annotation.nucleus_outlines else None
    ignore = np.ones(shape, bool)
    for name, outline in annotation.regions:
        if name == "Region: annotated":
            ignore[filled(outline)] = False
    unsure = np.zeros(shape, bool)
    for name, outline in annotation.regions:
        if name == "Region: unsure":
            unsure[filled(outline)] = True
    ignore |= unsure & (fibres == 0) & (True if outlined is None else outlined == 0)
    nuclei = annotation.nuclei.copy()
    nuclei[["y_px", "x_px"]] = nuclei[["y_px", "x_px"]] * scale - np.array(origin_px)
    inside = nuclei.y_px.between(0, shape[0], inclusive="left") & nuclei.x_px.between(0, shape[1], inclusive="left")
    nuclei = nuclei[inside].reset_index(drop=True)
    nuclei["fibre_id"] = fibres[nuclei.y_px.astype(int), nuclei.x_px.astype(int)]
    return Raster(fibres, annotation.fibre_state, ignore, nuclei, outlined)

"""Real images with truth: annotations read from GeoJSON, drawn as rasters, and packed into training banks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from skimage.draw import polygon as polygon_pixels

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import open_slide
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

BANK_UM_PER_PX = 0.5
PATCH_PX = 512
POINT_RADIUS_UM = 2.5  # a nucleus marked by a point becomes a disc well inside it
NUCLEUS_DIAMETER_UM = 7.5  # nuclei of unknown magnification are brought to this equivalent diameter
HELD_OUT_FRACTION = 0.2
SPLIT_SEED = 2018


@dataclass(frozen=True)
class Source:
    """What an annotation was drawn on; `file` is relative to the folder of the real images, `shape` is (H, W) at level 0."""

    file: str
    um_per_px: float
    shape: tuple[int, int]
    source: str
    licence: str
    held_out: bool  # for measuring only, never for training
    teach_states: bool = True  # False: every sick fibre is on this slide, so that its stain would be learned as the state


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


def annotated_patches(paths: Iterable[Path | str], real_folder: Path | str) -> Iterator[dict[str, np.ndarray]]:
    """Patches of the annotated images in `real_folder`, each annotation's region covered; those held out are skipped.

    Keys and dtypes as in `write_bank`. Nuclei marked by points are not all there are: `nuclei` holds discs at the points and
    `kinds` is 255 elsewhere, so it can't teach where there is no nucleus. Outlined ones can, and `kinds` is 0 between them.
    """
    for annotation in map(read_annotations, paths):
        source = annotation.source
        if source.held_out:
            continue
        scale = source.um_per_px / BANK_UM_PER_PX
        corners = np.concatenate([outline for name, outline in annotation.regions if name == "Region: annotated"]) * scale
        with open_slide(Path(real_folder) / source.file, um_per_px=source.um_per_px) as slide:
            for origin in _origins(corners.min(axis=0), corners.max(axis=0)):
                raster = rasterise(annotation, (PATCH_PX, PATCH_PX), um_per_px=BANK_UM_PER_PX, origin_px=origin)
                rgb = slide.read(_patch_grid(origin))
                truth = _truth(raster, annotation.nucleus_names)
                if not source.teach_states:
                    truth["states"][truth["fibres"] > 0] = UNKNOWN
                yield {"rgb": rgb, **truth}


def dsb_patches(folder: Path | str, *, held_out: bool = False) -> Iterator[dict[str, np.ndarray]]:
    """Patches of the 2018 Data Science Bowl's stained tissue: `folder` holds images/ and labels/ of the same names.

    Their magnification isn't known, so each is scaled until its median nucleus has an equivalent diameter of 7.5 um. A fixed
    fifth of the images is held out for measuring; `held_out` gives those instead. Fibres are absent (states 255), kinds unknown.
    """
    names = sorted(path.name for path in (Path(folder) / "labels").glob("*.png"))
    chosen = np.random.default_rng(SPLIT_SEED).permutation(len(names)) < round(HELD_OUT_FRACTION * len(names))
    for name in (name for name, out in zip(names, chosen, strict=True) if out == held_out):
        labels = cv2.imread(str(Path(folder) / "labels" / name), cv2.IMREAD_UNCHANGED)
        if labels is None or not labels.any():
            raise UsageError(f"{Path(folder) / 'labels' / name}: no label image with nuclei; is the download complete?")
        areas = np.bincount(labels.ravel())[1:]
        um_per_px = NUCLEUS_DIAMETER_UM / np.sqrt(4 / np.pi * np.median(areas[areas > 0]))
        size = np.array(labels.shape) * um_per_px / BANK_UM_PER_PX
        with open_slide(Path(folder) / "images" / name, um_per_px=um_per_px) as slide:
            for origin in _origins(np.zeros(2), size):
                yield {"rgb": slide.read(_patch_grid(origin)), **_nuclei_truth(labels, um_per_px, origin)}


def pack(patches: Iterable[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """Patches that are mostly padding moved together onto fewer, side by side in rows, so that training crops aren't empty.

    What a patch holds must lie at its top left, as `dsb_patches` gives it. Nucleus labels are renumbered; fibres aren't kept.
    """
    page: dict[str, np.ndarray] | None = None
    top = left = row = 0
    for patch in patches:
        height, width = (int(np.flatnonzero(~patch["ignore"].all(axis=axis)).max()) + 1 for axis in (1, 0))
        if left + width > PATCH_PX:
            top, left, row = top + row, 0, 0
        if page is None or top + height > PATCH_PX:
            if page is not None:
                yield page
            page, top, left, row = _nuclei_truth(np.zeros((0, 0), np.uint16), 1.0, (0, 0)), 0, 0, 0
            page["rgb"] = np.full((PATCH_PX, PATCH_PX, 3), 255, np.uint8)
        last = page["nuclei"].max()
        for key in ("rgb", "states", "nuclei", "kinds", "ignore"):
            page[key][top : top + height, left : left + width] = patch[key][:height, :width]
        nuclei = page["nuclei"][top : top + height, left : left + width]
        nuclei[nuclei > 0] += last
        left, row = left + width, max(row, height)
    if page is not None:
        yield page


def write_bank(patches: Iterable[dict[str, np.ndarray]], folder: Path | str) -> int:
    """Write patches as a training bank and return their number N; UsageError without any.

    Files, each (N, 512, 512) at 0.5 um/px: rgb.npy uint8 (..., 3), fibres.npy and nuclei.npy uint16 labels, states.npy and
    kinds.npy uint8 code by object (0 none, 1..4, 255 unknown), ignore.npy bool (no truth).
    """
    collected = list(patches)
    if not collected:
        raise UsageError(f"no patches for the bank {folder}; are the annotations and the folder of real images the right ones?")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for key in collected[0]:
        np.save(Path(folder) / f"{key}.npy", np.stack([patch[key] for patch in collected]))
    return len(collected)


def _origins(low: np.ndarray, high: np.ndarray) -> list[tuple[int, int]]:
    """Top-left corners of the fewest patches that cover low..high (y, x), evenly spread; one that is too large starts at `low`."""
    axes = []
    for start, end in zip(np.floor(low).astype(int), np.ceil(high).astype(int), strict=True):
        count = max(1, -(-(end - start) // PATCH_PX))
        axes.append(np.linspace(start, max(start, end - PATCH_PX), count).round().astype(int))
    return [(int(y), int(x)) for y in axes[0] for x in axes[1]]


def _patch_grid(origin: tuple[int, int]) -> PixelGrid:
    return PixelGrid((PATCH_PX, PATCH_PX), BANK_UM_PER_PX, (origin[0] * BANK_UM_PER_PX, origin[1] * BANK_UM_PER_PX))


def _truth(raster: Raster, nucleus_names: list[str]) -> dict[str, np.ndarray]:
    """A bank's truth from a rasterised annotation."""
    codes = raster.fibre_state.copy()
    codes[codes == UNSURE] = UNKNOWN
    nuclei, kinds = _discs(raster) if raster.outlined is None else _outlined(raster.outlined, nucleus_names)
    fibres = raster.fibres.astype(np.uint16)
    return {"fibres": fibres, "states": codes[fibres], "nuclei": nuclei, "kinds": kinds, "ignore": raster.ignore}


def _outlined(labels: np.ndarray, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    kind_of = np.array([0, *(NUCLEUS_CODES[f"Nucleus: {name}"] for name in names[1:])], np.uint8)
    return labels.astype(np.uint16), kind_of[labels]


def _discs(raster: Raster) -> tuple[np.ndarray, np.ndarray]:
    nuclei = np.zeros(raster.fibres.shape, np.uint16)
    kinds = np.full(raster.fibres.shape, UNKNOWN, np.uint8)
    y, x = np.indices(nuclei.shape) + 0.5
    marks = raster.nuclei[["y_px", "x_px", "kind"]].to_numpy()
    for label, (y_px, x_px, kind) in enumerate(marks, start=1):
        disc = np.hypot(y - y_px, x - x_px) * BANK_UM_PER_PX <= POINT_RADIUS_UM
        nuclei[disc], kinds[disc] = label, kind
    return nuclei, kinds


def _nuclei_truth(labels: np.ndarray, um_per_px: float, origin: tuple[int, int]) -> dict[str, np.ndarray]:
    """A bank's truth from nucleus labels, taken at the nearest pixel; outside them all is ignored."""
    shape = (PATCH_PX, PATCH_PX)
    rows, columns = (np.floor((start + np.arange(PATCH_PX) + 0.5) * BANK_UM_PER_PX / um_per_px).astype(int) for start in origin)
    known = np.ix_(rows < labels.shape[0], columns < labels.shape[1])
    nuclei, ignore = np.zeros(shape, np.uint16), np.ones(shape, bool)
    nuclei[known] = labels[np.ix_(rows[rows < labels.shape[0]], columns[columns < labels.shape[1]])]
    ignore[known] = False
    kinds = np.where(nuclei > 0, UNKNOWN, 0).astype(np.uint8)
    return {
        "fibres": np.zeros(shape, np.uint16),
        "states": np.full(shape, UNKNOWN, np.uint8),
        "nuclei": nuclei,
        "kinds": kinds,
        "ignore": ignore,
    }

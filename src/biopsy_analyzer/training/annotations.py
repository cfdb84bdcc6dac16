"""Real images with truth: annotations read from GeoJSON, and drawn as rasters."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, PositiveInt, ValidationError
from skimage.draw import polygon as polygon_pixels

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS
from biopsy_analyzer.training.beside import find_image, image_grid, read_facts
from biopsy_analyzer.training.qupath import Feature, class_key, parsed, read_collection
from biopsy_analyzer.training.targets import UNKNOWN

UNSURE = len(FIBRE_STATES) + 1
"""State code of a fibre whose outline counts and whose state doesn't."""

FIBRE_CODES = {f"Fibre: {state}": code for code, state in enumerate((*FIBRE_STATES, "unsure"), start=1)}
NUCLEUS_CODES = {f"Nucleus: {kind}": code for code, kind in enumerate(NUCLEUS_KINDS, start=1)} | {
    "Nucleus: internal": 1,
    "Nucleus: myonucleus": 1,
    "Nucleus: unknown": UNKNOWN,
}
ANNOTATED = "Region: annotated"
REGION_NAMES = (ANNOTATED, "Region: unsure", "Region: infiltrate", "Region: nerve", "Region: vessel", "Region: no muscle")
_OTHER_NAMES = {"Fibre": "Fibre: unsure", "Fibre: unassessable": "Fibre: unsure", "Nucleus": "Nucleus: unknown"}
_CLASSES = {class_key(name): name for name in (*FIBRE_CODES, *NUCLEUS_CODES, *REGION_NAMES)}
_CLASSES |= {class_key(name): meant for name, meant in _OTHER_NAMES.items()}
_GEOMETRIES: dict[str, tuple[str, ...]] = {
    key: ("Polygon", "Point") if name in NUCLEUS_CODES else ("Polygon",) for key, name in _CLASSES.items()
}
_OWN_NAME = re.compile(r"(Fibre|Nucleus) \d+")  # report/geojson.py
_TOLD = 5  # so many kinds of what is left out are told by name


@dataclass(frozen=True)
class Source:
    """What an annotation was drawn on; `file` is absolute or relative to the folder of the real images, `shape` is (H, W) at level 0."""

    file: str
    um_per_px: float
    shape: tuple[int, int]
    source: str
    licence: str
    held_out: bool | None  # for measuring only, never for training; None: not stated
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
    fibre_parts: list[tuple[int, np.ndarray]] = field(default_factory=list)  # label and outline of the smaller pieces
    nucleus_parts: list[tuple[int, np.ndarray]] = field(default_factory=list)
    region_holes: list[tuple[str, np.ndarray]] = field(default_factory=list)
    region_stated: bool = True  # False: no "Region: annotated" in the file, so the one in `regions` is the whole image
    notes: tuple[str, ...] = ()  # what a user should know of how the file was read, a line each
    own: int = 0  # fibres and nuclei by the names that objects.geojson gives them: outlined by this program, then perhaps put right


@dataclass(frozen=True)
class Raster:
    """An annotation drawn on pixels."""

    fibres: np.ndarray  # int32 (H, W), 0 background
    fibre_state: np.ndarray  # uint8 (n_fibres + 1,), code by label
    ignore: np.ndarray  # bool (H, W): no truth here
    nuclei: pd.DataFrame  # y_px, x_px in this raster, name, kind, fibre_id (0: between fibres); only those in the raster
    outlined: np.ndarray | None  # int32 (H, W): nuclei by label, where they are outlined
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    """By "fibres" and "nuclei", (n + 1,): the share of an outline's pixels that no earlier outline keeps; NaN without a pixel here."""


def read_annotations(path: Path | str, images: Path | str | None = None, um_per_px: float | None = None) -> Annotation:
    """Read one annotation file: GeoJSON as QuPath exports it, or this project's objects.geojson.

    What its top-level `source` does not state (QuPath writes none) is taken from `<name>.json` and from the image: beside the file, or by
    `images`, the image itself or the folder where it lies; `um_per_px` wins over both. Without a "Region: annotated" the whole image
    is annotated. Of an object in several pieces the largest is its outline; holes of objects are filled, for by convention a fibre
    has none, and those of regions are kept. `notes` tell what was left out.
    UsageError for a file that isn't one, for outlines without finite positions (x, y), for other geometries than Polygon (fibres, regions,
    nuclei) or Point (nuclei), for a missing image, and where nothing can be used.
    """
    path = Path(path)
    data, features = read_collection(path)
    source = _source(path, data.get("source"), None if images is None else Path(images), um_per_px)
    found = _Found()
    for feature in parsed(path, features, _GEOMETRIES):
        found.take(feature)
    if not (found.fibres or found.regions or found.nuclei or found.points):
        raise UsageError(
            f"{path}: none of its {len(features)} features can be used ({found.left_out() or 'it holds none'}); wanted classes such as "
            "'Fibre: normal', 'Nucleus: internal' or 'Region: annotated': set them in QuPath and export again"
        )
    stated = any(name == ANNOTATED for name, _ in found.regions)
    if not stated:
        height, width = source.shape
        found.regions.append((ANNOTATED, np.array([[0, 0], [0, width], [height, width], [height, 0]], np.float64)))
    return Annotation(
        source,
        [rings[0] for rings in found.fibres],
        np.array(found.codes, np.uint8),
        found.regions,
        pd.DataFrame(found.points, columns=["y_px", "x_px", "name", "kind"]),
        [rings[0] for rings in found.nuclei],
        found.names,
        _further(found.fibres),
        _further(found.nuclei),
        found.region_holes,
        stated,
        tuple(found.notes(path, stated)),
        sum(map(_is_own, features)),
    )


@dataclass
class _Found:
    """What a file holds, feature by feature; an object's rings begin with the largest."""

    fibres: list[list[np.ndarray]] = field(default_factory=list)
    codes: list[int] = field(default_factory=lambda: [0])
    nuclei: list[list[np.ndarray]] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: [""])
    points: list[tuple[float, float, str, int]] = field(default_factory=list)
    regions: list[tuple[str, np.ndarray]] = field(default_factory=list)
    region_holes: list[tuple[str, np.ndarray]] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    filled: int = 0

    def take(self, feature: Feature) -> None:
        name = _CLASSES.get(class_key(feature.name))
        if name is None or feature.kind is None:
            self.unused["without geometry" if name else f"of class {feature.name!r:.40}" if feature.name else "without a class"] += 1
        elif name in REGION_NAMES:
            self.regions += [(name, rings[0]) for rings in feature.polygons]
            self.region_holes += [(name, hole) for rings in feature.polygons for hole in rings[1:]]
        elif feature.points:
            self.points += [(y, x, name.removeprefix("Nucleus: "), NUCLEUS_CODES[name]) for y, x in feature.points]
        else:
            self.filled += any(len(rings) > 1 for rings in feature.polygons)
            pieces = sorted((rings[0] for rings in feature.polygons), key=_area, reverse=True)
            if name in FIBRE_CODES:
                self.fibres.append(pieces)
                self.codes.append(FIBRE_CODES[name])
            else:
                self.nuclei.append(pieces)
                self.names.append(name.removeprefix("Nucleus: "))

    def left_out(self) -> str:
        kinds = [f"{n} {what}" for what, n in self.unused.most_common(_TOLD)]
        return ", ".join(kinds) + (", and others" if len(self.unused) > _TOLD else "")

    def notes(self, path: Path, stated: bool) -> list[str]:
        notes = []
        if self.unused:
            known = "Fibre: ..., Nucleus: ... and Region: ... (docs/evaluating.md)"
            notes.append(f"{path.name}: features left out: {self.left_out()}; classes that are read: {known}")
        if not stated:
            notes.append(f"{path.name}: no {ANNOTATED!r} in it, so the whole image counts as annotated: what isn't outlined isn't there")
        if self.filled:
            notes.append(f"{path.name}: objects with holes, which are filled: {self.filled}")
        return notes


def _is_own(feature: dict[str, Any]) -> bool:
    """QuPath keeps an object's name ("Fibre 12") through edits and gives none to what is drawn anew."""
    properties = feature.get("properties")
    name = properties.get("name") if isinstance(properties, dict) else None
    return isinstance(name, str) and _OWN_NAME.fullmatch(name) is not None


def _area(ring: np.ndarray) -> float:
    y, x = ring.T
    return float(abs(np.dot(y, np.roll(x, 1)) - np.dot(x, np.roll(y, 1))) / 2)


def _further(objects: list[list[np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    return [(label, ring) for label, rings in enumerate(objects, start=1) for ring in rings[1:]]


class _Stated(BaseModel):
    """What a file's `source` may state; other keys are passed over."""

    file: str | None = None
    um_per_px: float | None = Field(None, gt=0, allow_inf_nan=False, strict=True)
    shape: tuple[PositiveInt, PositiveInt] | None = None
    source: str = ""
    licence: str = ""
    held_out: bool | None = None
    teach_states: bool = True
    teach_maps: bool = True


def _source(path: Path, stated: object, images: Path | None, um_per_px: float | None) -> Source:
    try:
        known = _Stated.model_validate({} if stated is None else stated)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(["source", *map(str, fault["loc"])])
        raise UsageError(f"{path}: not an annotation file ({where} is {fault['input']!r:.40}: {fault['msg']})") from error
    facts = read_facts(path.parent, path.stem)
    rest = known.model_dump(include={"source", "licence", "teach_states", "teach_maps"})
    rest["held_out"] = facts.held_out if known.held_out is None else known.held_out
    if known.file is not None and known.um_per_px is not None and known.shape is not None:
        return Source(known.file, um_per_px or known.um_per_px, known.shape, **rest)
    image = find_image(path.parent, path.stem, images, known.file)
    grid = image_grid(image, um_per_px or known.um_per_px or facts.um_per_px, path.with_suffix(".json"))
    return Source(known.file or str(image.resolve()), grid.um_per_px, known.shape or grid.shape, **rest)


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

    def labelled(part: str, outlines: list[np.ndarray], parts: list[tuple[int, np.ndarray]]) -> np.ndarray:
        labels, drawn = np.zeros(shape, np.int32), np.zeros(len(outlines) + 1)
        further: dict[int, list[np.ndarray]] = {}
        for label, outline in parts:
            further.setdefault(label, []).append(outline)
        for label in range(len(outlines), 0, -1):  # backwards: the first is drawn last and keeps an overlap
            for outline in (outlines[label - 1], *further.get(label, [])):
                inside = filled(outline)
                labels[inside] = label
                drawn[label] += len(inside[0])
        with np.errstate(invalid="ignore"):
            kept[part] = np.bincount(labels[labels > 0], minlength=len(drawn)) / drawn
        return labels

    def within(region: str) -> np.ndarray:
        depth = np.zeros(shape, np.int16)  # an island in a hole lies in two outlines and one hole
        for rings, step in ((annotation.regions, 1), (annotation.region_holes, -1)):
            for name, outline in rings:
                if name == region:
                    depth[filled(outline)] += step
        return depth > 0

    kept: dict[str, np.ndarray] = {}
    fibres = labelled("fibres", annotation.fibres, annotation.fibre_parts)
    outlined = labelled("nuclei", annotation.nucleus_outlines, annotation.nucleus_parts) if annotation.nucleus_outlines else None
    known = (fibres > 0) if outlined is None else (fibres > 0) | (outlined > 0)
    ignore = ~within(ANNOTATED) | (within("Region: unsure") & ~known)
    nuclei = annotation.nuclei.copy()
    nuclei[["y_px", "x_px"]] = nuclei[["y_px", "x_px"]] * scale - np.array(origin_px)
    inside = nuclei.y_px.between(0, shape[0], inclusive="left") & nuclei.x_px.between(0, shape[1], inclusive="left")
    nuclei = nuclei[inside].reset_index(drop=True)
    nuclei["fibre_id"] = fibres[nuclei.y_px.astype(int), nuclei.x_px.astype(int)]
    return Raster(fibres, annotation.fibre_state, ignore, nuclei, outlined, kept)

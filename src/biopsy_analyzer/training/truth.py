"""Images with known truth, to judge by: read from a folder, or drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tifffile
from pydantic import BaseModel, ConfigDict, ValidationError

from biopsy_analyzer.errors import MissingPixelSize, UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS, NUCLEUS_TYPES
from biopsy_analyzer.training.annotations import rasterise, read_annotations
from biopsy_analyzer.training.draw import draw_section, render
from biopsy_analyzer.training.draw.recipe import Difficulty
from biopsy_analyzer.training.draw.write import write_png

IMAGES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
LABELS = (".png", ".tif", ".tiff")
_NUCLEI = (*NUCLEUS_KINDS, *NUCLEUS_TYPES)
FIRST_SEED: dict[Difficulty, int] = {"clean": 9_000_000, "usual": 9_100_000, "hard": 9_200_000}
"""Sections for judging start at these seeds, and training never draws from 9,000,000 on."""


@dataclass(frozen=True)
class Truth:
    """One image and what is known of it. Names are by label, entry 0 is "", and "" means unsure; None means not stated at all."""

    name: str
    image: Path
    grid: PixelGrid  # of the arrays below: the image's own pixels
    fibres: np.ndarray | None = None  # int32 (H, W)
    fibre_state: list[str] | None = None
    nuclei: np.ndarray | None = None  # int32 (H, W)
    nucleus_type: list[str] | None = None  # kinds or types; a "muscle" nucleus is told by its depth
    marks: pd.DataFrame | None = None  # single nuclei marked by points: y_um, x_um, name. Not all nuclei are marked
    ignore: np.ndarray | None = None  # bool (H, W): no truth here
    drawn: bool = False
    held_out: bool | None = None  # None: not stated
    teach_states: bool = True  # False: for outlines only (annotations.Source)


def read_folder(folder: Path, *, images: Path | None = None, um_per_px: float | None = None) -> list[Truth]:
    """The truths of a folder, by name: `<name>_fibres.png|tif`, `<name>_nuclei.png|tif` (label images) or `<name>.geojson`.

    The image `<name>.png|tif|jpg` lies beside them, or for GeoJSON in `images` under the path that its source names.
    An optional `<name>.json` states `um_per_px`, `fibre_states` and `nucleus_types` ({"label": name}), `drawn` and `held_out`.
    The pixel size is `um_per_px`, else that of the JSON or GeoJSON, else the image file's own.
    UsageError without any truth, without the image, for label images of another size, and for unknown names and values of the wrong kind.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; wanted images with <name>_fibres.png, <name>_nuclei.png or <name>.geojson beside them")
    names = {path.stem for path in folder.glob("*.geojson")}
    for part in ("_fibres", "_nuclei"):
        names |= {path.stem.removesuffix(part) for path in folder.iterdir() if path.stem.endswith(part) and path.suffix.lower() in LABELS}
    if not names:
        raise UsageError(f"{folder}: no truth found; wanted <name>_fibres.png, <name>_nuclei.png or <name>.geojson beside each image")
    return [_read_truth(folder, name, images, um_per_px) for name in sorted(names)]


def read_labels(path: Path) -> np.ndarray:
    """A label image as int32 (H, W), 0 background; UsageError for a file that holds none."""
    try:
        labels = tifffile.imread(path) if path.suffix.lower() in (".tif", ".tiff") else cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise UsageError(f"{path}: not a label image ({error})") from error
    if labels is None or labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        found = "unreadable" if labels is None else f"{labels.dtype} {labels.shape}"
        raise UsageError(f"{path}: not a label image ({found}); wanted one channel of whole numbers, 0 the background")
    if labels.size and (int(labels.min()) < 0 or int(labels.max()) > np.iinfo(np.int32).max):
        raise UsageError(f"{path}: labels from {labels.min()} to {labels.max()}; wanted 0 for the background and at most 2,147,483,647")
    return labels.astype(np.int32)


def find_labels(folder: Path, name: str, part: str) -> Path | None:
    """`<name>_<part>` with any label image's suffix in `folder`, or None."""
    found = [folder / f"{name}_{part}{suffix}" for suffix in LABELS if (folder / f"{name}_{part}{suffix}").is_file()]
    return found[0] if found else None


def draw_truth(
    difficulty: Difficulty, number: int, folder: Path, *, seed: int | None = None, shape_px: tuple[int, int] = (1024, 1024)
) -> Truth:
    """The `number`-th drawn section of a difficulty, its picture written to `folder` as PNG; seed None: `FIRST_SEED`."""
    own_seed = (FIRST_SEED[difficulty] if seed is None else seed) + number
    drawn = draw_section(own_seed, shape_px, difficulty)
    path = folder / f"{difficulty}_{own_seed}.png"
    write_png(path, render(drawn, own_seed, difficulty))
    return Truth(
        name=path.stem,
        image=path,
        grid=PixelGrid(drawn.fibres.shape, drawn.um_per_px),
        fibres=drawn.fibres,
        fibre_state=_decoded(drawn.fibre_state, FIBRE_STATES),
        nuclei=drawn.nuclei,
        nucleus_type=_decoded(drawn.nucleus_kind, NUCLEUS_KINDS),
        ignore=drawn.ignore,
        drawn=True,
        held_out=True,
    )


def _read_truth(folder: Path, name: str, images: Path | None, um_per_px: float | None) -> Truth:
    annotation_path = folder / f"{name}.geojson"
    if annotation_path.is_file():
        return annotated_truth(annotation_path, images, um_per_px)
    facts_path = folder / f"{name}.json"
    facts = _facts(facts_path)
    image = _image_beside(folder, name)
    grid = _grid(image, um_per_px or facts.um_per_px)
    parts = {part: read_labels(path) for part in ("fibres", "nuclei") if (path := find_labels(folder, name, part))}
    for part, labels in parts.items():
        if labels.shape != grid.shape:
            raise UsageError(f"{folder / name}_{part}: {labels.shape} px, but the image {image.name} has {grid.shape}")
    return Truth(
        name=name,
        image=image,
        grid=grid,
        fibres=parts.get("fibres"),
        fibre_state=_names(facts.fibre_states, parts.get("fibres"), FIBRE_STATES, f"{facts_path}: fibre_states"),
        nuclei=parts.get("nuclei"),
        nucleus_type=_names(facts.nucleus_types, parts.get("nuclei"), _NUCLEI, f"{facts_path}: nucleus_types"),
        drawn=facts.drawn,
        held_out=facts.held_out,
    )


def annotated_truth(path: Path, images: Path | None, um_per_px: float | None = None) -> Truth:
    """The truth of one annotation file; its image lies beside it, or in `images` under the path that its source names.

    UsageError for a damaged file, a missing image, and one of another size.
    """
    annotation = read_annotations(path)
    source = annotation.source
    image = _image_beside(path.parent, path.stem, None if images is None else images / source.file)
    grid = _grid(image, um_per_px or source.um_per_px)
    if grid.shape != source.shape:
        raise UsageError(f"{path}: drawn on {source.shape} px, but the image {image.name} has {grid.shape}")
    raster = rasterise(annotation, grid.shape)
    yx_um = grid.to_um(raster.nuclei[["y_px", "x_px"]].to_numpy())
    marks = pd.DataFrame({"y_um": yx_um[:, 0], "x_um": yx_um[:, 1], "name": raster.nuclei["name"]})
    only_nuclei = raster.outlined is not None and not annotation.fibres
    return Truth(
        name=path.stem,
        image=image,
        grid=grid,
        fibres=None if only_nuclei else raster.fibres,
        fibre_state=None if only_nuclei else _decoded(raster.fibre_state, FIBRE_STATES),
        nuclei=raster.outlined,
        nucleus_type=None if raster.outlined is None else [name.replace("unknown", "") for name in annotation.nucleus_names],
        marks=marks if len(marks) else None,
        ignore=raster.ignore,
        held_out=source.held_out,
        teach_states=source.teach_states,
    )


def _grid(image: Path, um_per_px: float | None) -> PixelGrid:
    try:
        with open_slide(image, um_per_px=um_per_px) as slide:
            return slide.grid()
    except MissingPixelSize as error:
        raise UsageError(f"{error}; or write it beside the image, as um_per_px in {image.with_suffix('.json').name}") from error


def _image_beside(folder: Path, name: str, otherwise: Path | None = None) -> Path:
    candidates = [folder / f"{name}{suffix}" for suffix in IMAGES] + ([otherwise] if otherwise else [])
    for path in candidates:
        if path.is_file():
            return path
    raise UsageError(
        f"{folder}: truth for {name!r} but no image of it; wanted {name}.png, .tif or .jpg" + (f" or {otherwise}" if otherwise else "")
    )


class _Facts(BaseModel):
    """What `<name>.json` may state; other keys are passed over."""

    model_config = ConfigDict(strict=True, frozen=True)
    um_per_px: float | None = None
    fibre_states: dict[str, str] | None = None
    nucleus_types: dict[str, str] | None = None
    drawn: bool = False
    held_out: bool | None = None


def _facts(path: Path) -> _Facts:
    if not path.is_file():
        return _Facts()
    try:
        return _Facts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        found = f"{'.'.join(map(str, fault['loc']))} is {fault['input']!r:.60}: " if fault["loc"] else ""
        raise UsageError(f"{path}: {found}{fault['msg']}; wanted an object of {', '.join(_Facts.model_fields)}, as far as known") from error


def _names(stated: dict[str, str] | None, labels: np.ndarray | None, known: tuple[str, ...], where: str) -> list[str] | None:
    """Names by label from {"label": name}; labels that it doesn't name are unsure."""
    if labels is None or stated is None:
        return None
    names = [""] * (int(labels.max(initial=0)) + 1)
    for label, name in stated.items():
        if name not in known or not label.isdecimal():
            raise UsageError(f"{where} has {label!r}: {name!r}; wanted a label and one of {', '.join(dict.fromkeys(known))}")
        if int(label) < len(names):
            names[int(label)] = name
    return names


def _decoded(codes: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Names by label from codes 1..n; any other code is unsure."""
    return [names[code - 1] if 1 <= code <= len(names) else "" for code in codes.tolist()]

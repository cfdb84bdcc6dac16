"""Images with known truth, to judge by: read from a folder, or drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tifffile
from skimage.measure import label as measure_label

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS, NUCLEUS_TYPES
from biopsy_analyzer.training.annotations import Annotation, Raster, rasterise, read_annotations
from biopsy_analyzer.training.beside import IMAGES, LABELS, files_named, find_image, image_grid, read_facts
from biopsy_analyzer.training.draw import draw_section, render
from biopsy_analyzer.training.draw.recipe import Difficulty
from biopsy_analyzer.training.draw.write import write_png

_SHOWN = 5  # of a list in a line for the user
_COVERED = 0.5  # an outline that keeps less of its pixels is told of. Prior
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
    notes: tuple[str, ...] = ()  # what a user should know of how it was read, a line each
    own: int = 0  # objects that this program outlined (annotations.Annotation)


def read_folder(folder: Path, *, images: Path | None = None, um_per_px: float | None = None) -> list[Truth]:
    """The truths of a folder, by name: `<name>_fibres.png|tif`, `<name>_nuclei.png|tif` (label images) or `<name>.geojson`.

    The image `<name>.png|tif|jpg|...` lies beside them, or for GeoJSON by `images` (`annotations.read_annotations`). Endings may be in
    capitals. An optional `<name>.json` states `um_per_px`, `fibre_states` and `nucleus_types` ({"label": name}), `drawn` and `held_out`.
    The pixel size is `um_per_px`, else that of the JSON or GeoJSON, else the image file's own.
    UsageError without any truth, without the image, for label images of another size, and for unknown names and values of the wrong kind.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; wanted images with <name>_fibres.png, <name>_nuclei.png or <name>.geojson beside them")
    names = _names_of_truths(folder)
    if not names:
        raise UsageError(f"{folder}: no truth found; wanted <name>_fibres.png, <name>_nuclei.png or <name>.geojson beside each image")
    if images is not None and images.is_file() and len(names) > 1:
        raise UsageError(f"{images}: one image for {len(names)} truths of {folder}; wanted the folder of their images, or one truth")
    return [_read_truth(folder, name, images, um_per_px) for name in sorted(names)]


def images_without_truth(folder: Path) -> list[str]:
    """A line that names the images of a folder beside which no truth lies; none, where there is no such image."""
    names = _names_of_truths(folder)
    own = {path for name in names for path in files_named(folder, name, ("", *IMAGES))}
    made = ("_fibres", "_nuclei", "_marked")
    others = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGES and not path.stem.endswith(made)]
    bare = [path.name for path in others if path not in own and path.is_file()]
    return [f"images without truth beside them, not judged: {_some(bare)}"] if bare else []


def _names_of_truths(folder: Path) -> set[str]:
    names = {path.stem for path in folder.iterdir() if path.suffix.lower() == ".geojson"}
    for part in ("_fibres", "_nuclei"):
        names |= {path.stem.removesuffix(part) for path in folder.iterdir() if path.stem.endswith(part) and path.suffix.lower() in LABELS}
    return names


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
    found = files_named(folder, f"{name}_{part}", LABELS)
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
    drawings = files_named(folder, name, (".geojson",))
    rasters = {part: files_named(folder, f"{name}_{part}", LABELS) for part in ("fibres", "nuclei")}
    if drawings:
        truth = annotated_truth(drawings[0], images, um_per_px)
        return _with_notes(truth, _second_truths([[*drawings, *rasters["fibres"], *rasters["nuclei"]]]))
    facts = read_facts(folder, name)
    facts_path = folder / f"{name}.json"
    image = find_image(folder, name)
    grid = image_grid(image, um_per_px or facts.um_per_px, facts_path)
    parts = {part: read_labels(paths[0]) for part, paths in rasters.items() if paths}
    for part, labels in parts.items():
        if labels.shape != grid.shape:
            raise UsageError(f"{folder / name}_{part}: {labels.shape} px, but the image {image.name} has {grid.shape}")
    truth = Truth(
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
    return _with_notes(truth, _second_truths(rasters.values()) + [_mask(rasters[part][0], labels) for part, labels in parts.items()])


def annotated_truth(path: Path, images: Path | None, um_per_px: float | None = None) -> Truth:
    """The truth of one annotation file; its image lies beside it, or is `images`, or lies in that folder (`read_annotations`).

    Without a fibre in it, fibres are judged only where a "Region: annotated" says that there are none.
    UsageError for a damaged file, a missing image, one of another size, and one beyond which all outlined fibres lie.
    """
    annotation = read_annotations(path, images, um_per_px)
    source = annotation.source
    image = find_image(path.parent, path.stem, images, source.file)
    facts = read_facts(path.parent, path.stem)
    grid = image_grid(image, um_per_px or source.um_per_px, path.with_suffix(".json"))
    if grid.shape != source.shape:
        raise UsageError(
            f"{path}: drawn on {source.shape} px, but the image {image.name} has {grid.shape}; wanted that image, at full size"
        )
    raster = rasterise(annotation, grid.shape)
    yx_um = grid.to_um(raster.nuclei[["y_px", "x_px"]].to_numpy())
    marks = pd.DataFrame({"y_um": yx_um[:, 0], "x_um": yx_um[:, 1], "name": raster.nuclei["name"].replace("unknown", "")})
    no_fibres = not annotation.fibres and (raster.outlined is not None or not annotation.region_stated)
    return Truth(
        name=path.stem,
        image=image,
        grid=grid,
        fibres=None if no_fibres else raster.fibres,
        fibre_state=None if no_fibres else _decoded(raster.fibre_state, FIBRE_STATES),
        nuclei=raster.outlined,
        nucleus_type=None if raster.outlined is None else [name.replace("unknown", "") for name in annotation.nucleus_names],
        marks=marks if len(marks) else None,
        ignore=raster.ignore,
        drawn=facts.drawn,
        held_out=source.held_out,
        teach_states=source.teach_states,
        notes=annotation.notes + tuple(_lost(path, annotation, raster, image)),
        own=annotation.own,
    )


def _lost(path: Path, annotation: Annotation, raster: Raster, image: Path) -> list[str]:
    """A line for outlines that lie beyond the image, and for those that earlier ones cover."""
    notes, (height, width) = [], raster.fibres.shape
    for part, kept in raster.kept.items():
        beyond = (np.flatnonzero(np.isnan(kept[1:])) + 1).tolist()
        where = f"{image.name} ({width} x {height} px)"
        if beyond and len(beyond) == len(kept) - 1 and len(annotation.fibres) + len(annotation.nucleus_outlines) == len(beyond):
            raise UsageError(
                f"{path}: none of its {len(beyond)} {part} lies on {where}; wanted the image that it was drawn on, at full size"
            )
        if beyond:
            notes.append(f"{path.name}: {part} without a pixel of {where}: {len(beyond)} of {len(kept) - 1} ({_some(beyond)} of the file)")
        covered = (np.flatnonzero(kept[1:] < _COVERED) + 1).tolist()
        if covered:
            notes.append(
                f"{path.name}: {part} mostly under earlier ones of the file, which keep an overlap: {len(covered)} of {len(kept) - 1} "
                f"({_some(covered)}); outlined twice, or one outline over all? Delete what is too much"
            )
    return notes


def _second_truths(groups: Iterable[list[Path]]) -> list[str]:
    """A line for each group of files of which only the first is read."""
    return [f"{paths[0].name} is read as the truth, not {_some([path.name for path in paths[1:]])}" for paths in groups if len(paths) > 1]


def _mask(path: Path, labels: np.ndarray) -> str:
    """A line for a label image that looks like a binary mask; "" for others."""
    values = np.unique(labels)
    values = values[values > 0]
    pieces = measure_label(labels > 0, return_num=True)[1] if len(values) == 1 else 0
    if pieces < 2:
        return ""
    what = f"{path.name}: one object in {pieces} pieces (every one has the value {values[0]})"
    return f"{what}; a binary mask? Wanted a number of its own for each"


def _with_notes(truth: Truth, notes: list[str]) -> Truth:
    return replace(truth, notes=truth.notes + tuple(filter(None, notes)))


def _some(found: Sequence[object]) -> str:
    """The first few of what was found, by name."""
    return ", ".join(map(str, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


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

"""Banks of real images: annotated ones, and those of the 2018 Data Science Bowl, cut into patches and packed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.training.annotations import NUCLEUS_CODES, UNSURE, Raster, rasterise, read_annotations
from biopsy_analyzer.training.banks import BANK_UM_PER_PX
from biopsy_analyzer.training.beside import find_image
from biopsy_analyzer.training.targets import UNKNOWN

PATCH_PX = 512
POINT_RADIUS_UM = 2.5  # a nucleus marked by a point becomes a disc well inside it
NUCLEUS_DIAMETER_UM = 7.5  # nuclei of unknown magnification are brought to this equivalent diameter
HELD_OUT_FRACTION = 0.2
SPLIT_SEED = 2018

RealPatch = dict[str, np.ndarray]
"""One patch (PATCH_PX squared, at BANK_UM_PER_PX) by the names of a bank's files: see `write_real_bank`."""


def annotated_patches(paths: Iterable[Path | str], real_folder: Path | str, um_per_px: float | None = None) -> Iterator[RealPatch]:
    """Patches of the annotated images, each annotation's region covered; those held out are skipped.

    real_folder  where the images lie, or the one image (`beside.find_image`);  um_per_px: of their pixels, whatever is stated

    Keys and dtypes as in `write_real_bank`. Nuclei marked by points are not all there are: `nuclei` holds discs at the points and
    `kinds` is 255 elsewhere, so it can't teach where there is no nucleus. Outlined ones can, and `kinds` is 0 between them.
    """
    for path in map(Path, paths):
        annotation = read_annotations(path, real_folder, um_per_px)
        source = annotation.source
        if source.held_out or not (annotation.fibres or annotation.region_stated):  # the latter: nothing says that there is no fibre
            continue
        scale = source.um_per_px / BANK_UM_PER_PX
        corners = np.concatenate([outline for name, outline in annotation.regions if name == "Region: annotated"]) * scale
        image = find_image(path.parent, path.stem, Path(real_folder), source.file)
        with open_slide(image, um_per_px=source.um_per_px) as slide:
            for origin in _origins(corners.min(axis=0), corners.max(axis=0)):
                raster = rasterise(annotation, (PATCH_PX, PATCH_PX), um_per_px=BANK_UM_PER_PX, origin_px=origin)
                rgb = slide.read(_patch_grid(origin))
                truth = _truth(raster, annotation.nucleus_names)
                if not source.teach_maps:
                    truth["states"][truth["fibres"] > 0] = UNKNOWN
                yield {"rgb": rgb, **truth}


def dsb_patches(folder: Path | str, *, held_out: bool = False) -> Iterator[RealPatch]:
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


def pack(patches: Iterable[RealPatch]) -> Iterator[RealPatch]:
    """Patches that are mostly padding moved together onto fewer, side by side in rows, so that training crops aren't empty.

    What a patch holds must lie at its top left, as `dsb_patches` gives it. Nucleus labels are renumbered; fibres aren't kept.
    """
    page: RealPatch | None = None
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


def write_real_bank(patches: Iterable[RealPatch], folder: Path | str) -> int:
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


def _truth(raster: Raster, nucleus_names: list[str]) -> RealPatch:
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


def _nuclei_truth(labels: np.ndarray, um_per_px: float, origin: tuple[int, int]) -> RealPatch:
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

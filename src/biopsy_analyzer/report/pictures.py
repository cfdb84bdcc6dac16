"""pictures.parquet: the section in small and its close-ups, kept with a result so that its report can be made again without the slide."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pandas as pd
import pyarrow as pa

from biopsy_analyzer.canvas import picture_grid
from biopsy_analyzer.errors import ResultError, UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.report.crops import cut_crops
from biopsy_analyzer.report.result import Crop, Picture
from biopsy_analyzer.report.saved import Saved
from biopsy_analyzer.score.model import Evidence
from biopsy_analyzer.settings import TissueSettings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.tissue.mask import find_tissue

FILE = "pictures.parquet"
SECTION_PX = 1400  # longer side; fills a desktop window, and a printed page at 200 dpi
CROP_QUALITY = 78  # of JPEG: WebP saves a quarter of the bytes and takes ten times as long
SECTION_QUALITIES = (78, 62, 46, 30)
SECTION_BYTES = 500_000  # a page with all close-ups stays below 3 MB
_REDUCED = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


@dataclass(frozen=True)
class Shot:
    """One picture, compressed: JPEG of the pixels on `grid`; `kind` "section" (id 0), "fibre", "nucleus" or "cluster"."""

    kind: str
    id: int
    grid: PixelGrid
    jpeg: bytes


def compress(picture: Picture, crops: Iterable[Crop]) -> list[Shot]:
    """The section, shrunk to 1400 px, then the crops as they are; the same pixels give the same bytes."""
    small = shrink(picture, SECTION_PX)
    for quality in SECTION_QUALITIES:
        jpeg = _jpeg(small.rgb, quality)
        if len(jpeg) <= SECTION_BYTES:
            break
    return [Shot("section", 0, small.grid, jpeg), *(Shot(crop.kind, crop.id, crop.grid, _jpeg(crop.rgb, CROP_QUALITY)) for crop in crops)]


def shrink(picture: Picture, longest_px: int) -> Picture:
    """The picture with at most `longest_px` on its longer side: halved by area average, the rest interpolated; a smaller one as it is."""
    height, width = picture.rgb.shape[:2]
    ratio = max(height, width) / longest_px
    if ratio <= 1:
        return picture
    shape = max(1, round(height / ratio)), max(1, round(width / ratio))
    small = picture.rgb
    while min(small.shape[:2]) >= 2 and max(small.shape[:2]) >= 2 * longest_px:
        small = cv2.resize(small, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    small = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR)  # an area average at once takes ten times as long
    return Picture(small, PixelGrid(shape, picture.grid.um_per_px * ratio, picture.grid.origin_um))


def decode(shot: Shot) -> np.ndarray:
    """RGB uint8 (H, W, 3); ResultError where the bytes are no picture of the stated size."""
    return _decoded(shot, 1)


def decode_small(shot: Shot, longest_px: int) -> Picture:
    """The picture shrunk to `longest_px`, as `shrink` has it, of which JPEG itself gives a half, quarter or eighth at once."""
    factor = next(f for f in (8, 4, 2, 1) if f == 1 or max(shot.grid.shape) >= f * longest_px)
    pixels = _decoded(shot, factor)
    grid = PixelGrid((pixels.shape[0], pixels.shape[1]), shot.grid.um_per_px * factor, shot.grid.origin_um)
    return shrink(Picture(pixels, grid), longest_px)


def _decoded(shot: Shot, factor: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(shot.jpeg, np.uint8), _REDUCED[factor]) if shot.jpeg else None
    if pixels is None or pixels.shape[:2] != tuple(-(-n // factor) for n in shot.grid.shape):
        raise ResultError(f"{FILE}: the picture of {shot.kind} {shot.id} is damaged. Run report again with --slide")
    return pixels[..., ::-1]


def write_pictures(shots: Iterable[Shot], folder: Path) -> None:
    """Write pictures.parquet into `folder`, whole or not at all."""
    rows = [(s.kind, s.id, *s.grid.shape, s.grid.um_per_px, *s.grid.origin_um, s.jpeg) for s in shots]
    names = ("kind", "id", "height_px", "width_px", "um_per_px", "top_um", "left_um", "jpeg")
    buffer = io.BytesIO()
    pd.DataFrame(rows, columns=list(names)).to_parquet(buffer, index=False)
    write_bytes(folder / FILE, buffer.getvalue())


def take_pictures(slide: Slide, saved: Saved) -> None:
    """Write pictures.parquet of a saved result anew, from its slide; UsageError where it is another slide."""
    if slide.sha256 != saved.document["slide"]["sha256"]:
        wanted = saved.document["slide"]["file_name"]
        raise UsageError(f"{slide.file_name} is not the slide of {saved.folder}: their SHA-256 differ. Give {wanted}")
    grid = picture_grid(slide.grid(), find_tissue(slide, TissueSettings(**saved.document["settings"]["tissue"])))
    evidence = [Evidence.model_validate(item) for item in saved.document["evidence"] or ()]
    crops = cut_crops(slide, saved.fibres, saved.nuclei, saved.clusters, evidence)
    write_pictures(compress(Picture(slide.read(grid), grid), crops), saved.folder)


def read_pictures(folder: Path) -> list[Shot]:
    """The pictures of a result folder, the section first; ResultError where the file is missing or damaged."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise ResultError(f"{path}: missing; wanted the pictures of an analysis. Run report again with --slide")
    try:
        with path.open("rb") as file:  # by pyarrow's own hand only paths in UTF-8 are found
            table = pd.read_parquet(file)
        rows = zip(
            *(table[name] for name in ("kind", "id", "height_px", "width_px", "um_per_px", "top_um", "left_um", "jpeg")), strict=True
        )
        shots = [
            Shot(kind, int(n), PixelGrid((int(h), int(w)), float(s), (float(y), float(x))), jpeg) for kind, n, h, w, s, y, x, jpeg in rows
        ]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ResultError(f"{path}: damaged ({error}). Run report again with --slide") from error
    if not shots or shots[0].kind != "section":
        raise ResultError(f"{path}: damaged (no picture of the section). Run report again with --slide")
    return shots


def _jpeg(rgb: np.ndarray, quality: int) -> bytes:
    """The bytes that OpenCV gives, in half its time."""
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(rgb), level=quality, optimize=True))

"""A slide: pixels of any grid, at a known pixel size."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide.kind import file_kind
from biopsy_analyzer.slide.pixel_size import choose
from biopsy_analyzer.slide.plain import ArrayLevel, read_plain
from biopsy_analyzer.slide.resample import STEPS, aligned, edges, resample, span, weights
from biopsy_analyzer.slide.tiff import Tiff, TiledLevel

BAND_PX = 4_000_000  # source pixels held at once while a large area is shrunk
ID_BYTES = 80


def open_slide(path: str | os.PathLike[str], *, um_per_px: float | None = None) -> Slide:
    """Opens a TIFF, OME-TIFF, SVS, PNG or JPEG, told by its content; close it or use it in `with`.

    um_per_px  size of a level-0 pixel in um; overrides what the file states
    NotASlide for missing, damaged, or unread kinds of files; MissingPixelSize where the size is neither given nor stated;
    UsageError where the given size is implausible. Nothing waits on pipes, and large images are refused before decoding.
    """
    path = Path(path)
    if file_kind(path) == "tiff":
        file = Tiff(path)
        try:
            size, source = choose(path.name, file.stated, um_per_px)
        except Exception:
            file.close()
            raise
        return Slide(path, file.levels, size, source, file)
    level, stated = read_plain(path)
    size, source = choose(path.name, stated, um_per_px)
    return Slide(path, [level], size, source)


class Slide:
    """An open slide. Outside its pixels it is white. Safe to read from several threads and after a fork.

    path, file_name         where it was opened, and its name
    id                      a safe folder name from the stem
    shape                   (height, width) of level 0 in px
    um_per_px               size of a level-0 pixel in um, and in `um_per_px_source` where that stands: "given" or "file: ..."
    """

    def __init__(self, path: Path, levels: list[TiledLevel | ArrayLevel], um_per_px: float, source: str, file: Tiff | None = None) -> None:
        self.path = path
        self.file_name = path.name
        self.id = safe_id(path.name)
        self.um_per_px = um_per_px
        self.um_per_px_source = source
        self._levels = sorted(levels, key=lambda level: -level.shape[0] * level.shape[1])
        self.shape = self._levels[0].shape
        self._file = file

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, in hexadecimal; read on first use."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def damaged_tiles(self) -> int:
        """Tiles met so far that can't be decoded and were read as white (more than 1 % and `read` raises NotASlide)."""
        return self._file.damaged_tiles if self._file else 0

    def grid(self, um_per_px: float | None = None) -> PixelGrid:
        """The whole slide in pixels of `um_per_px` (None: of level 0)."""
        level0 = PixelGrid(self.shape, self.um_per_px)
        return level0 if um_per_px is None else level0.rescaled(um_per_px)

    def read(self, grid: PixelGrid) -> np.ndarray:
        """RGB uint8 (H, W, 3) of `grid`, which may reach beyond the slide (white).

        Shrunk by area average from the coarsest level that is fine enough, enlarged linearly. Pixels depend on where they lie only:
        two neighbouring grids give what one large grid gives. NotASlide where the file turns out to be damaged.
        """
        level, scales = self._choose(grid.um_per_px)
        rows, columns = (
            edges(origin / self.um_per_px / scale, grid.um_per_px / self.um_per_px / scale, count)
            for origin, scale, count in zip(grid.origin_um, scales, grid.shape, strict=True)
        )
        enlarging = grid.um_per_px / self.um_per_px < min(scales) * (1 - 1e-6)
        out = np.full((*grid.shape, 3), 255, np.uint8)
        left, right = span(columns, level.shape[1])
        source_rows = max(1.0, float(rows[-1] - rows[0]) / STEPS / max(grid.shape[0], 1))
        band = max(1, int(BAND_PX / max(right - left, 1) / source_rows))
        for start in range(0, grid.shape[0], band):
            self._read_band(level, rows[start : start + band + 1], columns, enlarging, out[start : start + band])
        return out

    @staticmethod
    def _read_band(level: TiledLevel | ArrayLevel, rows: np.ndarray, columns: np.ndarray, enlarging: bool, out: np.ndarray) -> None:
        if aligned(rows) and aligned(columns):
            _paste(level, int(rows[0] // STEPS), int(columns[0] // STEPS), out)
            return
        (top, bottom), (left, right) = span(rows, level.shape[0]), span(columns, level.shape[1])
        if top < bottom and left < right:
            pixels = level.read(top, left, bottom - top, right - left)
            along_y = weights(rows - top * STEPS, bottom - top, enlarging)
            along_x = weights(columns - left * STEPS, right - left, enlarging)
            out[:] = resample(pixels, along_y, along_x)

    def _choose(self, um_per_px: float) -> tuple[TiledLevel | ArrayLevel, tuple[float, float]]:
        """The coarsest level that is at least as fine as wanted, with level-0 pixels per its pixel along y and x."""
        candidates = [(level, (_scale(self.shape[0], level.shape[0]), _scale(self.shape[1], level.shape[1]))) for level in self._levels]
        fine = [c for c in candidates if max(c[1]) * self.um_per_px <= um_per_px * (1 + 1e-6)]
        return fine[-1] if fine else candidates[0]

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _scale(full: int, small: int) -> float:
    """Downsampling of a level; whole numbers where the size fits one, as levels lose up to a pixel by rounding."""
    whole = round(full / small)
    return float(whole) if whole and small in (full // whole, -(-full // whole)) else full / small


def _paste(level: TiledLevel | ArrayLevel, top: int, left: int, out: np.ndarray) -> None:
    """Copies the level's pixels from (top, left) on into `out` as far as the level reaches."""
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + out.shape[0], level.shape[0]), min(left + out.shape[1], level.shape[1])
    if y0 < y1 and x0 < x1:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = level.read(y0, x0, y1 - y0, x1 - x0)


def safe_id(file_name: str) -> str:
    """A folder name from a file's stem: letters, digits and `._-`, at most 80 bytes, no leading dot or dash, never empty.

    Where the stem had to be changed, 8 digits of the name's SHA-256 follow, so that two different names stay different.
    """
    stem = Path(file_name).stem
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in unicodedata.normalize("NFC", stem))
    name = name.encode()[:ID_BYTES].decode(errors="ignore").lstrip(".-").rstrip(".")
    if name == stem:
        return name
    return f"{name or 'slide'}-{hashlib.sha256(os.fsencode(file_name)).hexdigest()[:8]}"

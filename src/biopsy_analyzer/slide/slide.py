"""A slide: pixels of any grid, at a known pixel size."""

from __future__ import annotations

import os
import weakref
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide.compare_levels import agreeing
from biopsy_analyzer.slide.identity import safe_id, sha256_of
from biopsy_analyzer.slide.kind import file_kind
from biopsy_analyzer.slide.pixel_size import choose, doubts
from biopsy_analyzer.slide.plain import Plain
from biopsy_analyzer.slide.reader import Level, Reader
from biopsy_analyzer.slide.resample import STEPS, edges, halve, resample, span, weights, whole_ratio
from biopsy_analyzer.slide.tiff import Tiff
from biopsy_analyzer.slide.tiles import CACHE_MIB, DAMAGED_SHARE, TileCache

UNKNOWN = "unknown"
"""Source of a pixel size that stands for none, of a slide that is only described."""

BAND_PX = 4_000_000  # source pixels held at once while a large area is shrunk


def open_reader(path: Path, cache_mib: float = CACHE_MIB) -> Reader:
    """The reader of a file or folder, chosen by its content; NotASlide where nobody reads it, ReaderMissing where OpenSlide is absent."""
    kind = file_kind(path)
    cache = TileCache(cache_mib)
    if kind.reader == "plain":
        return Plain(path, kind.format)
    if kind.reader == "tiff":
        return Tiff(path, kind.format, cache)
    if kind.reader == "dicom":
        from biopsy_analyzer.slide.dicom import Dicom

        return Dicom(path, kind.format, cache)
    from biopsy_analyzer.slide.openslide_reader import OpenSlideReader

    return OpenSlideReader(path, kind.format, cache)


def open_slide(path: str | os.PathLike[str], *, um_per_px: float | None = None, cache_mib: float = CACHE_MIB) -> Slide:
    """Opens a slide of any format of docs/formats.md, told by its content; close it or use it in `with`.

    path       a file, or a folder with the instances of one DICOM series
    um_per_px  size of a level-0 pixel in um; overrides what the file states
    cache_mib  memory for decoded tiles
    NotASlide for missing, damaged, or unread kinds of files; MissingPixelSize where the size is neither given nor stated;
    UsageError where the given size is implausible; ReaderMissing where a format needs OpenSlide and it is not installed.
    Nothing waits on pipes, and large images are refused before decoding.
    """
    path = Path(path)
    reader = open_reader(path, cache_mib)
    try:
        size, source = choose(path.name, reader.stated, um_per_px)
        return Slide(path, reader, size, source)
    except BaseException:
        reader.close()
        raise


class Source(NamedTuple):
    """The level that a grid is read from: shape in px, (y, x) um of its pixel, and (y, x) um of a stored tile."""

    shape: tuple[int, int]
    um_per_px: tuple[float, float]
    tile_um: tuple[float, float]


class Slide:
    """An open slide. Outside its pixels it is white. Safe to read from several threads and after a fork.

    path, file_name         where it was opened, and its name
    id                      a safe folder name from the stem; a.svs and a.tif share one
    format, reader          such as "Aperio SVS" and "tifffile"
    compression             of level 0
    files                   all files that it consists of
    icc_sha256              of the embedded colour profile, which is recorded and not applied; None where there is none
    levels                  its resolutions, largest first
    notes                   what had to be left out, and what speaks against the pixel size, one sentence each
    shape                   (height, width) of level 0 in px
    um_per_px               size of a level-0 pixel in um, and in `um_per_px_source` where that stands: "given" or "file: ..."
    """

    def __init__(self, path: Path, reader: Reader, um_per_px: float, source: str) -> None:
        self.path = path
        self.file_name = path.name
        self.id = safe_id(path.name)
        facts = reader.facts
        self.format, self.reader, self.compression = facts.format, facts.reader, facts.compression
        self.files, self.icc_sha256 = facts.files, facts.icc_sha256
        self.um_per_px = um_per_px
        self.um_per_px_source = source
        self._close = weakref.finalize(self, reader.close)  # where nobody closes it, as for a layer of a viewer, it goes with the last use
        kept, notes = agreeing(sorted(reader.levels, key=lambda level: -level.shape[0] * level.shape[1]))
        self.notes = notes + ([] if source == UNKNOWN else doubts(um_per_px, source, reader.stated, facts.magnification))
        self.levels: tuple[Level, ...] = tuple(kept)
        self.shape = self.levels[0].shape

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the slide's bytes, in hexadecimal, over all its files (see `identity.sha256_of`); read on first use."""
        return sha256_of(self.files)

    @property
    def damaged_tiles(self) -> int:
        """Tiles met so far that can't be decoded and were read as white (more than 1 % of a level and `read` raises NotASlide)."""
        return sum(level.damaged for level in self.levels)

    def check_damage(self) -> None:
        """NotASlide if more than 1 % of the tiles met so far can't be decoded: after an analysis, which reads tissue, of the tissue's."""
        damaged, met = self.damaged_tiles, sum(level.met for level in self.levels)
        if damaged > DAMAGED_SHARE * met:
            raise NotASlide(f"{self.file_name}: damaged, {damaged} of the {met} tiles with tissue can't be decoded. Copy it again.")

    @property
    def missing_tiles(self) -> int:
        """Tiles met so far that are not stored and were read as white: background that the scanner left out."""
        return sum(level.missing for level in self.levels)

    @property
    def tiles_decoded(self) -> int:
        """Decodings of stored tiles so far; a tile decoded again, because the memory for tiles was full, counts again."""
        return sum(level.decoded for level in self.levels)

    def stored_tiles(self, grid: PixelGrid) -> int:
        """Stored tiles that a read of `grid` touches."""
        level, scales = self._choose(grid.um_per_px)
        rows, columns = self._edges(grid, scales)
        counts = []
        for edge, size, tile in zip((rows, columns), level.shape, level.tile, strict=True):
            first, last = span(edge, size, self._enlarging(grid, scales))
            counts.append(max(0, -(-last // tile) - first // tile) if first < last else 0)
        return counts[0] * counts[1]

    def source(self, um_per_px: float) -> Source:
        """The level that grids of `um_per_px` are read from; grids along its stored tiles decode each of them once."""
        level, scales = self._choose(um_per_px)
        y, x = (scale * self.um_per_px for scale in scales)
        return Source(level.shape, (y, x), (level.tile[0] * y, level.tile[1] * x))

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
        rows, columns = self._edges(grid, scales)
        enlarging = self._enlarging(grid, scales)
        out = np.full((*grid.shape, 3), 255, np.uint8)
        left, right = span(columns, level.shape[1], enlarging)
        source_rows = max(1.0, float(rows[-1] - rows[0]) / STEPS / max(grid.shape[0], 1))
        band = max(1, int(BAND_PX / max(right - left, 1) / source_rows))
        for start in range(0, grid.shape[0], band):
            self._read_band(level, rows[start : start + band + 1], columns, enlarging, out[start : start + band])
        return out

    def _edges(self, grid: PixelGrid, scales: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the grid's rows and columns in its level; see `resample.edges`."""
        rows, columns = (
            edges(origin / self.um_per_px / scale, grid.um_per_px / self.um_per_px / scale, count)
            for origin, scale, count in zip(grid.origin_um, scales, grid.shape, strict=True)
        )
        return rows, columns

    def _enlarging(self, grid: PixelGrid, scales: tuple[float, float]) -> bool:
        return grid.um_per_px / self.um_per_px < min(scales) * (1 - 1e-6)

    @staticmethod
    def _read_band(level: Level, rows: np.ndarray, columns: np.ndarray, enlarging: bool, out: np.ndarray) -> None:
        ratio = whole_ratio(rows, columns)
        if ratio == 1:
            _paste(level, int(rows[0] // STEPS), int(columns[0] // STEPS), out)
            return
        if ratio == 2:
            whole = np.full((2 * out.shape[0], 2 * out.shape[1], 3), 255, np.uint8)
            _paste(level, int(rows[0] // STEPS), int(columns[0] // STEPS), whole)
            out[:] = halve(whole)
            return
        (top, bottom), (left, right) = span(rows, level.shape[0], enlarging), span(columns, level.shape[1], enlarging)
        if top < bottom and left < right:
            pixels = level.read(top, left, bottom - top, right - left)
            along_y = weights(rows - top * STEPS, bottom - top, enlarging)
            along_x = weights(columns - left * STEPS, right - left, enlarging)
            out[:] = resample(pixels, along_y, along_x)

    def _choose(self, um_per_px: float) -> tuple[Level, tuple[float, float]]:
        """The coarsest level that is at least as fine as wanted, with level-0 pixels per its pixel along y and x."""
        candidates = [(level, (_scale(self.shape[0], level.shape[0]), _scale(self.shape[1], level.shape[1]))) for level in self.levels]
        fine = [c for c in candidates if max(c[1]) * self.um_per_px <= um_per_px * (1 + 1e-6)]
        return fine[-1] if fine else candidates[0]

    def close(self) -> None:
        """Closes the file."""
        self._close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _scale(full: int, small: int) -> float:
    """Downsampling of a level; whole numbers where the size fits one, as levels lose up to a pixel by rounding."""
    whole = round(full / small)
    return float(whole) if whole and small in (full // whole, -(-full // whole)) else full / small


def _paste(level: Level, top: int, left: int, out: np.ndarray) -> None:
    """Copies the level's pixels from (top, left) on into `out` as far as the level reaches."""
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + out.shape[0], level.shape[0]), min(left + out.shape[1], level.shape[1])
    if y0 < y1 and x0 < x1:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = level.read(y0, x0, y1 - y0, x1 - x0)

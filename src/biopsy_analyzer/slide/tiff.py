"""TIFF, BigTIFF, OME-TIFF and Aperio SVS: levels of a pyramid, of which only the tiles needed are decoded."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.slide.convert import check_format, to_rgb
from biopsy_analyzer.slide.directories import check_directories
from biopsy_analyzer.slide.pixel_size import Stated, from_aperio, from_ome, from_resolution
from biopsy_analyzer.slide.plain import ArrayLevel, check_budget

MAX_TILE_PX = 4096 * 4096
MAX_SIDE_PX = 1_000_000
CACHE_BYTES = 128 * 2**20
DAMAGED_SHARE = 0.01  # of a level's tiles; more and the slide is refused
JPEGS = (6, 7)
YCBC_JPEG2000 = 33003  # its colours are stored without a mark that decoders heed: silently wrong


class TiledLevel:
    """A level that is decoded tile by tile; recent tiles are kept."""

    def __init__(self, page: Any, name: str, has_alpha: bool) -> None:
        self.page, self.name, self.has_alpha = page, name, has_alpha
        self.shape = (int(page.imagelength), int(page.imagewidth))
        self.tile = (int(page.tilelength), int(page.tilewidth))
        # all that decoding needs is read now: later only `pread` touches the file, which forks and threads may share
        self._offsets, self._counts = page.dataoffsets, page.databytecounts
        self._decoder, self._tables, self._header = page.decode, page.jpegtables, page.jpegheader
        self._handle = page.parent.filehandle.fileno()
        self.damaged: set[int] = set()
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) of a part that lies inside the level; missing tiles are white."""
        tile_h, tile_w = self.tile
        out = np.empty((height, width, 3), np.uint8)
        for row in range(top // tile_h, -(-(top + height) // tile_h)):
            for column in range(left // tile_w, -(-(left + width) // tile_w)):
                pixels = self._tile(row, column)
                y0, x0 = max(top, row * tile_h), max(left, column * tile_w)
                y1, x1 = min(top + height, (row + 1) * tile_h), min(left + width, (column + 1) * tile_w)
                part = pixels[y0 - row * tile_h : y1 - row * tile_h, x0 - column * tile_w : x1 - column * tile_w]
                out[y0 - top : y1 - top, x0 - left : x1 - left] = part
        return out

    def _tile(self, row: int, column: int) -> np.ndarray:
        index = row * -(-self.shape[1] // self.tile[1]) + column
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
        pixels = self._decode(index)
        with self._lock:
            self._cache[index] = pixels
            while len(self._cache) * self.tile[0] * self.tile[1] * 3 > CACHE_BYTES:
                self._cache.popitem(last=False)
        return pixels

    def _decode(self, index: int) -> np.ndarray:
        """One tile as RGB, padded with white to the full tile; a damaged tile is white and remembered."""
        page = self.page
        white = np.full((*self.tile, 3), 255, np.uint8)
        offset, count = self._offsets[index], self._counts[index]
        if count == 0:
            return white
        try:
            data = os.pread(self._handle, count, offset)
            if page.compression == tifffile.COMPRESSION.JPEG and _jpeg_shape(data) != self.tile:
                raise ValueError("a tile of another size")  # also keeps a small file from decoding to gigabytes
            segment, _, _ = self._decoder(data, index, jpegtables=self._tables, jpegheader=self._header)
            pixels = to_rgb(np.asarray(segment)[0], page.photometric, page.colormap, 1 in page.extrasamples, self.has_alpha)
            white[: pixels.shape[0], : pixels.shape[1]] = pixels[: self.tile[0], : self.tile[1]]
        except Exception as error:  # codecs raise of every kind; all mean that these bytes are no tile
            self._count_damage(index, error)
        return white

    def _count_damage(self, index: int, error: Exception) -> None:
        self.damaged.add(index)
        if len(self.damaged) > DAMAGED_SHARE * len(self._offsets):
            found = f"{len(self.damaged)} of {len(self._offsets)} tiles can't be decoded ({type(error).__name__})"
            raise NotASlide(f"{self.name}: damaged, {found}. Copy it again.") from error


def _jpeg_shape(data: bytes) -> tuple[int, int] | None:
    """(height, width) that a JPEG says it has; None where its frame header is not found."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + length
    return None


class Tiff:
    """An open TIFF: its levels, largest first, and the pixel sizes it states."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        check_directories(path)
        try:
            self._file = tifffile.TiffFile(path)
        except Exception as error:  # damaged headers make tifffile raise of every kind
            raise _damaged(self.name, error) from error
        try:
            self.levels, self.stated = self._open(path.stat().st_size)
        except NotASlide:
            self._file.close()
            raise
        except Exception as error:
            self._file.close()
            raise _damaged(self.name, error) from error

    def _open(self, file_size: int) -> tuple[list[TiledLevel | ArrayLevel], list[Stated]]:
        if not self._file.series:
            raise NotASlide(f"{self.name}: a TIFF without an image. Copy it again.")
        series = max(self._file.series, key=lambda s: int(np.prod(s.keyframe.shape)) if s.keyframe is not None else 0)
        if len(series.levels[0].pages) != 1:
            found = f"{len(series.levels[0].pages)} images along {series.axes}"
            raise NotASlide(f"{self.name}: {found}, probably fluorescence. One RGB image is wanted.")
        first = series.levels[0].keyframe
        check_format(self.name, int(first.photometric), int(first.samplesperpixel), first.dtype)
        alike = [level.keyframe for level in series.levels if _format(level.keyframe) == _format(first)]
        return [self._level(page, file_size) for page in alike], _stated(first)

    def _level(self, page: Any, file_size: int) -> TiledLevel | ArrayLevel:
        height, width = int(page.imagelength), int(page.imagewidth)
        if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX):
            raise NotASlide(f"{self.name}: says it has {width} x {height} px; 1 to {MAX_SIDE_PX} is wanted. Copy it again.")
        if page.compression == YCBC_JPEG2000:
            raise NotASlide(f"{self.name}: compressed as Aperio JPEG 2000 YCbCr (33003), not read. Convert it to JPEG.")
        if page.photometric == 6 and page.compression not in JPEGS:
            raise NotASlide(f"{self.name}: YCbCr pixels without JPEG compression, not read. Export as RGB.")
        if any(offset + count > file_size for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise NotASlide(f"{self.name}: cut off, its pixels reach beyond the end of the file. Copy it again.")
        if page.is_tiled and page.planarconfig == 1:
            if page.tilelength * page.tilewidth > MAX_TILE_PX:
                raise NotASlide(f"{self.name}: tiles of {page.tilewidth} x {page.tilelength} px, up to 4096 x 4096 is wanted. Convert it.")
            if len(page.dataoffsets) != -(-height // page.tilelength) * -(-width // page.tilewidth):
                raise NotASlide(f"{self.name}: damaged, its list of tiles does not fit its size. Copy it again.")
            return TiledLevel(page, self.name, _has_alpha(page))
        check_budget(self.name, height, width)
        pixels = page.asarray()
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        return ArrayLevel(to_rgb(pixels, page.photometric, page.colormap, 1 in page.extrasamples, _has_alpha(page)))

    @property
    def damaged_tiles(self) -> int:
        """Tiles met so far that can't be decoded."""
        return sum(len(level.damaged) for level in self.levels if isinstance(level, TiledLevel))

    def close(self) -> None:
        """Closes the file; levels can't be read after that."""
        self._file.close()


def _format(page: Any) -> tuple[Any, ...]:
    """What all levels of a pyramid share; RGB and YCbCr both decode to RGB."""
    return "RGB" if page.photometric in (2, 6) else page.photometric, page.samplesperpixel, page.dtype


def _has_alpha(page: Any) -> bool:
    """Whether the fourth sample is opacity; otherwise it is unknown and left out."""
    return bool({1, 2} & set(page.extrasamples))


def _damaged(name: str, error: Exception) -> NotASlide:
    return NotASlide(f"{name}: a TIFF that is damaged or cut off ({type(error).__name__}). Copy it again.")


def _stated(page: Any) -> list[Stated]:
    """Pixel sizes in the order of trust. The description is searched for them and goes nowhere else: it may name the patient."""
    text = page.description
    stated = from_aperio(text) + from_ome(text)
    x, y, unit = (page.tags.valueof(code) for code in (282, 283, 296))
    if x and y:
        stated += from_resolution(_ratio(y), _ratio(x), int(unit or 2), text)
    return stated


def _ratio(value: Any) -> float:
    numerator, denominator = value
    return numerator / denominator if denominator else 0.0

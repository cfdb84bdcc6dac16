"""TIFF, BigTIFF, OME-TIFF and Aperio SVS: levels of a pyramid, of which only the tiles needed are decoded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.slide.convert import check_format, to_rgb
from biopsy_analyzer.slide.encoded import check_image, check_jpeg
from biopsy_analyzer.slide.pixel_size import Stated, from_aperio, from_ome, from_resolution, magnification_of_aperio
from biopsy_analyzer.slide.plain import check_budget, digest
from biopsy_analyzer.slide.reader import Facts
from biopsy_analyzer.slide.tiles import ArrayLevel, TileCache, TiledLevel, tile_count

MAX_TILE_PX = 4096 * 4096
MAX_SIDE_PX = 1_000_000
JPEG = 7
BOUNDED = (1, 5, 8, 32773, 32946, 34926, 50000)  # none, LZW, deflate, PackBits, Zstandard: decode to what a tile holds and no more
IMAGES = (33005, 34712, 34933, 50001)  # JPEG 2000, PNG, WebP: decode to the size that they say
YCBCR_JPEG2000 = 33003  # its colours are stored without a mark that decoders heed: silently wrong
ICC = 34675


class PageDecoder:
    """Decodes a page's tiles. All that it needs is read at the start: later only `pread` touches the file, which forks and threads may
    share.
    """

    def __init__(self, page: Any) -> None:
        self.page, self.has_alpha = page, _has_alpha(page)
        self.tile = (int(page.tilelength), int(page.tilewidth))
        self._across = -(-int(page.imagewidth) // self.tile[1])
        self._offsets, self._counts = page.dataoffsets, page.databytecounts
        self._decoder, self._tables, self._header = page.decode, page.jpegtables, page.jpegheader
        self._handle = page.parent.filehandle.fileno()

    def __call__(self, row: int, column: int) -> np.ndarray | None:
        """RGB uint8 of a tile, None where none is stored; raises whatever a codec raises."""
        page, index = self.page, row * self._across + column
        offset, count = self._offsets[index], self._counts[index]
        if count == 0:
            return None
        data = os.pread(self._handle, count, offset)
        if page.compression == JPEG:
            check_jpeg(data, self.tile)
        elif page.compression in IMAGES:
            check_image(data, self.tile)
        segment, _, _ = self._decoder(data, index, jpegtables=self._tables, jpegheader=self._header)
        if segment is None:
            return None
        return to_rgb(np.asarray(segment)[0], page.photometric, page.colormap, 1 in page.extrasamples, self.has_alpha)


class Tiff:
    """An open TIFF: its levels, largest first, and the pixel sizes it states; see `reader.Reader`."""

    def __init__(self, path: Path, format_name: str, cache: TileCache) -> None:
        self.name = path.name
        try:
            self._file = tifffile.TiffFile(path)
        except Exception as error:  # damaged headers make tifffile raise of every kind
            raise _damaged(self.name, error) from error
        try:
            pages = self._pages()
            self.levels = [self._level(page, number, cache) for number, page in enumerate(pages)]
            self.stated = _stated(pages[0])
            profile, magnification = digest(pages[0].tags.valueof(ICC)), magnification_of_aperio(pages[0].description)
            self.facts = Facts(format_name, "tifffile", _compression(pages[0]), (path,), profile, magnification)
        except NotASlide:
            self._file.close()
            raise
        except Exception as error:
            self._file.close()
            raise _damaged(self.name, error) from error

    def _pages(self) -> list[Any]:
        if not self._file.series:
            raise NotASlide(f"{self.name}: a TIFF without an image. Copy it again.")
        series = max(self._file.series, key=lambda s: int(np.prod(s.keyframe.shape)) if s.keyframe is not None else 0)
        if len(series.levels[0].pages) != 1:
            found = f"{len(series.levels[0].pages)} images along {series.axes}"
            raise NotASlide(f"{self.name}: {found}, probably fluorescence. One RGB image is wanted.")
        first = series.levels[0].keyframe
        check_format(self.name, int(first.photometric), int(first.samplesperpixel), first.dtype)
        return [level.keyframe for level in series.levels if _format(level.keyframe) == _format(first)]

    def _level(self, page: Any, number: int, cache: TileCache) -> TiledLevel | ArrayLevel:
        height, width = int(page.imagelength), int(page.imagewidth)
        if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX):
            raise NotASlide(f"{self.name}: says it has {width} x {height} px; 1 to {MAX_SIDE_PX} is wanted. Copy it again.")
        if page.compression == YCBCR_JPEG2000:
            raise NotASlide(f"{self.name}: JPEG 2000 in YCbCr (33003) outside of an Aperio slide, not read. Convert it to JPEG.")
        if page.compression not in (JPEG, *BOUNDED, *IMAGES):
            raise NotASlide(f"{self.name}: compressed by {_compression(page)}, not read. Convert it to JPEG.")
        if page.photometric == 6 and page.compression != JPEG:
            raise NotASlide(f"{self.name}: YCbCr pixels without JPEG compression, not read. Export as RGB.")
        if page.is_tiled and page.planarconfig == 1:
            decoder = PageDecoder(page)
            if decoder.tile[0] * decoder.tile[1] > MAX_TILE_PX:
                raise NotASlide(f"{self.name}: tiles of {page.tilewidth} x {page.tilelength} px, up to 4096 x 4096 is wanted. Convert it.")
            if len(page.dataoffsets) != tile_count((height, width), decoder.tile):
                raise NotASlide(f"{self.name}: damaged, its list of tiles does not fit its size. Copy it again.")
            return TiledLevel(self.name, number, (height, width), decoder.tile, decoder, cache)
        check_budget(self.name, height, width)
        pixels = page.asarray()
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        return ArrayLevel(to_rgb(pixels, page.photometric, page.colormap, 1 in page.extrasamples, _has_alpha(page)))

    def close(self) -> None:
        """Closes the file; levels can't be read after that."""
        self._file.close()


def _compression(page: Any) -> str:
    return tifffile.COMPRESSION(page.compression).name.replace("_", " ")


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

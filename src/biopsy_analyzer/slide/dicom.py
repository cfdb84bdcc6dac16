"""DICOM whole slides by wsidicom: a folder of instances, or one instance with the others of its series beside it."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from biopsy_analyzer.errors import BiopsyAnalyzerError, NotASlide
from biopsy_analyzer.slide.encoded import check_image, check_jpeg
from biopsy_analyzer.slide.forks import renew_after_fork
from biopsy_analyzer.slide.kind import files_in, is_dicom
from biopsy_analyzer.slide.pixel_size import Stated
from biopsy_analyzer.slide.plain import digest
from biopsy_analyzer.slide.reader import Facts
from biopsy_analyzer.slide.tiles import TileCache, TiledLevel

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "MONOCHROME2")
MAX_INSTANCES = 1000
MAX_TILE_PX = 4096 * 4096


class Dicom:
    """An open series of VL Whole Slide Microscopy instances; see `reader.Reader`.

    Read is the VOLUME image in its default focal plane and optical path; labels and overviews are never opened.
    """

    def __init__(self, path: Path, format_name: str, cache: TileCache) -> None:
        self._name = path.name
        self._files = series_files(path)
        self.after_fork()
        renew_after_fork(self)
        try:
            pyramid = self._opened().pyramids[0]
            self.levels = [self._level(number, level, cache) for number, level in enumerate(pyramid)]
            base = pyramid.base_level
            self.stated = _stated(base)
            data = base.default_instance.image_data
            self.facts = Facts(format_name, "wsidicom", data.transfer_syntax.name, tuple(self._files), digest(_profile(base)))
        except BiopsyAnalyzerError:
            self.close()
            raise
        except Exception as error:  # damaged datasets make pydicom raise of every kind
            self.close()
            raise _damaged(self._name, error) from error

    def after_fork(self) -> None:
        """Processes must not share a file's position: each opens its own at its first read."""
        self._slide: Any = None
        self._lock = threading.Lock()

    def _opened(self) -> Any:
        with self._lock:
            if self._slide is None:
                try:
                    with _quiet():
                        import wsidicom

                        self._slide = wsidicom.WsiDicom.open(self._files)
                except Exception as error:
                    raise _damaged(self._name, error) from error
                self._slide.resize_cache(0)  # tiles are kept once, by `TileCache`
            return self._slide

    def _level(self, number: int, level: Any, cache: TileCache) -> TiledLevel:
        data, size, tile = level.default_instance.image_data, level.size, level.tile_size
        colours = data.photometric_interpretation
        if data.bits != 8 or colours not in COLOURS or (colours.startswith("YBR_FULL") and data.transfer_syntax != JPEG_BASELINE):
            found = f"{colours}, {data.samples_per_pixel} x {data.bits} bit"
            raise NotASlide(f"{self._name}: pixels are {found}; 8-bit RGB is wanted. Export the H&E image as RGB.")
        if not 0 < tile.width * tile.height <= MAX_TILE_PX:
            raise NotASlide(f"{self._name}: tiles of {tile.width} x {tile.height} px, up to 4096 x 4096 is wanted. Convert it.")

        def decode(row: int, column: int) -> np.ndarray | None:
            return _tile(list(self._opened().pyramids[0])[number].default_instance.image_data, row, column)

        return TiledLevel(self._name, number, (size.height, size.width), (tile.height, tile.width), decode, cache)

    def close(self) -> None:
        """Closes the files."""
        if self._slide is not None:
            self._slide.close()


def _tile(data: Any, row: int, column: int) -> np.ndarray | None:
    """A stored tile as RGB uint8, None where a sparse image has none.

    Colours of baseline JPEG follow DICOM's PhotometricInterpretation, since the JPEG itself may say nothing or something else.
    """
    from wsidicom.geometry import Point

    at, plane, path = Point(column, row), data.default_z, data.default_path
    if data.is_sparse(at, plane, path):
        return None
    shape = data.tile_size.height, data.tile_size.width
    if data.transfer_syntax == JPEG_BASELINE and data.samples_per_pixel == 3:
        stored = "RGB" if data.photometric_interpretation == "RGB" else "YCBCR"
        frame = data.get_encoded_tile(at, plane, path)
        check_jpeg(frame, shape)
        pixels: np.ndarray = imagecodecs.jpeg8_decode(frame, colorspace=stored, outcolorspace="RGB")
    else:
        if data.transfer_syntax in JPEG_2000:
            check_image(data.get_encoded_tile(at, plane, path), shape)
        pixels = np.asarray(data.get_decoded_tile(at, plane, path).convert("RGB"))
    if pixels.shape != (*shape, 3):
        raise ValueError("a tile of another size")
    return pixels


def series_files(path: Path) -> list[Path]:
    """The instances of a slide: of a folder all, of an instance those beside it of the same series; named one first, others by name."""
    import pydicom

    folder = path if path.is_dir() else path.parent
    found: dict[Path, tuple[str, str]] = {}
    for file in [path] * path.is_file() + [other for other in files_in(folder)[:MAX_INSTANCES] if other != path and is_dicom(other)]:
        try:
            with _quiet():
                header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID", "SeriesInstanceUID", "ImageType"])
            found[file] = str(header.get("SOPClassUID", "")), str(header.get("SeriesInstanceUID", ""))
        except Exception as error:
            if file == path:
                raise _damaged(path.name, error) from error
    slides = {file: series for file, (kind, series) in found.items() if kind == WHOLE_SLIDE}
    if not slides or (path.is_file() and path not in slides):
        raise NotASlide(f"{path.name}: DICOM, but no whole slide (VL Whole Slide Microscopy Image). Give a slide's instance or folder.")
    wanted = slides.get(path) or next(iter(slides.values()))
    if path.is_dir() and len(set(slides.values())) > 1:
        raise NotASlide(f"{path.name}: a folder with {len(set(slides.values()))} DICOM series, one is wanted. Give an instance of the one.")
    return [file for file, series in slides.items() if series == wanted]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings and logs: they quote values that break the standard, which may name the patient, and print tracebacks."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _stated(level: Any) -> list[Stated]:
    spacing = level.pixel_spacing
    return [Stated(spacing.height * 1000, spacing.width * 1000, "DICOM PixelSpacing")] if spacing else []


def _profile(level: Any) -> bytes | None:
    """The colour profile of the default optical path."""
    for dataset in level.datasets:
        for path in dataset.get("OpticalPathSequence", []):
            profile = path.get("ICCProfile")
            if profile:
                return bytes(profile)
    return None


def _damaged(name: str, error: Exception) -> NotASlide:
    return NotASlide(f"{name}: DICOM that is damaged, cut off or of a kind that is not read ({type(error).__name__}). Copy it again.")

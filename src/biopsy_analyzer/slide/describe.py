"""What was understood of a slide, for people and programs; nothing about the patient: texts of the file are never passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from biopsy_analyzer.errors import MissingPixelSize
from biopsy_analyzer.slide.pixel_size import choose
from biopsy_analyzer.slide.slide import UNKNOWN, Slide, open_reader
from biopsy_analyzer.slide.tiles import ArrayLevel


def open_even_without_pixel_size(path: Path, um_per_px: float | None = None) -> tuple[Slide, str | None]:
    """The slide, with 1 um/px where it states no usable pixel size, and what is wrong with that size, None where nothing is.

    Errors of `open_slide` otherwise; close the slide.
    """
    reader = open_reader(path)
    try:
        try:
            size, source, problem = *choose(path.name, reader.stated, um_per_px), None
        except MissingPixelSize as error:
            size, source, problem = 1.0, UNKNOWN, str(error)
        return Slide(path, reader, size, source), problem
    except BaseException:
        reader.close()
        raise


def describe(slide: Slide, problem: str | None = None) -> dict[str, Any]:
    """Format, reader, sizes, levels, colour profile and files of a slide, as JSON takes it.

    Lengths are in px, um and mm; width before height. What depends on an unknown pixel size is None.
    """
    um = None if problem else slide.um_per_px
    height, width = slide.shape
    decoded = sum(level.read(0, 0, *level.shape).nbytes for level in slide.levels if isinstance(level, ArrayLevel))
    return {
        "file": slide.file_name,
        "format": slide.format,
        "reader": slide.reader,
        "compression": slide.compression,
        "size_px": [width, height],
        "size_mm": None if um is None else [round(width * um / 1000, 3), round(height * um / 1000, 3)],
        "um_per_px": um,
        "um_per_px_source": None if um is None else slide.um_per_px_source,
        "levels": [
            {
                "size_px": [level.shape[1], level.shape[0]],
                "um_per_px": None if um is None else um * height / level.shape[0],
                "tile_px": [level.tile[1], level.tile[0]],
            }
            for level in slide.levels
        ],
        "files": len(slide.files),
        "bytes": sum(file.stat().st_size for file in slide.files),
        "decoded_bytes": width * height * 3,
        "held_in_memory_bytes": decoded,
        "icc_sha256": slide.icc_sha256,
        "icc_applied": False,
        "notes": list(slide.notes),
    }

"""The slide of a result, which for privacy bears only its name and the SHA-256 of its content: found beside it, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from biopsy_analyzer.errors import BiopsyAnalyzerError, ResultError
from biopsy_analyzer.slide import Slide, open_slide

_LEVELS_UP = 3  # OUT/<slide id>/, OUT/ and what holds OUT


def find_slide(folder: Path, document: dict[str, Any]) -> Slide | None:
    """The slide of the result `document` in the result's folder or one of the three above; None where none there fits.

    It must bear the name and have the size; whether it has the content `same_content` tells, which reads it all.
    """
    name = Path(document["slide"]["file_name"]).name
    for place in (folder.resolve(), *list(folder.resolve().parents)[:_LEVELS_UP]):
        path = place / name
        if path.exists():
            try:
                return slide_of(path, document)
            except BiopsyAnalyzerError:
                continue
    return None


def slide_of(path: Path, document: dict[str, Any]) -> Slide:
    """The slide at `path`, at the pixel size of the result; ResultError unless its size is that of the result's slide."""
    wanted = document["slide"]
    slide = open_slide(path, um_per_px=wanted["um_per_px"])
    if slide.shape != (wanted["height_px"], wanted["width_px"]):
        found = f"{slide.shape[1]} x {slide.shape[0]} px, the result's slide has {wanted['width_px']} x {wanted['height_px']}"
        slide.close()
        raise ResultError(f"{path.name}: another slide, {found}. Choose {wanted['file_name']}")
    return slide


def same_content(slide: Slide, document: dict[str, Any]) -> bool:
    """Whether every byte is that of the slide that was analysed."""
    return slide.sha256 == document["slide"]["sha256"]

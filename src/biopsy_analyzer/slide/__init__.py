"""Slides: files become pixels of any grid, with a known pixel size or a clear refusal."""

from biopsy_analyzer.slide.kind import SUFFIXES
from biopsy_analyzer.slide.slide import Slide, open_slide

__all__ = ["SUFFIXES", "Slide", "open_slide"]

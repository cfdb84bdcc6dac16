"""Reads H&E sections of skeletal muscle: fibres, nuclei, necrosis against inflammation. Research use only.

    from biopsy_analyzer import analyze_slide, load_models, open_slide, write_result
    with open_slide("section.svs") as slide:
        result = analyze_slide(slide, load_models())

Names are imported when they are first used: importing the package loads neither torch nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biopsy_analyzer.models import load_models
    from biopsy_analyzer.pipeline import analyze_slide
    from biopsy_analyzer.report.labels import read_labels
    from biopsy_analyzer.report.result import Result
    from biopsy_analyzer.report.saved import read_saved
    from biopsy_analyzer.report.writing import write_result
    from biopsy_analyzer.rescore import score_again
    from biopsy_analyzer.samples import sample_slide
    from biopsy_analyzer.settings import Settings
    from biopsy_analyzer.settings_file import load_settings
    from biopsy_analyzer.slide import open_slide
    from biopsy_analyzer.versions import __version__

__all__ = [
    "Result", "Settings", "__version__", "analyze_slide", "load_models", "load_settings", "open_slide", "read_labels", "read_saved",
    "sample_slide", "score_again", "write_result",
]  # fmt: skip

_HOMES = {
    "__version__": "biopsy_analyzer.versions",
    "Result": "biopsy_analyzer.report.result",
    "Settings": "biopsy_analyzer.settings",
    "analyze_slide": "biopsy_analyzer.pipeline",
    "load_models": "biopsy_analyzer.models",
    "load_settings": "biopsy_analyzer.settings_file",
    "open_slide": "biopsy_analyzer.slide",
    "read_labels": "biopsy_analyzer.report.labels",
    "read_saved": "biopsy_analyzer.report.saved",
    "sample_slide": "biopsy_analyzer.samples",
    "score_again": "biopsy_analyzer.rescore",
    "write_result": "biopsy_analyzer.report.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'biopsy_analyzer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

"""Drawn slides that come with the package, to try it on."""

from __future__ import annotations

from pathlib import Path

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.escaping import for_terminal

_PACKAGE = Path(__file__).resolve().parent


def sample_folder() -> Path:
    """Where they lie: in the installed package, or in the checkout that this runs from."""
    installed = _PACKAGE / "sample_slides"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "sample_slides"


def sample_slide(name: str = "necrotizing") -> Path:
    """The slide of that name; UsageError, which names those there are, for another."""
    there = {path.stem: path for path in sorted(sample_folder().glob("*.tif"))}
    if name not in there:
        raise UsageError(f"no sample slide {for_terminal(name)!r}; there are {', '.join(there)}")
    return there[name]

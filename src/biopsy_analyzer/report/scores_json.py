"""scores.json: the summary that programs read, with everything needed to trace it back to slide, weights, software and settings."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from biopsy_analyzer.report.result import ModelInfo, Result, SlideInfo, Status
from biopsy_analyzer.score.model import Scores
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tissue.quality import Flag

SCHEMA_VERSION: Literal["1.0"] = "1.0"
_PACKAGES = ("biopsy-analyzer", "imagecodecs", "numpy", "opencv-python-headless", "pillow", "scikit-image", "scipy", "tifffile", "torch")


class Quality(BaseModel):
    """How much tissue there is, and what speaks against trusting it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tissue_area_mm2: float
    flags: list[Flag]


class Header(BaseModel):
    """The fields of scores.json that come before the scores."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    intended_use: Literal["research_use_only"] = "research_use_only"
    status: Status
    slide: SlideInfo
    software: dict[str, str]
    models: list[ModelInfo]
    settings: Settings
    quality: Quality


class Document(Scores, Header):
    """scores.json as a whole: `Header`, then the fields of `Scores`; null where a thing can't be assessed, never NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def scores_document(result: Result) -> dict[str, Any]:
    """The content of scores.json as plain JSON types, validated against `Document`; ValueError for NaN (our bug)."""
    document = Document(
        status=result.status,
        slide=result.slide,
        software=software_versions(),
        models=list(result.models),
        settings=result.settings,
        quality=Quality(tissue_area_mm2=result.tissue_area_mm2, flags=list(result.flags)),
        **{name: getattr(result.scores, name) for name in Scores.model_fields},
    )
    return document.model_dump(mode="json")


def to_text(document: dict[str, Any]) -> str:
    """Indented JSON; NaN or infinity is a ValueError (our bug), never invalid JSON."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2) + "\n"


def software_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number; "not installed" where one is missing."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"

"""scores.json: the summary that programs read, with everything needed to trace it back to slide, weights, software and settings."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from biopsy_analyzer.report.result import ModelInfo, Result, SlideInfo, Status
from biopsy_analyzer.score.model import Scores
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tissue.flags import Flag
from biopsy_analyzer.versions import software_versions

SCHEMA_VERSION: Literal["1.1"] = "1.1"
"""A new minor version adds fields, a new major one removes or renames one or changes what it means. See docs/outputs.md."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Quality(_Part):
    """How much tissue there is, and what speaks against trusting it."""

    tissue_area_mm2: float = Field(ge=0, description="area of the tissue that is not under ink or a fold, mm2")
    flags: list[Flag] = Field(description="what was found wanting, with what was measured; empty: nothing")


class Corrections(_Part):
    """Corrections by hand that the numbers rest on; the edits themselves stand in corrections.jsonl."""

    edits: int = Field(ge=0, description="edits in force, undone ones left out")
    kinds: dict[str, int] = Field(description="edits by kind")
    by: list[str] = Field(description="who made them, as they named themselves")
    last_utc: str | None = Field(description="time of the last edit, ISO 8601; null without edits")
    unmeasured_fibres: int = Field(ge=0, description="fibres drawn by hand, of unknown colour: the slide was not at hand")
    journal_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of corrections.jsonl as it was read")


class Header(_Part):
    """The fields of scores.json that come before the scores."""

    schema_version: Literal["1.1"] = Field(default=SCHEMA_VERSION, description="version of this format")
    intended_use: Literal["research_use_only"] = Field(default="research_use_only", description="not for diagnosis")
    status: Status = Field(description="ok; review: read it with quality.flags in mind; refused: nothing that could be scored")
    slide: SlideInfo
    software: dict[str, str] = Field(description="version by package, of those that can change a number")
    models: list[ModelInfo] = Field(description="networks and the model of fibre states that took part")
    settings: Settings = Field(description="every setting of the analysis")
    quality: Quality
    region_um: list[tuple[float, float]] | None = Field(
        default=None, description="corners (y, x) in um of the region that alone was analysed; null: the whole section"
    )
    corrections: Corrections | None = Field(default=None, description="null: as the method found it")


class ScoresDocument(Scores, Header):
    """scores.json as a whole: null where a thing can't be assessed, never NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, title="scores.json of biopsy-analyzer")


def scores_document(result: Result) -> dict[str, Any]:
    """The content of scores.json as plain JSON types, validated against `ScoresDocument`; ValueError for NaN (our bug)."""
    document = ScoresDocument(
        status=result.status,
        slide=result.slide,
        software=software_versions(),
        models=list(result.models),
        settings=result.settings,
        quality=Quality(tissue_area_mm2=result.tissue_area_mm2, flags=list(result.flags)),
        region_um=None if result.region_um is None else list(result.region_um),
        **{name: getattr(result.scores, name) for name in Scores.model_fields},
    )
    return document.model_dump(mode="json")


def to_text(document: dict[str, Any]) -> str:
    """Indented JSON; NaN or infinity is a ValueError (our bug), never invalid JSON."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2) + "\n"

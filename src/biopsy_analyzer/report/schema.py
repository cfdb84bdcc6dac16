"""The format of scores.json as JSON Schema, version by version, and documents of older versions in today's form."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import jsonschema
from pydantic.json_schema import GenerateJsonSchema

from biopsy_analyzer.errors import OlderResult, ResultError, UsageError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.report.scores_json import SCHEMA_VERSION, ScoresDocument

VERSIONS = ("1.0", SCHEMA_VERSION)


class _AsWritten(GenerateJsonSchema):
    """Every field is always written; a field's name is its title, said once."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return True

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def scores_schema(version: str = SCHEMA_VERSION) -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of that version of scores.json: today's from its typed model, an older one as it was released.

    UsageError where the version is not known here.
    """
    if version == SCHEMA_VERSION:
        made = ScoresDocument.model_json_schema(mode="serialization", schema_generator=_AsWritten)
        return {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"urn:biopsy-analyzer:scores:{version}", **made}
    if version not in VERSIONS:
        raise UsageError(f"no schema of version {for_terminal(version)!r}; there are {', '.join(VERSIONS)}")
    return json.loads((files("biopsy_analyzer") / "report" / "schemas" / f"scores-{version}.json").read_text(encoding="utf-8"))


def present_document(document: Any) -> dict[str, Any]:
    """The content of a scores.json of any version so far in today's form: what came later is null.

    It is checked against the schema of the version that it states. Settings are those it was made with: one that came later is not
    added. ResultError where it is no such document, or damaged; OlderResult where its version is not known here.
    """
    if not isinstance(document, dict) or "schema_version" not in document:
        raise ResultError("no schema_version; wanted the scores.json of an analysis. Run analyze again")
    found = document["schema_version"]
    if found not in VERSIONS:
        raise OlderResult(f"schema_version {found!r}, this version reads {' and '.join(VERSIONS)}. Run analyze again")
    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(scores_schema(found)).iter_errors(document))
    if fault is not None:
        place = ".".join(map(str, fault.absolute_path)) or "the top"
        raise ResultError(f"damaged at {place}: {fault.message[:200]}. Run analyze again")
    return _from_1_0(document) if found == "1.0" else document


def _from_1_0(document: dict[str, Any]) -> dict[str, Any]:
    """1.1 brought grades, evidence, stages, space, corrections, a region, where flags lie, and precision."""
    upgraded: dict[str, Any] = dict.fromkeys(ScoresDocument.model_fields) | copy.deepcopy(document) | {"schema_version": "1.1"}
    for axis in ("necrosis", "regeneration", "inflammation"):
        upgraded["scores"][axis] |= {"grade": None, "grade_ci95": None}
    upgraded["pattern"]["fits"] = []
    for model in upgraded["models"]:
        model["precision"] = None
    for flag in upgraded["quality"]["flags"]:
        flag["boxes_um"] = []
    return upgraded

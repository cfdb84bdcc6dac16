"""The format of scores.json is stated, kept, and read in every version."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from biopsy_analyzer.errors import OlderResult, ResultError, UsageError
from biopsy_analyzer.report import schema as schema_module
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.schema import VERSIONS, present_document, scores_schema
from biopsy_analyzer.report.scores_json import SCHEMA_VERSION, ScoresDocument, scores_document
from biopsy_analyzer.report.summary import summary_text
from biopsy_analyzer.score import unassessed

KEPT = Path(__file__).with_name("scores_1.0.json")  # written by release 0.1.0


def faults(document: Any, version: str) -> list[str]:
    return [fault.message for fault in jsonschema.Draft202012Validator(scores_schema(version)).iter_errors(document)]


def without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    """A copy that lacks one field."""
    changed = json.loads(json.dumps(document))
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return changed


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_are_valid_and_named(version: str) -> None:
    schema = scores_schema(version)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:biopsy-analyzer:scores:{version}"
    assert schema["properties"]["schema_version"]["const"] == version


def test_todays_schema_is_the_one_that_is_published() -> None:
    """A change of the format shows in a review; once released, it needs another version (docs/outputs.md)."""
    kept = Path(schema_module.__file__).with_name("schemas") / f"scores-{SCHEMA_VERSION}.json"
    remedy = f"see docs/outputs.md, then: biopsy-analyzer schema > src/biopsy_analyzer/report/schemas/{kept.name}"
    assert json.loads(kept.read_text(encoding="utf-8")) == scores_schema(), remedy


def test_a_document_fits_its_schema_and_others_do_not(result: Result) -> None:
    document = scores_document(result)
    assert faults(document, SCHEMA_VERSION) == []
    assert present_document(document) == document
    for path in (("pattern",), ("scores", "necrosis", "ci95"), ("settings", "score"), ("quality", "flags")):
        assert faults(without(document, *path), SCHEMA_VERSION) == [f"'{path[-1]}' is a required property"]
    assert faults({**document, "surprise": 1}, SCHEMA_VERSION)
    assert faults({**document, "status": "fine"}, SCHEMA_VERSION)


def test_a_refused_slide_fits_too(result: Result) -> None:
    refused = dataclasses.replace(result, status="refused", scores=unassessed("nothing is assessed: no tissue was found"))
    assert faults(scores_document(refused), SCHEMA_VERSION) == []


def paths(document: Any, at: str = "") -> set[str]:
    """Every place in the document, by name; a list by its first item."""
    if isinstance(document, dict):
        return {at} | {path for name, value in document.items() for path in paths(value, f"{at}/{name}")}
    if isinstance(document, list) and document:
        return paths(document[0], at)
    return {at}


@pytest.mark.fault(37)
def test_a_document_of_1_0_is_read_in_todays_form(result: Result) -> None:
    old = json.loads(KEPT.read_text(encoding="utf-8"))
    assert faults(old, "1.0") == []
    found = present_document(old)
    assert list(found) == list(ScoresDocument.model_fields)
    assert found["schema_version"] == SCHEMA_VERSION
    assert found["fibres"] == old["fibres"]
    assert found["scores"]["balance"] == old["scores"]["balance"]
    assert found["settings"] == old["settings"]
    assert paths(old) <= paths(found)
    assert "64 found, 64 assessable: 60 normal, 2 necrotic" in summary_text(found)
    # where both have a block, it has the same fields
    today = scores_document(result)
    for block in ("scores", "quality", "fibres", "area_fractions", "clusters", "inflammation", "pattern"):
        assert not paths(today[block]) - paths(found[block]), block


def test_the_document_given_is_left_alone() -> None:
    old = json.loads(KEPT.read_text(encoding="utf-8"))
    present_document(old)
    assert old == json.loads(KEPT.read_text(encoding="utf-8"))


def test_what_cannot_be_read_is_named(result: Result) -> None:
    document = scores_document(result)
    with pytest.raises(OlderResult, match=r"schema_version '9\.9', this version reads 1\.0 and"):
        present_document({**document, "schema_version": "9.9"})
    with pytest.raises(ResultError, match=r"damaged at scores\.necrosis"):
        present_document(without(document, "scores", "necrosis", "value"))
    with pytest.raises(ResultError, match=r"damaged at slide\.um_per_px: 'x'"):
        present_document({**document, "slide": {**document["slide"], "um_per_px": "x"}})
    for nothing in ([], {}, None, "1.0"):
        with pytest.raises(ResultError, match="no schema_version"):
            present_document(nothing)
    with pytest.raises(UsageError, match=r"no schema of version '0\.9'; there are 1\.0"):
        scores_schema("0.9")

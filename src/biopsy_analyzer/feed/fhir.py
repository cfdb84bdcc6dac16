"""A result as a FHIR Bundle: a DiagnosticReport, an Observation for each number, the Device that made them, and what its codes mean.

No patient is named: the receiver, who knows whose section it is, adds `subject`. The same result gives the same bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from biopsy_analyzer.feed.codes import (
    AXES,
    HE_METHOD,
    LOCAL,
    MEASURES,
    MUSCLE_TISSUE,
    NOT_PERFORMED,
    OTHERS,
    PATHOLOGY,
    PATHOLOGY_STUDY,
    SKELETAL_MUSCLE,
    UCUM,
    Coding,
    Measure,
    at,
)
from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.report.saved import read_document

Release = Literal["R5", "R4B"]
Resource = dict[str, Any]

USE = "Research use only, not for diagnosis. Made by a program, checked by nobody."
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "biopsy-analyzer/fhir")


def write_fhir(folder: Path, release: Release = "R5") -> Path:
    """Write `folder`/fhir.json from its scores.json, whole or not at all; gives its path. ResultError where there is no readable result."""
    path = folder / "fhir.json"
    bundle = fhir_bundle(read_document(folder), release)
    write_bytes(path, json.dumps(bundle, allow_nan=False, ensure_ascii=False, indent=1).encode("utf-8"))
    return path


def fhir_bundle(document: dict[str, Any], release: Release = "R5") -> Resource:
    """The Bundle (type "collection") of a scores.json, by FHIR R5 or R4B.

    What could not be assessed has a dataAbsentReason in place of a value. A refused section has no values at all, and a report of
    status "cancelled"; any other is "preliminary", since nobody has checked it.
    """
    name = _Names(document)
    observations = list(_observations(document))
    for observation in observations:
        observation["specimen"], observation["device"] = name.reference("specimen"), name.reference("device")
    keyed = [(observation["code"]["coding"][0]["code"], observation) for observation in observations]
    report = _report(document, release, name, [name.reference(key) for key, _ in keyed])
    resources = [
        ("report", report),
        *keyed,
        ("specimen", _specimen(document)),
        ("device", _device(document, release)),
        ("codes", _code_system(document)),
    ]
    entries = [{"fullUrl": name.url(key), "resource": {**resource, "id": name.identity(key)}} for key, resource in resources]
    return {"resourceType": "Bundle", "id": name.identity("bundle"), "type": "collection", "entry": entries}


class _Names:
    """Ids that depend on slide, software, settings and numbers alone."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = json.dumps(document, sort_keys=True)

    def identity(self, key: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{key}/{self._document}"))

    def url(self, key: str) -> str:
        return f"urn:uuid:{self.identity(key)}"

    def reference(self, key: str) -> Resource:
        return {"reference": self.url(key)}


def _concept(*codings: Coding, text: str | None = None) -> Resource:
    coded = [{"system": system, "code": code, "display": display} for system, code, display in codings]
    return {"coding": coded, "text": text or codings[0][2]}


def _local(code: str, text: str | None = None) -> Resource:
    return _concept((LOCAL, code, OTHERS[code]), text=text)


def _quantity(value: float, unit: str, times: float = 1.0) -> Resource:
    return {"value": value * times, "unit": unit.strip("{}"), "system": UCUM, "code": unit}


def _measured(value: float | None, unit: str, times: float = 1.0) -> Resource:
    """`valueQuantity`, or in its place why there is none."""
    return {"dataAbsentReason": _concept(NOT_PERFORMED)} if value is None else {"valueQuantity": _quantity(value, unit, times)}


def _interval(code: str, ci95: list[float] | None, unit: str, times: float = 1.0) -> Resource:
    if ci95 is None:
        return {"code": _local(code), "dataAbsentReason": _concept(NOT_PERFORMED)}
    low, high = (_quantity(end, unit, times) for end in ci95)
    return {"code": _local(code), "valueRange": {"low": low, "high": high}}


def _observation(document: dict[str, Any], code: Resource, value: Resource, components: list[Resource] | None = None) -> Resource:
    seen = {
        "resourceType": "Observation",
        "status": "cancelled" if document["status"] == "refused" else "preliminary",
        "code": code,
        **value,
        "bodySite": _concept(SKELETAL_MUSCLE),
        "method": _concept(HE_METHOD),
        "note": [{"text": USE}],
    }
    return seen | ({"component": components} if components else {})


def _observations(document: dict[str, Any]) -> Iterator[Resource]:
    yield _usable(document)
    for measure in MEASURES:
        value = None if document["status"] == "refused" else at(document, measure.path)
        yield _observation(document, _code(measure), _measured(value, measure.unit, measure.times))
    yield from (_axis(document, measure) for measure in AXES)
    balance = document["scores"]["balance"]
    yield _observation(document, _local("balance"), _measured(balance["value"], "1"), [_interval("interval-95", balance["ci95"], "1")])
    yield _pattern(document)
    yield from (_evidence(document, item) for item in document["evidence"] or [])


def _code(measure: Measure) -> Resource:
    own = (LOCAL, measure.code, measure.name)
    return _concept(own, *([measure.also] if measure.also else []))


def _usable(document: dict[str, Any]) -> Resource:
    """Status and quality flags: what a reader must heed before any number."""
    flags = [{"code": _local("quality-flag", flag["code"]), "valueString": flag["message"]} for flag in document["quality"]["flags"]]
    return _observation(document, _local("report-status"), {"valueCodeableConcept": _local(document["status"])}, flags)


def _axis(document: dict[str, Any], measure: Measure) -> Resource:
    axis = at(document, measure.path)
    components = [
        _interval("interval-95", axis["measured_ci95"], measure.unit, measure.times),
        {"code": _local("score")} | _measured(axis["value"], "1"),
        _interval("score-interval-95", axis["ci95"], "1"),
    ]
    if axis["grade"] is not None:
        components.append({"code": _local("grade"), "valueInteger": axis["grade"]})
    return _observation(document, _code(measure), _measured(axis["measured"], measure.unit, measure.times), components)


def _pattern(document: dict[str, Any]) -> Resource:
    pattern = document["pattern"]
    told = (
        {"dataAbsentReason": _concept(NOT_PERFORMED)}
        if document["status"] == "refused"
        else {"valueCodeableConcept": _local(pattern["label"])}
    )
    support = {"code": _local("pattern-support")} | _measured(pattern["support"], "%", 100)
    seen = _observation(document, _local("pattern"), told, [support])
    seen["note"] += [{"text": reason} for reason in pattern["reasons"]]
    return seen


def _evidence(document: dict[str, Any], item: dict[str, Any]) -> Resource:
    code = _concept((LOCAL, f"evidence-{item['code']}", item["name"]))
    assessed = item["state"] != "not_assessable"
    value = {"valueCodeableConcept": _local(item["state"])} if assessed else {"dataAbsentReason": _concept(NOT_PERFORMED)}
    components = [{"code": _local("evidence-value", item["unit"])} | _plain(item["value"])]
    if item["ci95"] is not None:
        low, high = ({"value": end, "unit": item["unit"]} for end in item["ci95"])
        components.append({"code": _local("interval-95"), "valueRange": {"low": low, "high": high}})
    if item["threshold"] is not None:
        components.append({"code": _local("threshold", item["unit"])} | _plain(item["threshold"]))
    seen = _observation(document, code, value, components)
    seen["note"] += [{"text": item["reason"]}, {"text": f"Named by: {item['criterion']}"}]
    return seen


def _plain(value: float | None) -> Resource:
    """A number whose unit stands in words in the code's text."""
    return {"dataAbsentReason": _concept(NOT_PERFORMED)} if value is None else {"valueQuantity": {"value": value}}


def _report(document: dict[str, Any], release: Release, name: _Names, results: list[Resource]) -> Resource:
    refused = document["status"] == "refused"
    said = [flag["message"] for flag in document["quality"]["flags"]] + list(document["warnings"])
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "status": "cancelled" if refused else "preliminary",
        "category": [_concept(PATHOLOGY)],
        "code": _concept(PATHOLOGY_STUDY, text="Pathology study: necrosis against inflammation in skeletal muscle, by a program"),
        "specimen": [name.reference("specimen")],
        "result": results,
        "conclusion": f"{USE} " + ("Refused: nothing was assessed." if refused else f"Pattern: {document['pattern']['label']}."),
    }
    if not refused:
        report["conclusionCode"] = [_local(document["pattern"]["label"])]
    if release == "R5":
        return report | {"note": [{"text": text} for text in (USE, *said)]}
    return report | {"conclusion": " ".join([report["conclusion"], *said])}


def _specimen(document: dict[str, Any]) -> Resource:
    slide = document["slide"]
    return {
        "resourceType": "Specimen",
        "identifier": [{"system": "urn:biopsy-analyzer:slide-sha256", "value": slide["sha256"]}],
        "type": _concept(MUSCLE_TISSUE, text="Section of skeletal muscle in haematoxylin and eosin"),
        "note": [{"text": f"{slide['width_px']} x {slide['height_px']} px at {slide['um_per_px']:g} um/px"}],
    }


def _device(document: dict[str, Any], release: Release) -> Resource:
    software = [{"type": {"text": package}, "value": version} for package, version in document["software"].items()]
    models = [
        {"type": {"text": f"model {model['name']}"}, "value": f"{model['version']} sha256:{model['sha256']}"}
        for model in document["models"]
    ]
    named = {"type": "model-name" if release == "R4B" else "user-friendly-name"}
    name = {"deviceName": [{"name": "biopsy-analyzer", **named}]} if release == "R4B" else {"name": [{"value": "biopsy-analyzer", **named}]}
    return {"resourceType": "Device", "version": software + models, **name, "note": [{"text": USE}]}


def _code_system(document: dict[str, Any]) -> Resource:
    """What the local codes mean."""
    meant = {measure.code: measure.name for measure in (*MEASURES, *AXES)} | OTHERS
    meant |= {f"evidence-{item['code']}": item["name"] for item in document["evidence"] or []}
    return {
        "resourceType": "CodeSystem",
        "url": LOCAL,
        "version": document["software"]["biopsy-analyzer"],
        "name": "BiopsyAnalyzerCodes",
        "status": "draft",
        "experimental": True,
        "caseSensitive": True,
        "content": "complete",
        "concept": [{"code": code, "display": display} for code, display in meant.items()],
    }

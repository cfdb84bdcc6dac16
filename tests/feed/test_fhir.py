"""Bundles are FHIR by a validator that is not ours, and say what scores.json says."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from biopsy_analyzer.errors import ResultError
from biopsy_analyzer.feed.codes import AXES, LOCAL, MEASURES, at
from biopsy_analyzer.feed.fhir import fhir_bundle, write_fhir

Resource = dict[str, Any]
RELEASES = {"R5": "fhir.resources", "R4B": "fhir.resources.R4B"}


def resources(bundle: Resource, kind: str) -> list[Resource]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def local_code(concept: Resource) -> str:
    (code,) = (coding["code"] for coding in concept["coding"] if coding["system"] == LOCAL)
    return code


def by_code(bundle: Resource) -> dict[str, Resource]:
    return {local_code(observation["code"]): observation for observation in resources(bundle, "Observation")}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("kind", ["document", "with_evidence", "scored", "refused"])
def test_a_validator_takes_it_and_drops_nothing(release: str, kind: str, request: pytest.FixtureRequest) -> None:
    bundle = fhir_bundle(request.getfixturevalue(kind), release)  # type: ignore[arg-type]
    model = import_module(RELEASES[release]).get_fhir_model_class("Bundle").model_validate(bundle)
    assert json.loads(model.model_dump_json()) == bundle


def test_values_and_intervals_are_those_of_the_document(document: Resource) -> None:
    found = by_code(fhir_bundle(document))
    # by hand: 3 of 64 fibres are necrotic or pale
    necrosis = found["necrosis"]
    assert necrosis["valueQuantity"] == {"value": 4.6875, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    components = {local_code(part["code"]): part for part in necrosis["component"]}
    low, high = (components["interval-95"]["valueRange"][end]["value"] / 100 for end in ("low", "high"))
    assert [low, high] == pytest.approx(document["scores"]["necrosis"]["measured_ci95"])
    assert components["score"]["valueQuantity"]["value"] == document["scores"]["necrosis"]["value"]
    assert found["fibres-necrotic"]["valueQuantity"]["value"] == 2
    assert found["macrophages-at-necrosis"]["valueQuantity"]["value"] == document["inflammation"]["macrophages_at_necrosis_per_mm2"]
    assert found["pattern"]["valueCodeableConcept"]["coding"][0]["code"] == document["pattern"]["label"]
    for measure in MEASURES:
        assert found[measure.code]["valueQuantity"]["value"] == pytest.approx(at(document, measure.path) * measure.times)


def test_public_codes_stand_beside_local_ones(document: Resource) -> None:
    bundle = fhir_bundle(document)
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["code"]["coding"][0]["code"] == "11526-1"
    necrosis = by_code(bundle)["necrosis"]
    assert [coding["code"] for coding in necrosis["code"]["coding"]] == ["necrosis", "6574001"]
    assert necrosis["bodySite"]["coding"][0]["code"] == "127954009"
    assert necrosis["method"]["coding"][0]["code"] == "104210008"


@pytest.mark.parametrize("kind", ["document", "with_evidence", "scored", "refused"])
def test_references_lead_somewhere_and_local_codes_are_explained(kind: str, request: pytest.FixtureRequest) -> None:
    bundle = fhir_bundle(request.getfixturevalue(kind))
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    text = json.dumps(bundle)
    named = {part.split('"')[0] for part in text.split('"reference": "')[1:]}
    assert named <= set(urls)
    (report,) = resources(bundle, "DiagnosticReport")
    assert len(report["result"]) == len(resources(bundle, "Observation"))
    (system,) = resources(bundle, "CodeSystem")
    explained = {concept["code"] for concept in system["concept"]}
    used = {part.split('"')[0] for part in text.split(f'"system": "{LOCAL}", "code": "')[1:]}
    assert used <= explained
    assert len(explained) == len(system["concept"])


def test_versions_and_hashes_stand_in_the_device(document: Resource) -> None:
    (device,) = resources(fhir_bundle(document), "Device")
    versions = {version["type"]["text"]: version["value"] for version in device["version"]}
    assert versions["numpy"] == document["software"]["numpy"]
    assert versions[f"model {document['models'][0]['name']}"].endswith(document["models"][0]["sha256"])


def test_a_refused_section_has_no_number(refused: Resource) -> None:
    bundle = fhir_bundle(refused)
    text = json.dumps(resources(bundle, "Observation"))
    assert "valueQuantity" not in text
    assert "valueRange" not in text
    assert "valueInteger" not in text
    observations = by_code(bundle)
    assert observations["report-status"]["valueCodeableConcept"]["coding"][0]["code"] == "refused"
    for code in ("necrosis", "pattern", "balance", *(measure.code for measure in MEASURES)):
        assert observations[code]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert {observation["status"] for observation in observations.values()} == {"cancelled"}


def test_what_could_not_be_assessed_is_absent_with_its_reason(document: Resource) -> None:
    """An image too coarse for nuclei: no inflammation, and the rest as it was."""
    unseen = {"value": None, "ci95": None, "measured": None, "measured_ci95": None}
    axes = {**document["scores"], "inflammation": {**document["scores"]["inflammation"], **unseen}}
    found = by_code(fhir_bundle({**document, "scores": axes}))
    assert "valueQuantity" not in found["inflammation"]
    assert found["inflammation"]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert all("dataAbsentReason" in part for part in found["inflammation"]["component"])
    assert "valueQuantity" in found["necrosis"]


def test_evidence_is_an_observation_each(with_evidence: Resource) -> None:
    found = by_code(fhir_bundle(with_evidence))
    present, silent = found["evidence-necrosis-predominant-feature"], found["evidence-sparse"]
    assert present["valueCodeableConcept"]["coding"][0]["code"] == "present"
    assert "dataAbsentReason" in silent
    assert {"text": "Named by: ENMC 2003"} in present["note"]


def test_todays_scores_are_all_there(scored: Resource) -> None:
    found = by_code(fhir_bundle(scored))
    assert {f"evidence-{item['code']}" for item in scored["evidence"]} <= found.keys()
    assert found["evidence-necrotic-fibres"]["valueCodeableConcept"]["coding"][0]["code"] == "present"
    assert found["evidence-antibodies"]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    components = {local_code(part["code"]): part for part in found["necrosis"]["component"]}
    assert components["grade"]["valueInteger"] == scored["scores"]["necrosis"]["grade"]


def test_it_is_for_research_only_and_preliminary(document: Resource) -> None:
    for release in ("R5", "R4B"):
        (report,) = resources(fhir_bundle(document, release), "DiagnosticReport")  # type: ignore[arg-type]
        assert report["status"] == "preliminary"
        assert report["conclusion"].startswith("Research use only, not for diagnosis.")
        assert document["quality"]["flags"][0]["message"] in json.dumps(report)


KEPT = Path(__file__).parents[1] / "report" / "scores_1.0.json"


def test_the_file_is_written_twice_the_same(document: Resource, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_bytes(KEPT.read_bytes())
    first = write_fhir(tmp_path).read_bytes()
    assert write_fhir(tmp_path).read_bytes() == first
    assert json.loads(first) == fhir_bundle(document)
    with pytest.raises(ResultError):
        write_fhir(tmp_path / "nowhere")


def test_axes_and_measures_have_codes_of_their_own() -> None:
    codes = [measure.code for measure in (*MEASURES, *AXES)]
    assert len(set(codes)) == len(codes)

"""What each number of scores.json is called elsewhere: public codes where one was found, a local code system for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
LOCAL = "urn:biopsy-analyzer:codes"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
SECTIONS = "http://terminology.hl7.org/CodeSystem/v2-0074"

PATHOLOGY_STUDY = (LOINC, "11526-1", "Pathology study")
PATHOLOGY = (SECTIONS, "PAT", "Pathology (gross & histopath, not surgical)")
SKELETAL_MUSCLE = (SNOMED, "127954009", "Skeletal muscle structure")
MUSCLE_TISSUE = (SNOMED, "91727004", "Muscle tissue")
HE_METHOD = (SNOMED, "104210008", "Hematoxylin and eosin stain method")
NECROSIS, INFLAMMATION = (SNOMED, "6574001", "Necrosis"), (SNOMED, "23583003", "Inflammation")
NOT_PERFORMED = (ABSENT, "not-performed", "Not Performed")

Coding = tuple[str, str, str]
"""System, code, display."""


@dataclass(frozen=True)
class Measure:
    """A number of scores.json: its local code and name, where it stands, its UCUM unit and what it is multiplied with to have that unit."""

    code: str
    name: str
    path: str
    unit: str
    times: float = 1.0
    also: Coding | None = None


_FIBRES, _CELLS, _CLUSTERS = "{fibres}", "{cells}", "{clusters}"
MEASURES = (
    Measure("tissue-area", "Area of tissue examined", "quality.tissue_area_mm2", "mm2"),
    Measure("fibres-assessable", "Fibres whose state could be told", "fibres.assessable", _FIBRES),
    Measure("fibres-normal", "Normal fibres", "fibres.normal", _FIBRES),
    Measure("fibres-necrotic", "Necrotic fibres", "fibres.necrotic", _FIBRES),
    Measure("fibres-pale-fragmented", "Pale or fragmented fibres", "fibres.pale_fragmented", _FIBRES),
    Measure("fibres-regenerating", "Regenerating fibres", "fibres.regenerating", _FIBRES),
    Measure("fibres-internal-nuclei", "Living fibres with internal nuclei", "fibres.with_internal_nuclei", _FIBRES),
    Measure("fibre-area-median", "Median cross-sectional area of fibres", "fibres.area_um2.median", "um2"),
    Measure("fibre-diameter-median", "Median least diameter of fibres", "fibres.min_feret_um.median", "um"),
    Measure("necrotic-area-share", "Share of necrotic fibres in the area of fibres", "area_fractions.necrotic", "%", 100),
    Measure(
        "pale-fragmented-area-share", "Share of pale or fragmented fibres in the area of fibres", "area_fractions.pale_fragmented", "%", 100
    ),
    Measure("macrophages-interstitial", "Macrophages outside dead fibres per mm2", "inflammation.macrophages_per_mm2", "/mm2"),
    Measure("macrophages-at-necrosis", "Of these, macrophages at dead fibres", "inflammation.macrophages_at_necrosis_per_mm2", "/mm2"),
    Measure("lymphocytes-interstitial", "Lymphocytes outside dead fibres per mm2", "inflammation.lymphocytes_per_mm2", "/mm2"),
    Measure("macrophages-in-necrosis", "Macrophages inside dead fibres", "inflammation.macrophages_in_necrotic_fibres", _CELLS),
    Measure("clusters-macrophage", "Clusters of macrophages", "clusters.macrophage.count", _CLUSTERS),
    Measure("clusters-lymphocytic", "Clusters of lymphocytes", "clusters.lymphocytic.count", _CLUSTERS),
    Measure("clusters-mixed", "Mixed clusters", "clusters.mixed.count", _CLUSTERS),
)
AXES = (
    Measure("necrosis", "Necrotic, pale or fragmented fibres, share of assessable fibres", "scores.necrosis", "%", 100, NECROSIS),
    Measure("regeneration", "Regenerating fibres, share of assessable fibres", "scores.regeneration", "%", 100),
    Measure("inflammation", "Interstitial inflammatory cells per mm2 of tissue", "scores.inflammation", "/mm2", 1, INFLAMMATION),
)
OTHERS = {
    "report-status": "Whether the result may be used: ok, review or refused",
    "ok": "Nothing speaks against the section",
    "review": "To be read with what was found wanting in mind",
    "refused": "Nothing that could be scored",
    "quality-flag": "A fault of the section, and what was measured",
    "interval-95": "95 % interval: chance within the section and, for scores, the errors that the reader is known to make",
    "score": "Score from 0 to 1, a mapping of the measured quantity that is an assumption",
    "score-interval-95": "95 % interval of the score",
    "grade": "Grade from 0 to 3",
    "balance": "Balance of necrosis against inflammation, from -1 (inflammation only) to 1 (necrosis only)",
    "pattern": "Pattern of damage; no diagnosis",
    "pattern-support": "Share of bootstrap rounds that agree with the pattern",
    "necrosis-predominant": "Necrosis predominant",
    "inflammation-predominant": "Inflammation predominant",
    "mixed": "Mixed",
    "inactive": "Inactive",
    "indeterminate": "Indeterminate",
    "evidence": "A finding that published criteria name",
    "evidence-value": "The quantity behind the finding",
    "threshold": "Value from which the finding counts as present",
    "present": "Present",
    "absent": "Absent",
    "not_assessable": "Not assessable",
}


def at(document: dict[str, Any], path: str) -> Any:
    """What stands in the document at a dotted path; None where the way there ends in null."""
    found: Any = document
    for name in path.split("."):
        found = None if found is None else found[name]
    return found

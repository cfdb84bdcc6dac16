"""Documents of three sections: one of 64 fibres, the same with evidence, and one that was refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from biopsy_analyzer.report.schema import present_document
from biopsy_analyzer.score import score, unassessed
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import CLUSTERS, empty
from made_tables import make_fibres, make_nuclei

KEPT = Path(__file__).parents[1] / "report" / "scores_1.0.json"
EVIDENCE = {
    "code": "necrosis-predominant-feature",
    "name": "Necrotic fibres are the predominant feature",
    "criterion": "ENMC 2003",
    "value": 0.12,
    "unit": "share of assessable fibres",
    "ci95": [0.08, 0.17],
    "threshold": 0.03,
    "state": "present",
    "reason": "12 % of 64 fibres are necrotic",
    "objects": None,
}


@pytest.fixture
def document() -> dict[str, Any]:
    return present_document(json.loads(KEPT.read_text(encoding="utf-8")))


@pytest.fixture
def with_evidence(document: dict[str, Any]) -> dict[str, Any]:
    silent = {**EVIDENCE, "code": "sparse", "state": "not_assessable", "value": None, "ci95": None, "threshold": None}
    return {**document, "evidence": [EVIDENCE, silent]}


@pytest.fixture
def scored(document: dict[str, Any]) -> dict[str, Any]:
    """With all that a score of today holds: 300 fibres, a third of them necrotic."""
    fibres, nothing = make_fibres(["necrotic", "normal", "normal"] * 100), make_nuclei([])
    scores = score(fibres, nothing, empty(CLUSTERS), 1.5, Settings(), nuclei_assessed=True)
    return {**document, **scores.model_dump(mode="json")}


@pytest.fixture
def refused(document: dict[str, Any]) -> dict[str, Any]:
    nothing = unassessed("nothing is assessed: no tissue was found").model_dump(mode="json")
    return {**document, **nothing, "status": "refused", "quality": {"tissue_area_mm2": 0.0, "flags": []}}

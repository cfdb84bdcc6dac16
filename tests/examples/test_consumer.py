"""The example of a consumer: what it refuses, and what it makes of known sections and cases."""

from __future__ import annotations

import csv
import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from biopsy_analyzer.score import score
from biopsy_analyzer.score.findings import FINDINGS, NOT_ON_HE
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import CLUSTERS, empty

EXAMPLE = Path(__file__).parents[2] / "examples" / "consumer"
CONSUMER = runpy.run_path(str(EXAMPLE / "combine.py"), run_name="consumer")
combine = CONSUMER["combine"]
CASE = {"ck_times_upper_limit": "20", "antibody": "negative", "proximal_weakness": "yes"}
NECROTIZING = {
    **dict.fromkeys((*CONSUMER["NECROTIZING"]["wanted"], *CONSUMER["NECROTIZING"]["supporting"]), "present"),
    **dict.fromkeys((*CONSUMER["NECROTIZING"]["against"], "rimmed-vacuoles"), "absent"),
}


def section(states: dict[str, str], status: str = "ok", flags: tuple[str, ...] = (), version: str = "1.1") -> dict[str, Any]:
    evidence = [{"code": code, "state": state} for code, state in states.items()]
    told = [{"code": code, "message": f"{code} was found"} for code in flags]
    return {"schema_version": version, "status": status, "slide": {"id": "a"}, "quality": {"flags": told}, "evidence": evidence}


def test_a_necrotizing_section_without_antibody_fits() -> None:
    found = combine(section(NECROTIZING), CASE)
    assert (found["section_reads_necrotizing"], found["fits_enmc_2016"]) == ("yes", "yes")
    assert found["eular_acr_biopsy_points"] == (0, 0)  # a necrotizing biopsy scores nothing there
    assert found["intended_use"] == "research_use_only"


@pytest.mark.parametrize(
    ("changed", "reads"),
    [
        ({"necrotic-fibres": "absent"}, "no"),
        ({"necrotic-fibres": "not_assessable"}, "can't be said"),
        ({"perimysial-infiltrate": "present"}, "no"),
        ({"perimysial-infiltrate": "not_assessable"}, "can't be said"),
        ({"perimysial-infiltrate": "not_assessable", "necrotic-fibres": "absent"}, "no"),
        (dict.fromkeys(CONSUMER["NECROTIZING"]["supporting"], "absent"), "can't be said"),
        ({"stages-mixed": "not_assessable"}, "yes"),
    ],
)
def test_one_finding_changes_the_reading(changed: dict[str, str], reads: str) -> None:
    assert combine(section(NECROTIZING | changed), CASE)["section_reads_necrotizing"] == reads


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({}, []),
        ({"necrotic-fibres": "absent", "perimysial-infiltrate": "not_assessable"}, ["necrotic-fibres"]),
        ({"fibre-invasion": "present"}, ["fibre-invasion"]),
        ({"perimysial-infiltrate": "not_assessable"}, ["perimysial-infiltrate"]),
        ({"stages-mixed": "absent", "regeneration": "absent"}, ["stages-mixed", "regeneration"]),
        ({"stages-mixed": "not_assessable"}, []),
    ],
)
def test_what_is_in_the_way_of_a_yes_is_named(changed: dict[str, str], codes: list[str]) -> None:
    found = combine(section(NECROTIZING | changed), CASE)
    assert (found["in_the_way"], found["section_reads_necrotizing"] == "yes") == (codes, not codes)


@pytest.mark.parametrize(
    ("case", "fits"),
    [
        ({}, "can't be said"),
        ({**CASE, "proximal_weakness": ""}, "can't be said"),
        ({**CASE, "proximal_weakness": "no"}, "no"),
        ({**CASE, "ck_times_upper_limit": "0.9"}, "no"),
        ({**CASE, "antibody": ""}, "can't be said"),
        ({**CASE, "antibody": "anti-SRP"}, "yes"),
    ],
)
def test_the_case_counts_too(case: dict[str, str], fits: str) -> None:
    assert combine(section(NECROTIZING), case)["fits_enmc_2016"] == fits


def test_an_antibody_without_necrosis_is_said_to_differ() -> None:
    found = combine(section(NECROTIZING | {"necrotic-fibres": "absent"}), {**CASE, "antibody": "anti-HMGCR"})
    assert found["fits_enmc_2016"] == "yes"
    assert "the section does not show it" in found["rests_on"]


def test_points_are_a_range_where_an_item_is_open() -> None:
    states = {"endomysial-infiltrate": "present", "perimysial-infiltrate": "not_assessable", "perifascicular-atrophy": "absent"}
    assert combine(section(states), CASE)["eular_acr_biopsy_points"] == (1.7, 6.0)  # 1.2 perimysial and 3.1 rimmed vacuoles are open


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (section(NECROTIZING, version="2.0"), "format 2.0, this program reads 1.x"),
        (section(NECROTIZING, version="1.0") | {"evidence": None}, "has no evidence items"),
        (section(NECROTIZING, "refused", ("no-tissue",)), "refused: no-tissue was found"),
        (section(NECROTIZING, "review", ("small-tissue", "blur")), "to be looked at first: blur was found"),
        ({}, "format none"),
    ],
)
def test_what_must_not_be_used_is_not(document: dict[str, Any], why: str) -> None:
    found = combine(document, CASE)
    assert found["used"] is False
    assert why in found["why"]
    assert "fits_enmc_2016" not in found


def test_other_flags_are_passed_on() -> None:
    assert combine(section(NECROTIZING, "review", ("small-tissue",)), CASE)["flags"] == ["small-tissue was found"]


def test_its_findings_are_those_that_are_written() -> None:
    codes = {*FINDINGS, *(item[0] for item in NOT_ON_HE)}
    named = {code for group in CONSUMER["NECROTIZING"].values() for code in group} | set(CONSUMER["EULAR_ACR"])
    assert named <= codes


def test_it_runs_on_a_feed(fibres_of: Callable[..., pd.DataFrame], nuclei_of: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """Real scores of 300 fibres, a third of them necrotic, as a process reads them."""
    scores = score(fibres_of(["necrotic", "normal", "normal"] * 100), nuclei_of([]), empty(CLUSTERS), 1.5, Settings(), True)
    document = section({}) | scores.model_dump(mode="json") | {"slide": {"id": "necrotizing"}}
    (tmp_path / "feed.jsonl").write_text(json.dumps(document) + "\n")
    command = [sys.executable, str(EXAMPLE / "combine.py"), "feed.jsonl", str(EXAMPLE / "cases.csv")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = map(json.loads, done.stdout.splitlines())
    assert "necrotic-fibres" in record["present"]
    with open(EXAMPLE / "cases.csv", newline="") as file:
        assert {row["slide_id"] for row in csv.DictReader(file)} == {"necrotizing", "inflammatory"}

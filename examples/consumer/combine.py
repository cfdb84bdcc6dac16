"""A consumer of the feed: takes what may be taken, and weighs it with what is known of the case. Standard library alone. Research use only.

    biopsy-analyzer batch SLIDES -o OUT
    python examples/consumer/combine.py OUT/feed.jsonl cases.csv

prints a JSON line for each section: whether it may be used and why not, which findings of published criteria are present, absent or can't
be told, and what they amount to together with creatine kinase, antibodies and weakness. "Can't be said" is an answer of its own, not "no".
It is an example of how to read the feed with care. It is no classifier, was validated on nothing, and must not be used on patients.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAJOR = 1  # of the format; minor versions only add fields
STOPPERS = {"fibre-size", "blur", "unusual-stain", "damaged-tiles", "thin-cover"}
"""Flags after which a person looks first: sizes, calls or counts may be wrong as a whole. Others are passed on beside the findings."""

NECROTIZING = {  # ENMC 119th (2003) and 224th workshop (2016)
    "wanted": ("necrotic-fibres", "sparse-inflammation", "macrophage-predominant"),
    "supporting": ("necrosis-scattered", "stages-mixed", "myophagocytosis", "regeneration", "clusters-at-necrosis"),
    "against": ("perimysial-infiltrate", "endomysial-infiltrate", "perifascicular-atrophy", "fibre-invasion"),
}
EULAR_ACR = {"endomysial-infiltrate": 1.7, "perimysial-infiltrate": 1.2, "perifascicular-atrophy": 1.9, "rimmed-vacuoles": 3.1}
"""Points of the muscle biopsy items in the EULAR/ACR classification criteria of 2017, with biopsy. None of them is for necrosis."""

IMNM_ANTIBODIES = {"anti-SRP", "anti-HMGCR"}
SEVERAL = 0.8  # of the supporting findings that can be told: an assumption of this example


def why_not(document: dict[str, Any]) -> str:
    """Why this result may not be used; empty where it may."""
    version = str(document.get("schema_version", "none"))
    if version.split(".")[0] != str(MAJOR):
        return f"format {version}, this program reads {MAJOR}.x"
    if document.get("evidence") is None:
        return f"format {version} has no evidence items; score the section again"
    if document["status"] == "refused":
        return "refused: " + "; ".join(flag["message"] for flag in document["quality"]["flags"])
    stopping = [flag["message"] for flag in document["quality"]["flags"] if flag["code"] in STOPPERS]
    return f"to be looked at first: {'; '.join(stopping)}" if stopping else ""


def together(answers: list[bool | None]) -> bool | None:
    """All of them; one "no" decides, else one that can't be said leaves it open."""
    return False if False in answers else None if None in answers else True


def answer(states: dict[str, str], code: str) -> bool | None:
    """A finding as yes, no, or None: not assessable is not absent."""
    return {"present": True, "absent": False}.get(states.get(code, "not_assessable"))


def reads_necrotizing(states: dict[str, str]) -> bool | None:
    """Whether the section reads as necrotizing by ENMC: what is wanted is there, what speaks against it is not, and it has company."""
    wanted = [answer(states, code) for code in NECROTIZING["wanted"]]
    against = [None if (found := answer(states, code)) is None else not found for code in NECROTIZING["against"]]
    told = [found for code in NECROTIZING["supporting"] if (found := answer(states, code)) is not None]
    company = None if not told else True if sum(told) >= SEVERAL * len(told) else None
    return together([*wanted, *against, company])


def in_the_way(states: dict[str, str]) -> list[str]:
    """The findings that keep the answer from being yes: those that speak against it, else those that can't be told, else company missed."""
    stands = {code: answer(states, code) for code in NECROTIZING["wanted"]}
    stands |= {code: None if (found := answer(states, code)) is None else not found for code in NECROTIZING["against"]}
    for kept in (False, None):
        if codes := [code for code, found in stands.items() if found is kept]:
            return codes
    return [] if reads_necrotizing(states) else [code for code in NECROTIZING["supporting"] if answer(states, code) is not True]


def eular_acr_points(states: dict[str, str]) -> tuple[float, float]:
    """The least and the most points of the biopsy items; what can't be told lies between."""
    answers = {code: answer(states, code) for code in EULAR_ACR}
    least = sum(points for code, points in EULAR_ACR.items() if answers[code] is True)
    return round(least, 1), round(sum(points for code, points in EULAR_ACR.items() if answers[code] is not False), 1)


def fits_enmc_2016(biopsy: bool | None, case: dict[str, str]) -> tuple[bool | None, str]:
    """By ENMC 2016: raised CK and weakness, with an IMNM antibody or, without one, a necrotizing biopsy; and what that rests on."""
    ck, weak = case.get("ck_times_upper_limit", ""), case.get("proximal_weakness", "")
    clinic = together([float(ck) > 1 if ck else None, weak == "yes" if weak else None])
    antibody = case.get("antibody", "")
    if antibody in IMNM_ANTIBODIES:
        section = {True: "agrees", None: "is open", False: "does not show it"}[biopsy]
        return clinic, f"{antibody}: criteria ask for no biopsy; the section {section}"
    if antibody == "negative":
        return together([clinic, biopsy]), "without an antibody the biopsy decides"
    return (False if clinic is False else None), "antibodies not known"


def combine(document: dict[str, Any], case: dict[str, str]) -> dict[str, Any]:
    """One section and its case as one record."""
    record = {"slide_id": document.get("slide", {}).get("id"), "intended_use": "research_use_only"}
    refused = why_not(document)
    if refused:
        return record | {"used": False, "why": refused}
    states = {item["code"]: item["state"] for item in document["evidence"]}
    biopsy = reads_necrotizing(states)
    fits, rests_on = fits_enmc_2016(biopsy, case)
    return record | {
        "used": True,
        "flags": [flag["message"] for flag in document["quality"]["flags"]],
        "present": sorted(code for code, state in states.items() if state == "present"),
        "absent": sorted(code for code, state in states.items() if state == "absent"),
        "cant_be_said": sorted(code for code, state in states.items() if state == "not_assessable"),
        "section_reads_necrotizing": in_words(biopsy),
        "in_the_way": in_the_way(states),
        "fits_enmc_2016": in_words(fits),
        "rests_on": rests_on,
        "eular_acr_biopsy_points": eular_acr_points(states),
    }


def in_words(found: bool | None) -> str:
    """Yes, no, or that it can't be said."""
    return "can't be said" if found is None else "yes" if found else "no"


def read_feed(path: Path) -> Iterator[dict[str, Any]]:
    """The documents of a feed.jsonl, one after the other; a line that is no JSON ends the program with its number."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            sys.exit(f"{path}, line {number}: {error}")


def main(feed: str, cases: str) -> None:
    """Print a record for each section of `feed`; `cases` has a row with its slide_id, or nothing is known of its case."""
    with open(cases, newline="", encoding="utf-8") as file:
        known = {row["slide_id"]: row for row in csv.DictReader(file)}
    for document in read_feed(Path(feed)):
        print(json.dumps(combine(document, known.get(document.get("slide", {}).get("id"), {})), ensure_ascii=False))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: combine.py FEED.jsonl CASES.csv")
    main(*sys.argv[1:])

"""What stands on the index of a folder of results."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from biopsy_analyzer.errors import BiopsyAnalyzerError
from biopsy_analyzer.report.html.render import render
from biopsy_analyzer.report.html.words import PATTERNS, STATUS
from biopsy_analyzer.report.saved import read_document

ORDER = ("review", "ok", "refused", "failed", "earlier")
_EARLIER = "What an earlier call wrote; in the last batch this slide failed."


def index_page(out: Path) -> bytes:
    """index.html over `out`/*/scores.json and what `out`/failures.json names besides; links lead to each slide's report.

    A result that can't be read stands there as failed, with the reason. A slide that failed in the last batch and whose folder holds
    what an earlier call wrote has two lines: as failed, and that result as "earlier". No results: a page that says so.
    """
    cases = _cases(out)
    found = {path.parent.name: _row(path.parent, cases.get(path.parent.name, "")) for path in sorted(out.glob("*/scores.json"))}
    failures = [failure for failure in _failures(out) if _is_last(failure, out, found)]
    for failure in failures:
        if failure["slide_id"] in found:
            found[failure["slide_id"]] |= {"status": "earlier", "note": _EARLIER}
    rows = [*found.values(), *map(_failed, failures)]
    times = Counter(row["name"] for row in rows)
    for row in rows:
        if times[row["name"]] > 1:  # slides of one name in several folders
            row["name"] += f" ({row['id']})"
    rows.sort(key=lambda row: (ORDER.index(row["status"]), row["id"]))
    counts = {status: sum(row["status"] == status for row in rows) for status in ("ok", "review", "refused", "failed", "earlier")}
    if not counts["earlier"]:
        del counts["earlier"]
    points = [row for row in rows if row["status"] in ("ok", "review") and None not in (row["necrosis"], row["inflammation"])]
    with_cases = any(row["case"] for row in rows)
    slides = len(rows) - counts.get("earlier", 0)
    return render("index.html.j2", rows=rows, slides=slides, counts=counts, points=points, with_cases=with_cases, words=STATUS)


def _is_last(failure: dict[str, Any], out: Path, found: dict[str, Any]) -> bool:
    """Whether no result was written for the slide since it failed; one that was refused has its line by its result."""
    if failure["slide_id"] not in found:
        return True
    earlier, path = failure.get("earlier_scores_sha256"), out / failure["slide_id"] / "scores.json"
    return bool(earlier) and path.is_file() and earlier == hashlib.sha256(path.read_bytes()).hexdigest()


def _row(folder: Path, case: str) -> dict[str, Any]:
    try:
        document = read_document(folder)
        scores = document["scores"]
        return {
            "id": folder.name,
            "name": document["slide"]["file_name"],
            "case": case,
            "status": document["status"],
            "link": _link(folder, "report.html"),
            "corrected": _link(folder / "corrected", "report.html", folder.name),
            "pattern": PATTERNS[document["pattern"]["label"]][0] if document["status"] != "refused" else "",
            "note": " ".join(flag["message"] for flag in document["quality"]["flags"]),
            "fibres": document["fibres"]["assessable"],
            **{name: scores[name]["value"] for name in ("necrosis", "regeneration", "inflammation", "balance")},
            "ci95": {name: scores[name]["ci95"] for name in ("necrosis", "regeneration", "inflammation", "balance")},
        }
    except (BiopsyAnalyzerError, KeyError, TypeError) as error:
        return _failed({"slide_id": folder.name, "file": folder.name, "case_id": case, "error": str(error)})


def _failed(failure: dict[str, Any]) -> dict[str, Any]:
    empty = dict.fromkeys(("necrosis", "regeneration", "inflammation", "balance", "fibres"))
    told = {
        "id": str(failure["slide_id"]),
        "name": str(failure["file"]),
        "case": failure.get("case_id") or "",
        "note": str(failure["error"]),
    }
    return {**told, **empty, "status": "failed", "link": "", "corrected": "", "pattern": "", "ci95": {}}


def _link(folder: Path, name: str, *parents: str) -> str:
    """Where the page lies as seen from the index; empty where there is none."""
    return "/".join(quote(part) for part in (*parents, folder.name, name)) if (folder / name).is_file() else ""


def _failures(out: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((out / "failures.json").read_bytes())["failures"]
        return [failure for failure in found if {"slide_id", "file", "error"} <= set(failure) and isinstance(failure["slide_id"], str)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _cases(out: Path) -> dict[str, str]:
    """Slide id -> case, from summary.csv; empty without one."""
    try:
        with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
            return {row["slide_id"]: row["case_id"] or "" for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error):
        return {}

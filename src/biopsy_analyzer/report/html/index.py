"""What stands on the index of a folder of results."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from biopsy_analyzer.errors import BiopsyAnalyzerError
from biopsy_analyzer.report.html.render import render
from biopsy_analyzer.report.html.words import PATTERNS, STATUS
from biopsy_analyzer.report.saved import read_document

ORDER = ("review", "ok", "refused", "failed")


def index_page(out: Path) -> bytes:
    """index.html over `out`/*/scores.json and what `out`/failures.json names besides; links lead to each slide's report.

    A result that can't be read stands there as failed, with the reason. No results: a page that says so.
    """
    cases = _cases(out)
    folders = sorted(path.parent for path in out.glob("*/scores.json"))
    rows = [_row(folder, cases.get(folder.name, "")) for folder in folders]
    seen = {row["id"] for row in rows}
    rows += [_failed(failure) for failure in _failures(out) if failure.get("slide_id") not in seen]
    times = Counter(row["name"] for row in rows)
    for row in rows:
        if times[row["name"]] > 1:  # slides of one name in several folders
            row["name"] += f" ({row['id']})"
    rows.sort(key=lambda row: (ORDER.index(row["status"]), row["id"]))
    counts = {status: sum(row["status"] == status for row in rows) for status in ("ok", "review", "refused", "failed")}
    points = [row for row in rows if row["necrosis"] is not None and row["inflammation"] is not None]
    return render("index.html.j2", rows=rows, counts=counts, points=points, with_cases=any(row["case"] for row in rows), words=STATUS)


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
        return [failure for failure in found if {"slide_id", "file", "error"} <= set(failure)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _cases(out: Path) -> dict[str, str]:
    """Slide id -> case, from summary.csv; empty without one."""
    try:
        with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
            return {row["slide_id"]: row["case_id"] or "" for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error):
        return {}

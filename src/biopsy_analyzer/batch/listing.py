"""Tables over all slides of a batch: summary.csv for people, failures.json for operators, feed.jsonl for the diagnostic engine."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from biopsy_analyzer.batch.job import Job, Outcome
from biopsy_analyzer.escaping import for_cell
from biopsy_analyzer.report.atomic import write_bytes, write_chunks

FEED, SUMMARY, FAILURES = "feed.jsonl", "summary.csv", "failures.json"

_FIELDS: dict[str, tuple[str, ...]] = {
    "sha256": ("slide", "sha256"),
    "um_per_px": ("slide", "um_per_px"),
    "tissue_area_mm2": ("quality", "tissue_area_mm2"),
    "fibres_segmented": ("fibres", "segmented"),
    "fibres_assessable": ("fibres", "assessable"),
    "fibres_normal": ("fibres", "normal"),
    "fibres_necrotic": ("fibres", "necrotic"),
    "fibres_pale_fragmented": ("fibres", "pale_fragmented"),
    "fibres_regenerating": ("fibres", "regenerating"),
    "fibres_with_internal_nuclei": ("fibres", "with_internal_nuclei"),
    "median_min_feret_um": ("fibres", "min_feret_um", "median"),
    "macrophages_per_mm2": ("inflammation", "macrophages_per_mm2"),
    "lymphocytes_per_mm2": ("inflammation", "lymphocytes_per_mm2"),
    "macrophage_clusters": ("clusters", "macrophage", "count"),
    "lymphocytic_clusters": ("clusters", "lymphocytic", "count"),
    "mixed_clusters": ("clusters", "mixed", "count"),
    "necrosis": ("scores", "necrosis", "value"),
    "regeneration": ("scores", "regeneration", "value"),
    "inflammation": ("scores", "inflammation", "value"),
    "balance": ("scores", "balance", "value"),
    "pattern": ("pattern", "label"),
}
"""Column -> where scores.json holds it."""

_COLUMNS = ("slide_id", "file", "case_id", "status", "flags", *_FIELDS, "error", "intended_use")


def row_of(document: dict[str, Any]) -> dict[str, Any]:
    """What summary.csv tells of a result, from the content of its scores.json."""
    row: dict[str, Any] = {"flags": " ".join(flag["code"] for flag in document["quality"]["flags"])}
    for column, path in _FIELDS.items():
        value: Any = document
        for key in path:
            value = value[key]
        row[column] = value
    return row


def write_summary(out: Path, jobs: Sequence[Job], outcomes: dict[str, Outcome], rows: dict[str, dict[str, Any]]) -> None:
    """summary.csv: a line for each slide that has ended, in the order of the jobs; six digits, and no cell can act as a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for job in jobs:
        if outcome := outcomes.get(job.id):
            told = {"slide_id": job.id, "file": str(job.path), "case_id": job.case_id, "status": outcome.ending, "error": outcome.error}
            row = {**told, **rows.get(job.id, {}), "intended_use": "research_use_only"}
            writer.writerow({name: _cell(value) for name, value in row.items()})
    write_bytes(out / SUMMARY, text.getvalue().encode("utf-8"))


def _cell(value: Any) -> Any:
    """For people; the journal and the feed keep every digit."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return for_cell(value) if isinstance(value, str) else value


def write_failures(out: Path, jobs: Sequence[Job], outcomes: dict[str, Outcome]) -> None:
    """failures.json: slides that failed or were refused, in the order of the jobs, each with its reason.

    Where the folder of one that failed holds the result of an earlier call, its line tells which, by the SHA-256 of that scores.json.
    """
    failures = [_failure(out, job, outcome) for job in jobs if (outcome := outcomes.get(job.id)) and outcome.exit_code]
    document = {"schema_version": "1.0", "intended_use": "research_use_only", "failures": failures}
    write_bytes(out / FAILURES, (json.dumps(document, ensure_ascii=True, allow_nan=False, indent=2) + "\n").encode("ascii"))


def _failure(out: Path, job: Job, outcome: Outcome) -> dict[str, Any]:
    told = {"slide_id": job.id, "file": _name(job.path), "case_id": job.case_id, "error": outcome.error, "exit_code": outcome.exit_code}
    if outcome.ending == "failed" and (out / job.id / "scores.json").is_file():
        with suppress(OSError, ValueError):  # damaged: no result
            told["earlier_scores_sha256"] = read_scores(out / job.id)[1]
    return told


def _name(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")  # bytes that are no UTF-8 can't stand in JSON


def read_scores(folder: Path) -> tuple[dict[str, Any], str]:
    """The content of `folder`/scores.json and its SHA-256; OSError or ValueError where it can't be read."""
    content = (folder / "scores.json").read_bytes()
    try:
        return json.loads(content), hashlib.sha256(content).hexdigest()
    except RecursionError as error:
        raise ValueError("nested deeper than any result") from error


def slide_of(folder: Path) -> dict[str, Any]:
    """What `folder`/scores.json says of its slide; empty where no such file can be read. A pipe of that name is not waited on."""
    try:
        slide = read_scores(folder)[0]["slide"] if (folder / "scores.json").is_file() else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return slide if isinstance(slide, dict) else {}


def feed_line(document: dict[str, Any]) -> bytes:
    """A result as one line of feed.jsonl."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8") + b"\n"


def write_feed(out: Path, ids: Iterable[str]) -> None:
    """feed.jsonl: the scores.json of each of `ids`, in that order, never more than one of them in memory."""
    write_chunks(out / FEED, _lines(out, ids))


def _lines(out: Path, ids: Iterable[str]) -> Iterator[bytes]:
    for name in ids:
        yield feed_line(read_scores(out / name)[0])

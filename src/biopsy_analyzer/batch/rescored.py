"""Many results scored again from their tables, into an output folder of their own, with the tables and pages that a batch writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biopsy_analyzer.batch.job import Job, Outcome
from biopsy_analyzer.batch.listing import row_of, slide_of, write_failures, write_feed, write_summary
from biopsy_analyzer.batch.lock import PLACE, lock
from biopsy_analyzer.errors import BiopsyAnalyzerError, OutputError, ResultError, UsageError
from biopsy_analyzer.escaping import for_cell
from biopsy_analyzer.interrupts import held
from biopsy_analyzer.report.atomic import check_writable
from biopsy_analyzer.report.saved import Saved, read_document, read_saved
from biopsy_analyzer.rescore import Rescored, check_target, score_again, settings_for, take_away, write_rescored
from biopsy_analyzer.settings import Settings

_KEPT = ("file", "case_id", "status", "error")  # of summary.csv; the rest is told of the new scores


@dataclass(frozen=True)
class Listed:
    """A slide of a batch: the folder of its result, None where it has none (or an older one, and failed since), and how it was listed."""

    folder: Path | None
    job: Job
    error: str = ""
    exit_code: int = 0


def find_listed(given: Sequence[Path]) -> list[Listed]:
    """The results among `given`, and those that lie directly in one of them, in the order of its summary.csv, failed slides with them.

    UsageError: a folder without any, or two results of one name, which can't lie in one output folder.
    """
    found: dict[str, Listed] = {}
    for folder in given:
        own = list(_in(folder))
        if not own:
            raise UsageError(f"{folder}: no result in it; wanted a result folder, which holds scores.json, or a folder of results")
        for listed in own:
            if listed.job.id in found:
                raise UsageError(f"{folder}: a second result named {listed.job.id}. Score them with a command each")
            found[listed.job.id] = listed
    return list(found.values())


def read_corrected(folder: Path) -> tuple[Saved, dict[str, Any]]:
    """A result with its corrections, and its document as the analysis left it; errors as `read_saved`."""
    saved = read_saved(folder)
    if not (folder / "corrections.jsonl").is_file():
        return saved, saved.document
    from biopsy_analyzer.corrections import Corrections
    from biopsy_analyzer.corrections.export import corrected_document

    corrected = Corrections.open(folder)
    return Saved(folder, corrected_document(corrected), corrected.fibres, corrected.nuclei, corrected.clusters), saved.document


def rescore_all(
    slides: Sequence[Listed], settings: Settings | None, out: Path | None, tell: Callable[[Listed, Rescored | BiopsyAnalyzerError], None]
) -> None:
    """Score every result of `slides` again; `tell` hears of each once, but of none that the batch itself names as failed. Results stay.

    out  None, or a folder that gets <slide id>/ as `write_rescored` writes it, and summary.csv, failures.json, feed.jsonl and index.html
    UsageError, before anything is written: settings that need the slides, `out` holds one of the results, or a batch, or lies in one, or
    is in use. OutputError where `out` can't be written. Interrupted, the tables hold what was scored until then.
    """
    _check(slides, settings, out)
    if out is None:
        for _ in _scored(slides, settings, None, tell):
            pass
        return
    check_writable(out)
    with lock(out, "batch", f"the output folder {out}"):
        outcomes: dict[str, Outcome] = {}
        rows: dict[str, dict[str, Any]] = {}
        try:
            for slide, outcome, document in _scored(slides, settings, out, tell):
                outcomes[slide.job.id] = outcome
                if document is not None:
                    rows[slide.job.id] = row_of(document)
        finally:  # also when interrupted
            with held():
                _write_tables(out, [slide.job for slide in slides], outcomes, rows)


def _check(slides: Sequence[Listed], settings: Settings | None, out: Path | None) -> None:
    """UsageError for settings that one of the results can't be scored with, and where it can't go into `out`."""
    if out is not None:
        if (out / PLACE / "journal.jsonl").exists() or any(out.resolve() == s.folder.parent.resolve() for s in slides if s.folder):
            raise UsageError(f"{out}: holds a batch, or the results themselves; wanted another folder with -o")
        if (out / "scores.json").is_file():
            raise UsageError(f"{out}: holds a result; wanted another folder with -o")
    for slide in slides:
        document = None
        if slide.folder is not None:
            with suppress(ResultError):  # told when its turn comes
                document = read_document(slide.folder)
                settings_for(document, settings)
        if out is not None:
            check_target(out / slide.job.id, document, slide.folder)


def _write_tables(out: Path, jobs: Sequence[Job], outcomes: dict[str, Outcome], rows: dict[str, dict[str, Any]]) -> None:
    write_feed(out, [job.id for job in jobs if job.id in rows])
    write_failures(out, jobs, outcomes)
    write_summary(out, jobs, outcomes, rows)
    from biopsy_analyzer.report.html import write_index

    write_index(out)


def _scored(
    slides: Sequence[Listed], settings: Settings | None, out: Path | None, tell: Callable[[Listed, Rescored | BiopsyAnalyzerError], None]
) -> Iterator[tuple[Listed, Outcome, dict[str, Any] | None]]:
    for slide in slides:
        if out is not None and (out / slide.job.id).is_dir():
            take_away(out / slide.job.id)  # or it would show an earlier scoring's numbers where this one fails
        if slide.folder is None and slide.error:
            yield slide, Outcome(slide.job.id, "failed", error=slide.error, exit_code=slide.exit_code), None
            continue
        try:
            if slide.folder is None:
                raise ResultError("no finished result. Run batch again")
            saved, before = read_corrected(slide.folder)
            rescored = score_again(saved, settings, before)
            if out is not None:
                write_rescored(rescored, out / slide.job.id)
        except OutputError:  # no fault of the slide
            raise
        except BiopsyAnalyzerError as error:
            tell(slide, error)
            yield slide, Outcome(slide.job.id, "failed", error=str(error), exit_code=error.exit_code), None
            continue
        tell(slide, rescored)
        document = rescored.document
        yield slide, Outcome(slide.job.id, document["status"], error=slide.error, exit_code=slide.exit_code), document


def _in(folder: Path) -> Iterator[Listed]:
    if (folder / "scores.json").is_file():
        rows, codes = _summary(folder.parent)
        yield _listed(folder, folder.name, rows.get(folder.name, {}), codes)
        return
    results = {path.parent.name: path.parent for path in sorted(folder.glob("*/scores.json"))}
    rows, codes = _summary(folder) if results else ({}, {})
    for name in dict.fromkeys((*rows, *results)):
        yield _listed(results.get(name), name, rows.get(name, {}), codes)


def _listed(folder: Path | None, name: str, row: dict[str, str], codes: dict[str, int]) -> Listed:
    file = row.get("file") or (name if folder is None else str(slide_of(folder).get("file_name", name)))
    finished = None if row.get("status") == "failed" else folder  # what lies there then is of an earlier call
    error = row.get("error", "")
    return Listed(finished, Job(Path(file), name, row.get("case_id", "")), error, codes.get(name, 3 if error else 0))


def _summary(folder: Path) -> tuple[dict[str, dict[str, str]], dict[str, int]]:
    """What a batch listed: rows of summary.csv and exit codes of failures.json by slide id; none where there was no batch."""
    try:
        with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
            rows = {row["slide_id"]: {name: _from_cell(row[name] or "") for name in _KEPT} for row in csv.DictReader(file)}
        failures = json.loads((folder / "failures.json").read_bytes())["failures"]
        return rows, {failure["slide_id"]: int(failure["exit_code"]) for failure in failures}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}, {}


def _from_cell(cell: str) -> str:
    """What `for_cell` wrote, without the apostrophe that it put in front."""
    return cell[1:] if cell.startswith("'") and for_cell(cell[1:]) == cell else cell

"""The manifest of a batch: which slides, with what is known of each; what is wrong is said with its line before the first slide."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from biopsy_analyzer.batch.job import Job
from biopsy_analyzer.csv_rows import read_rows
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.slide.pixel_size import MAX_UM_PER_PX, MIN_UM_PER_PX

COLUMNS = ("path", "case_id", "um_per_px", "sha256")
"""Of a manifest; only `path` has to be there. Several slides may share a case."""

_WANTED = f"The manifest is a CSV with the columns {', '.join(COLUMNS)}; only path has to be there"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def read_manifest(path: Path) -> list[Job]:
    """Jobs without ids, in the manifest's order; relative paths start at its folder. Read is what `read_rows` reads.

    UsageError, with the line: what `read_rows` refuses, `path` missing, an unknown column, a pixel size that no microscope has (a
    decimal comma is understood), a sha256 that is none.
    """
    names, rows = read_rows(path, COLUMNS[:1], _WANTED)
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            raise UsageError(f"{path}: unknown column {name[:60]!r}. " + (f"Is {near[0]!r} meant?" if near else _WANTED))
    return [_job(path.parent, where, row) for where, row in rows]


def _job(folder: Path, where: str, row: dict[str, str]) -> Job:
    if not row["path"] or "\0" in row["path"]:
        raise UsageError(f"{where}: no usable path. Give the slide's file")
    sha256 = row.get("sha256", "")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise UsageError(f"{where}: sha256 is {sha256[:80]!r}; 64 hexadecimal digits are wanted. Correct it, or leave it empty")
    return Job(folder / row["path"], "", row.get("case_id", ""), _um_per_px(where, row.get("um_per_px", "")), sha256.lower() or None)


def _um_per_px(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", ".", 1))
    except ValueError:
        value = float("nan")
    if not MIN_UM_PER_PX <= value <= MAX_UM_PER_PX:
        wanted = f"a number from {MIN_UM_PER_PX:g} to {MAX_UM_PER_PX:g} is wanted"
        raise UsageError(f"{where}: um_per_px is {text[:80]!r}; {wanted}. Correct it, or leave it empty for what the slide states")
    return value

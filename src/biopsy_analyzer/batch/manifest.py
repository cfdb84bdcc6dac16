"""A table of slides as laboratories keep it, from whatever spreadsheet; what is wrong is said with its line before the first slide."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Iterator
from pathlib import Path

from biopsy_analyzer.batch.job import Job
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.slide.pixel_size import MAX_UM_PER_PX, MIN_UM_PER_PX

COLUMNS = ("path", "case_id", "um_per_px", "sha256")
"""Of a manifest; only `path` has to be there. Several slides may share a case."""

_WANTED = f"The columns are {', '.join(COLUMNS)}; only path has to be there"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MOST_BYTES = 500_000_000  # a million slides take 200 MB


def read_manifest(path: Path) -> list[Job]:
    """Jobs without ids, in the manifest's order; relative paths start at its folder, cells are stripped, empty lines passed over.

    Read is what spreadsheets save as CSV: commas, semicolons or tabs between the cells (as in the first line), UTF-8 with or without a
    mark, UTF-16 with one; a decimal comma in um_per_px. Bytes that are no UTF-8 stand for themselves in paths.
    UsageError, with the line: no such file, no CSV, `path` missing, a column unknown or there twice, too many or too few cells, a pixel
    size that no microscope has, a sha256 that is none.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path}: {path.stat().st_size} bytes; at most {_MOST_BYTES} are read. Is this the manifest?")
        text = _decoded(path.read_bytes())
        return list(_rows(path, csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=_delimiter(text))))
    except OSError as error:
        raise UsageError(f"{path}: the manifest can't be read ({error.strerror}). Check the path") from error
    except (csv.Error, UnicodeError) as error:
        raise UsageError(f"{path}: no readable CSV ({error}). Save the manifest as CSV. {_WANTED}") from error


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig", errors="surrogateescape")


def _delimiter(text: str) -> str:
    """What stands most often in the first line, whose cells are names without any of these."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[Job]:
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path}: two columns {name[:60]!r}. Leave one")
        if name not in COLUMNS and "path" in names:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            raise UsageError(f"{path}: unknown column {name[:60]!r}. " + (f"Is {near[0]!r} meant?" if near else _WANTED))
    if "path" not in names:
        found = ", ".join(names)[:100] or "nothing"
        raise UsageError(f"{path}: its first line lacks the column path, found {found}. {_WANTED}")
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row or None in row.values():
            cells = sum(len(value) if isinstance(value, list) else value is not None for value in row.values())
            raise UsageError(f"{where}: {cells} cells where the first line has {len(names)}. Correct it")
        cleaned = {name: (text or "").strip() for name, text in row.items()}
        if any(cleaned.values()):
            yield _job(path.parent, where, cleaned)


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

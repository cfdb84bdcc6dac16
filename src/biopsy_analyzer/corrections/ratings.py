"""A reader's own scores of sections, as `biopsy-analyzer agree` compares them: one CSV a reader, one row an item."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from biopsy_analyzer.agree import COLUMNS
from biopsy_analyzer.errors import ResultError, UsageError
from biopsy_analyzer.escaping import for_cell
from biopsy_analyzer.report.atomic import write_bytes

GRADES = ("regeneration", "inflammation")
"""Graded 0 none, 1 little, 2 clear, 3 much; the share of necrotic fibres is read in per cent, the pattern by its name."""


def save_rating(path: Path, rater: str, slide_id: str, items: dict[str, str | float]) -> None:
    """Write a reader's items of one section into `path`, in place of what he said of it before; whole or not at all.

    UsageError without a name or an item; ResultError where `path` holds another table; OutputError where it can't be written.
    """
    rater = rater.strip()
    if not rater or not items:
        raise UsageError("a rating needs the reader's name and at least one item")
    kept = [row for row in read_ratings(path) if (row["rater"], row["slide_id"]) != (for_cell(rater), for_cell(slide_id))]
    new = [{"rater": for_cell(rater), "slide_id": for_cell(slide_id), "item": item, "value": _text(value)} for item, value in items.items()]
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*kept, *new])
    write_bytes(path, out.getvalue().encode("utf-8"))


def read_ratings(path: Path) -> list[dict[str, str]]:
    """The rows of a reader's CSV; none where it isn't there yet."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultError(f"{path}: can't be read ({error}); give another file") from error
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ResultError(f"{path}: columns {reader.fieldnames}, wanted {', '.join(COLUMNS)}; give another file")
    return rows


def _text(value: str | float) -> str:
    return for_cell(value) if isinstance(value, str) else f"{value:g}"

"""Tables that people keep in a spreadsheet, read as it saves them: any usual separator and encoding, every fault with its line."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from biopsy_analyzer.errors import UsageError

_MOST_BYTES = 500_000_000  # a million lines of a manifest take 200 MB


def read_rows(path: Path, needed: Sequence[str], wanted: str) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """The column names, and of each line where it stands ("file, line 3") and its cells by column; cells are stripped.

    Separated by commas, semicolons or tabs, whichever the first line has most of; UTF-8 with or without a mark, UTF-16 with one. Bytes
    that are no UTF-8 stand for themselves, as in file names. Lines without any text are passed over.
    needed  columns that have to be there;  wanted: a sentence for messages that says what the table has to be
    UsageError: no such file, no CSV, a column missing or there twice, more or fewer cells than columns.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path}: {path.stat().st_size} bytes; at most {_MOST_BYTES} are read. {wanted}")
        text = _decoded(path.read_bytes())
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=_separator(text))
        names = [name.strip() for name in reader.fieldnames or ()]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"{path}: two columns {name[:60]!r}. Leave one")
        if missing := [name for name in needed if name not in names]:
            found = ", ".join(names)[:100] or "nothing"
            raise UsageError(f"{path}: its first line lacks {', '.join(missing)}, found {found}. {wanted}")
        reader.fieldnames = names
        return names, list(_lines(path, reader, len(names)))
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}). {wanted}") from error
    except (csv.Error, UnicodeError) as error:
        raise UsageError(f"{path}: no readable CSV ({error}). {wanted}") from error


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig", errors="surrogateescape")


def _separator(text: str) -> str:
    """What stands most often in the first line, which holds names without any of these."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _lines(path: Path, reader: csv.DictReader[str], columns: int) -> Iterator[tuple[str, dict[str, str]]]:
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row or None in row.values():
            cells = sum(len(value) if isinstance(value, list) else value is not None for value in row.values())
            raise UsageError(
                f"{where}: {cells} cells where the first line has {columns}. Correct it, and put quotes around text with a comma"
            )
        cleaned = {name: text.strip() for name, text in row.items()}
        if any(cleaned.values()):
            yield where, cleaned

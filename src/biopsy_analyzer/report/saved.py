"""A result folder read back: scores.json and the tables as an analysis wrote them, or one line that says why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from biopsy_analyzer.errors import OlderResult, ResultError
from biopsy_analyzer.report.checked import REMEDY, check_document, check_reference, checked_table
from biopsy_analyzer.report.scores_json import SCHEMA_VERSION
from biopsy_analyzer.tables import CLUSTERS, FIBRES, NUCLEI

TABLES = {"fibres": FIBRES, "nuclei": NUCLEI, "clusters": CLUSTERS}


@dataclass(frozen=True)
class Saved:
    """One result folder: `document` is the content of scores.json, the tables have the columns and dtypes of `tables`."""

    folder: Path
    document: dict[str, Any]
    fibres: pd.DataFrame
    nuclei: pd.DataFrame
    clusters: pd.DataFrame


def read_saved(folder: Path) -> Saved:
    """The result in `folder`, the one that holds scores.json.

    ResultError: no folder, no scores.json (the analysis did not finish), a damaged or missing file, a value that no analysis can have
    written (NaN where a fibre lies, an id twice, an unknown state), so that nothing is scored that somebody's editor has spoilt.
    OlderResult: scores.json or a table is of a version of the format that is not read; the section has to be analysed again.
    """
    folder = Path(folder)
    document = read_document(folder)
    slide = document["slide"]
    size_um = slide["height_px"] * slide["um_per_px"], slide["width_px"] * slide["um_per_px"]
    tables = {name: _read_table(folder / f"{name}.parquet", columns, size_um) for name, columns in TABLES.items()}
    with _named(folder / "nuclei.parquet"):
        check_reference(tables["nuclei"]["fibre_id"], tables["fibres"]["fibre_id"])
        check_reference(tables["nuclei"]["cluster_id"], tables["clusters"]["cluster_id"])
    return Saved(folder, document, **tables)


def read_document(folder: Path) -> dict[str, Any]:
    """The content of scores.json alone, in today's form: what a version brought later is null; errors as `read_saved`."""
    path = Path(folder) / "scores.json"
    if not Path(folder).is_dir():
        raise ResultError(f"{folder}: no such folder; wanted a result folder, which holds scores.json. Run analyze first")
    if not path.is_file():
        raise ResultError(f"{path}: missing, so this is no finished result. Give the folder OUT/<slide id>, or run analyze again")
    try:
        content = path.read_bytes()
        document = json.loads(content, parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: damaged ({error}); wanted JSON. Run analyze again") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise ResultError(f"{path}: no schema_version; wanted the scores.json of an analysis. Run analyze again")
    with _named(path):
        if document["schema_version"] != SCHEMA_VERSION:
            from biopsy_analyzer.report.schema import present_document  # loads a validator that today's version does not need

            return present_document(document)
        check_document(content)
        return document


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors begin with the file that they are about."""
    try:
        yield
    except ResultError as error:
        raise type(error)(f"{path}: {error}") from error


def _read_table(path: Path, columns: dict[str, str], size_um: tuple[float, float]) -> pd.DataFrame:
    if not path.is_file():
        raise ResultError(f"{path}: missing; wanted the table beside scores.json. Run analyze again")
    try:
        with path.open("rb") as file:  # by pyarrow's own hand only paths in UTF-8 are found
            table = pq.read_table(file).to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ResultError(f"{path}: damaged ({error}); wanted Parquet. {REMEDY}") from error
    missing, unknown = [name for name in columns if name not in table], [name for name in table.columns if name not in columns]
    if missing or unknown:
        raise OlderResult(f"{path}: columns of another version (missing {missing}, unknown {unknown}). Run analyze again")
    with _named(path):
        return checked_table(table, columns, size_um)

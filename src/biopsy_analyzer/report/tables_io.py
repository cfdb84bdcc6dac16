"""Tables as Parquet, for programs, and as CSV, for spreadsheets."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from biopsy_analyzer.escaping import for_cell
from biopsy_analyzer.report.atomic import write_bytes


def write_table(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write `name`.parquet (exact) and `name`.csv (6 significant digits, empty cell for NaN) into `folder`, each whole or not at all."""
    parquet = io.BytesIO()
    table.to_parquet(parquet, index=False)
    write_bytes(folder / f"{name}.parquet", parquet.getvalue())
    write_bytes(folder / f"{name}.csv", csv_bytes(table))


def csv_bytes(table: pd.DataFrame) -> bytes:
    """`table` as CSV; text cells can't act as a formula in a spreadsheet, nor send control characters to a terminal."""
    numbers = {name: _six_digits(table[name].to_numpy()) for name in table.columns if table[name].dtype.kind == "f"}
    texts = {name: _safe(table[name].tolist()) for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])}
    safe = pa.Table.from_pandas(table.assign(**numbers, **texts), preserve_index=False)
    out = io.BytesIO()
    out.write((",".join(table.columns) + "\n").encode())
    csv.write_csv(safe, out, csv.WriteOptions(include_header=False))
    return out.getvalue()


def _safe(texts: list[str]) -> list[str]:
    safe = {text: for_cell(text) for text in set(texts)}  # most are there many times
    return [safe[text] for text in texts]


def _six_digits(values: np.ndarray) -> np.ndarray:
    """Floats rounded to 6 significant digits; 0, NaN and infinity as they are."""
    usable = np.isfinite(values) & (values != 0)
    scale = 10.0 ** (5 - np.floor(np.log10(np.abs(values), out=np.zeros(values.shape), where=usable)))
    return np.where(usable, np.round(values * scale) / scale, values)

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
    out = io.BytesIO()
    out.write((",".join(table.columns) + "\n").encode())
    csv.write_csv(pa.table({name: _cells(table[name]) for name in table.columns}), out, csv.WriteOptions(include_header=False))
    return out.getvalue()


def _cells(column: pd.Series) -> pa.Array:
    """A column as it is written: NaN becomes an empty cell."""
    if not pd.api.types.is_numeric_dtype(column):
        return pa.array(_safe(column.tolist()), pa.string())
    values = column.to_numpy()
    return pa.array(_six_digits(values) if values.dtype.kind == "f" else values, from_pandas=True)


def _safe(texts: list[str]) -> list[str]:
    """`for_cell` of each; what can be printed, and does not begin as formulas do, is harmless as it is."""
    return [text if text.isprintable() and text[:1] not in "=+-@" else for_cell(text) for text in texts]


def _six_digits(values: np.ndarray) -> np.ndarray:
    """Floats rounded to 6 significant digits; 0, NaN and infinity as they are."""
    usable = np.isfinite(values) & (values != 0)
    order = np.floor(np.log10(np.abs(values), out=np.zeros(values.shape), where=usable))
    scale = 10.0 ** (5 - order)
    return np.where(usable, np.round(values * scale) / scale, values)

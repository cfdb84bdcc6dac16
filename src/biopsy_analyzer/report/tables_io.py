"""Tables as Parquet, for programs, and as CSV, for spreadsheets."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from biopsy_analyzer.escaping import for_cell
from biopsy_analyzer.report.atomic import write_bytes


def write_table(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write `name`.parquet (exact) and `name`.csv (6 significant digits, empty cell for NaN) into `folder`, each whole or not at all."""
    parquet = io.BytesIO()
    table.to_parquet(parquet, index=False)
    write_bytes(folder / f"{name}.parquet", parquet.getvalue())
    write_bytes(folder / f"{name}.csv", csv_text(table).encode("utf-8"))


def csv_text(table: pd.DataFrame) -> str:
    """`table` as CSV; text cells can't act as a formula in a spreadsheet, nor send control characters to a terminal."""
    text_columns = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    safe = table.assign(**{name: table[name].map(for_cell) for name in text_columns})
    return safe.to_csv(index=False, float_format="%.6g", lineterminator="\n")

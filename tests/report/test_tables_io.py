"""Tables survive the round trip, and their numbers stay numbers."""

from pathlib import Path

import numpy as np
import pandas as pd

from biopsy_analyzer import tables
from biopsy_analyzer.report.tables_io import csv_bytes, write_table


def clusters() -> pd.DataFrame:
    table = tables.empty(tables.CLUSTERS).reindex(range(2)).fillna({"kind": "mixed", "reason": "3 macrophages", "probability": np.nan})
    return tables.typed(table.fillna({name: 1.25 for name in table.columns if name != "probability"}), tables.CLUSTERS)


def test_parquet_keeps_values_and_dtypes(tmp_path: Path) -> None:
    write_table(clusters(), tmp_path, "clusters")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "clusters.parquet"), clusters())
    read = pd.read_csv(tmp_path / "clusters.csv")
    assert list(read.columns) == list(tables.CLUSTERS)
    assert read["probability"].isna().all()


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    write_table(tables.empty(tables.FIBRES), tmp_path, "fibres")
    assert (tmp_path / "fibres.csv").read_text() == ",".join(tables.FIBRES) + "\n"
    assert list(pd.read_parquet(tmp_path / "fibres.parquet").columns) == list(tables.FIBRES)


def test_negative_numbers_stay_numbers() -> None:
    assert csv_bytes(pd.DataFrame({"eosin_rel": [-0.5], "name": ["-0.5"]})) == b'eosin_rel,name\n-0.5,"\'-0.5"\n'


def test_numbers_have_six_digits_and_gaps_are_empty() -> None:
    values = [1234567.0, 0.000123456789, -98.7654321, 0.0, np.nan]
    lines = csv_bytes(pd.DataFrame({"a": values, "b": range(5)})).decode().splitlines()[1:]
    cells = [line.split(",")[0] for line in lines]
    assert [float(cell) for cell in cells[:4]] == [1234570.0, 0.000123457, -98.7654, 0.0]
    assert cells[4] == ""

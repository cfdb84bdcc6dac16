"""The fibre table: order, filter and text, without a window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.viewer.table_model import COLUMNS, FibreModel


@pytest.fixture
def model() -> FibreModel:
    made = FibreModel()
    made.set_fibres(
        pd.DataFrame(
            {
                "fibre_id": [1, 2, 3, 4],
                "state": ["normal", "necrotic", "normal", "necrotic"],
                "assessable": [True, True, False, True],
                "probability": [0.9, 0.75, 0.5, np.nan],
                "area_um2": [100.4, 900.0, 900.0, 50.0],
                "min_feret_um": [10.0, 30.04, 29.0, 5.0],
                "internal_nuclei_count": [0.0, 1.0, np.nan, 0.0],
                "macrophages_inside": [0.0, 12.0, np.nan, 0.0],
                "reason": ["", "pale", "ink", "dark"],
            }
        )
    )
    return made


def ids(model: FibreModel) -> list[int]:
    return [model.id_at(row) for row in range(model.rowCount())]


def test_text_of_a_row(model: FibreModel) -> None:
    from qtpy.QtCore import Qt

    heads = [model.headerData(column, Qt.Orientation.Horizontal) for column in range(model.columnCount())]
    assert heads == [head for head, _ in COLUMNS.values()]
    shown = [[model.data(model.index(row, column)) for column in range(len(heads))] for row in (1, 2, 3)]
    assert shown[0] == ["2", "necrotic", "0.75", "900", "30.0", "1", "12", "pale"]
    assert shown[1] == ["3", "unassessable", "0.50", "900", "29.0", "", "", "ink"]
    assert shown[2][2] == ""


def test_sorted_with_equals_by_id_and_gaps_last(model: FibreModel) -> None:
    from qtpy.QtCore import Qt

    at = list(COLUMNS).index
    model.sort(at("area_um2"))
    assert ids(model) == [4, 1, 2, 3]
    model.sort(at("probability"), Qt.SortOrder.DescendingOrder)
    assert ids(model) == [1, 2, 3, 4]
    model.sort(at("fibre_id"), Qt.SortOrder.DescendingOrder)
    assert ids(model) == [4, 3, 2, 1]


def test_one_class_alone_and_fibres_found_again(model: FibreModel) -> None:
    model.set_only("necrotic")
    assert ids(model) == [2, 4]
    assert (model.row_of(4), model.row_of(1)) == (1, None)
    model.set_only("regenerating")
    assert ids(model) == []
    model.set_only(None)
    assert ids(model) == [1, 2, 3, 4]

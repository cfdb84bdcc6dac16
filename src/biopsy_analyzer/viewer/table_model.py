"""The fibre table as Qt's tables want it: sorted and filtered by pandas, found again by id."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from biopsy_analyzer.report.shown import fibre_class

COLUMNS = {
    "fibre_id": ("fibre", "{:d}"),
    "class": ("state", "{}"),
    "probability": ("prob.", "{:.2f}"),
    "area_um2": ("area um2", "{:.0f}"),
    "min_feret_um": ("diam. um", "{:.1f}"),
    "internal_nuclei_count": ("int. nuclei", "{:.0f}"),
    "macrophages_inside": ("macroph.", "{:.0f}"),
    "reason": ("reason", "{}"),
}
"""Columns shown: of the table, their heading and format."""

_ALIGNED = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class FibreModel(QAbstractTableModel):
    """Rows of fibres; `only` one class where that is set."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._all = pd.DataFrame({name: [] for name in COLUMNS})
        self._shown, self._rows = self._all, dict[int, int]()
        self._sorted: tuple[str, bool] = ("fibre_id", True)
        self.only: str | None = None

    def set_fibres(self, fibres: pd.DataFrame) -> None:
        """Show this FIBRES table, sorted and filtered as before."""
        self._all = fibres.assign(**{"class": fibre_class(fibres)})[list(COLUMNS)]
        self._arrange()

    def set_only(self, name: str | None) -> None:
        """Show one class, or all for None."""
        self.only = name
        self._arrange()

    def id_at(self, row: int) -> int:
        """The fibre in a row."""
        return int(self._shown["fibre_id"].iloc[row])

    def row_of(self, fibre_id: int) -> int | None:
        """Where a fibre stands, None where it is not shown."""
        return self._rows.get(fibre_id)

    def _arrange(self) -> None:
        self.beginResetModel()
        table = self._all if self.only is None else self._all[self._all["class"] == self.only]
        name, ascending = self._sorted
        self._shown = table.sort_values([name, "fibre_id"] if name != "fibre_id" else name, ascending=ascending, kind="stable")
        self._rows = {int(number): row for row, number in enumerate(self._shown["fibre_id"])}
        self.endResetModel()

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """By a column, equals by id; missing values last."""
        self._sorted = (list(COLUMNS)[column], order == Qt.SortOrder.AscendingOrder)
        self._arrange()

    def rowCount(self, parent: Any = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Any = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        name = list(COLUMNS)[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole and name not in ("class", "reason"):
            return _ALIGNED
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        value = self._shown.iat[index.row(), index.column()]
        missing = isinstance(value, float | np.floating) and np.isnan(value)
        return "" if missing else COLUMNS[name][1].format(value)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return list(COLUMNS.values())[section][0]
        return None

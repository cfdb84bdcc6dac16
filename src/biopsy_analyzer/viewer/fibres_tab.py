"""Look up: the fibres as a table that is linked to the image both ways, why each was called so, and the doubtful ones in turn."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QHBoxLayout, QLabel, QPushButton, QTableView, QVBoxLayout, QWidget

from biopsy_analyzer.corrections.book import Kind
from biopsy_analyzer.corrections.edits import UNASSESSABLE
from biopsy_analyzer.report.palette import FIBRE_COLOURS
from biopsy_analyzer.tables import FIBRE_STATES, FIBRES, NUCLEUS_KINDS, empty
from biopsy_analyzer.viewer.review import DOUBTFUL, next_in_queue, review_queue
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.table_model import FibreModel
from biopsy_analyzer.viewer.workspace import Workspace

_WIDTHS_PX = (56, 112, 56, 74, 74, 84, 76)
_ROLE = QItemSelectionModel.SelectionFlag
NEXT_KEY, PREVIOUS_KEY = "N", "Shift-N"
NONE_LEFT = f"No doubtful fibre (probability below {DOUBTFUL:.0%}) is left. Fibres cut by the border and unassessable ones are not asked."


class _Table(QTableView):
    """A table in which typed keys are the window's (a state, the next doubtful one), no search."""

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        if event.text() and not event.matches(QKeySequence.StandardKey.Copy):
            event.ignore()
        else:
            super().keyPressEvent(event)


class FibresTab(QWidget):
    """The table, what is known of the selection, and the review queue."""

    title: ClassVar[str] = "Fibres"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.model, self.view, self.only = FibreModel(self), _Table(), QComboBox()
        self.about, self.left = QLabel(), QLabel()
        self.next, self.previous = QPushButton(f"Next doubtful ({NEXT_KEY})"), QPushButton("Previous")
        self._following = False
        self._last_reviewed: int | None = None
        self._arrange()
        self.view.selectionModel().selectionChanged.connect(self._chosen_in_table)
        self.only.currentTextChanged.connect(self._filtered)
        self.next.clicked.connect(lambda: self.review(1))
        self.previous.clicked.connect(lambda: self.review(-1))
        workspace.viewer.bind_key(NEXT_KEY, lambda _viewer: self.review(1), overwrite=True)
        workspace.viewer.bind_key(PREVIOUS_KEY, lambda _viewer: self.review(-1), overwrite=True)
        workspace.session_changed.connect(self._opened)
        self._opened(workspace.session)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """The keys are free again."""
        for key in (NEXT_KEY, PREVIOUS_KEY):
            self.workspace.viewer.bind_key(key, None, overwrite=True)
        super().closeEvent(event)

    def _arrange(self) -> None:
        self.view.setModel(self.model)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(22)
        self.view.horizontalHeader().setStretchLastSection(True)
        self.view.setWordWrap(False)
        for column, width in enumerate(_WIDTHS_PX):
            self.view.setColumnWidth(column, width)
        self.only.addItems(["all fibres", *FIBRE_COLOURS])
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.PlainText)
        self.about.setMinimumHeight(90)
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        top, bottom = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.only)
        top.addWidget(self.left)
        bottom.addWidget(self.previous)
        bottom.addWidget(self.next)
        whole = QVBoxLayout(self)
        whole.addLayout(top)
        whole.addWidget(self.view, 1)
        whole.addWidget(self.about)
        whole.addLayout(bottom)

    def review(self, step: int) -> None:
        """Go to the next doubtful fibre, or with -1 to the one before."""
        session = self.workspace.session
        if session is None:
            return
        left = set(review_queue(session.fibres))
        number = next_in_queue(review_queue(session.saved.fibres), self._last_reviewed, step, left)
        if number is None:
            self.workspace.say(NONE_LEFT)
            return
        self._last_reviewed = number
        self.workspace.go_to("fibres", number)

    def _opened(self, session: Session | None) -> None:
        self._last_reviewed = None
        if session is None:
            self.model.set_fibres(empty(FIBRES))
            self.about.setText("Open a result, then click a fibre.")
            self.left.setText("")
            return
        session.selection_changed.connect(self._chosen_in_image, unique=True)
        session.shown.connect(self._changed, unique=True)
        self._changed(None)

    def _changed(self, _change: object) -> None:
        session = self.workspace.session
        if session is not None:
            self._following = True
            self.model.set_fibres(session.fibres)
            self._following = False
            self._count(session)

    def _count(self, session: Session) -> None:
        self.left.setText(f"{self.model.rowCount()} shown, {len(review_queue(session.fibres))} doubtful")

    def _filtered(self, name: str) -> None:
        self.model.set_only(name if name in FIBRE_COLOURS else None)
        if self.workspace.session is not None:
            self._count(self.workspace.session)

    def _chosen_in_table(self) -> None:
        session = self.workspace.session
        if self._following or session is None:
            return
        ids = [self.model.id_at(index.row()) for index in self.view.selectionModel().selectedRows()]
        self._following = True
        if len(ids) == 1:
            self.workspace.go_to("fibres", ids[0])
        else:
            session.select("fibres", ids)
        self._following = False

    def _chosen_in_image(self, kind: Kind, ids: list[int]) -> None:
        session = self.workspace.session
        if session is None:
            return
        row = session.row(kind, ids[0]) if len(ids) == 1 else None
        self.about.setText(describe(kind, row) if row is not None else f"{len(ids)} {kind} selected" if ids else "Nothing selected.")
        if self._following:
            return
        self._following = True
        chosen = QItemSelection()
        rows = [self.model.row_of(number) for number in ids] if kind == "fibres" else []
        for at in (row for row in rows if row is not None):
            chosen.select(self.model.index(at, 0), self.model.index(at, 0))
            self.view.scrollTo(self.model.index(at, 0), QAbstractItemView.ScrollHint.PositionAtCenter)
        if len(ids) == 1 and kind == "fibres" and rows == [None]:
            self.about.setText(f"{self.about.text()}\n(not among the {self.only.currentText()} fibres in the table)")
        self.view.selectionModel().select(chosen, _ROLE.ClearAndSelect | _ROLE.Rows)
        self._following = False


def describe(kind: Kind, row: pd.Series) -> str:
    """What is known of one fibre or nucleus, in a few lines."""
    if kind == "fibres":
        name, of, what = f"Fibre {row['fibre_id']}", FIBRE_STATES, row["state"] if row["assessable"] else UNASSESSABLE
        cut = ", cut by the edge" if row["touches_border"] else ""
        size = f"{row['area_um2']:.0f} um2, least diameter {row['min_feret_um']:.1f} um{cut}"
    else:
        name, of, what = f"Nucleus {row['nucleus_id']}", NUCLEUS_KINDS, row["type"]
        size = f"{row['area_um2']:.0f} um2, " + (f"in fibre {row['fibre_id']}" if row["fibre_id"] else "between the fibres")
    shares = ", ".join(f"{one} {row['p_' + one.replace('-', '_')]:.2f}" for one in of)
    return f"{name}: {what}, probability {row['probability']:.2f}\n{size}\n{shares}\nWhy: {row['reason']}"

"""Blind reading: a reader scores a section with the machine's findings hidden, for the agreement of readers with each other and with it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QLineEdit, QPushButton, QTabWidget, QVBoxLayout, QWidget

from biopsy_analyzer.corrections.ratings import GRADES, save_rating
from biopsy_analyzer.errors import BiopsyAnalyzerError, UsageError
from biopsy_analyzer.score.pattern import LABELS
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.workspace import Workspace

GRADE_TEXTS = ("0 none", "1 little", "2 clear", "3 much")
_UNREAD = "not read"


class BlindWidget(QWidget):
    """The tab for blind reading."""

    title: ClassVar[str] = "Blind reading"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace, self.blind = workspace, False
        self.reader, self.necrotic = QLineEdit(getpass.getuser()), QLineEdit()
        self.grades = {name: _choice(GRADE_TEXTS) for name in GRADES}
        self.pattern = _choice(LABELS)
        self.begin, self.save, self.saved = (
            QPushButton("Hide the machine's findings"),
            QPushButton("Save my reading and show them"),
            QLabel(),
        )
        self.necrotic.setPlaceholderText("0 to 100; empty: not read")
        form = QFormLayout()
        form.addRow("Reader", self.reader)
        form.addRow("Necrotic fibres, %", self.necrotic)
        for name, box in self.grades.items():
            form.addRow(name.capitalize(), box)
        form.addRow("Pattern", self.pattern)
        whole = QVBoxLayout(self)
        intro = QLabel(
            "Score the section by eye before you look at what the machine found. Readings go into a table for the command agree."
        )
        intro.setWordWrap(True)
        self.saved.setWordWrap(True)
        self.saved.setTextFormat(Qt.TextFormat.PlainText)
        for part in (intro, self.begin):
            whole.addWidget(part)
        whole.addLayout(form)
        for part in (self.save, self.saved):
            whole.addWidget(part)
        whole.addStretch(1)
        self.begin.clicked.connect(lambda _checked=False: self.hide_machine())
        self.save.clicked.connect(lambda _checked=False: self.keep())
        workspace.session_changed.connect(self._opened)
        self._opened(workspace.session)

    def path(self) -> Path | None:
        """Where this reader's table lies: beside the result folders."""
        session = self.workspace.session
        name = "".join(c if c.isalnum() else "_" for c in self.reader.text().strip())
        return None if session is None else session.folder.parent / f"ratings_{name}.csv"

    def hide_machine(self) -> None:
        """Hide layers and the tabs that show results, and empty the form."""
        if self.workspace.session is None:
            return
        self._show_machine(False)
        self.necrotic.clear()
        for box in (*self.grades.values(), self.pattern):
            box.setCurrentIndex(0)
        self.saved.setText("")

    def keep(self) -> None:
        """Save what was read, then show the machine's findings again; where it can't be saved they stay hidden."""
        session, path = self.workspace.session, self.path()
        if session is None or path is None:
            return
        try:
            save_rating(path, self.reader.text(), str(session.document["slide"]["id"]), self.items())
        except BiopsyAnalyzerError as error:
            self.saved.setText(str(error))
            return
        self.saved.setText(f"saved in {path}")
        self._show_machine(True)

    def items(self) -> dict[str, str | float]:
        """What was read; UsageError for a percentage that is none."""
        found: dict[str, str | float] = {}
        text = self.necrotic.text().strip().replace(",", ".")
        if text:
            try:
                found["necrotic_percent"] = float(text)
            except ValueError:
                found["necrotic_percent"] = -1.0
            if not 0 <= float(found["necrotic_percent"]) <= 100:
                raise UsageError(f"necrotic fibres: {text!r} is no percentage; wanted a number from 0 to 100")
        found |= {name: float(box.currentIndex() - 1) for name, box in self.grades.items() if box.currentIndex()}
        if self.pattern.currentIndex():
            found["pattern"] = self.pattern.currentText()
        return found

    def _show_machine(self, visible: bool) -> None:
        self.blind = not visible
        self.workspace.machine_visible(visible)
        tabs = self._tabs()
        for number in range(tabs.count() if tabs else 0):
            assert tabs is not None
            if tabs.widget(number) is not self:
                tabs.setTabEnabled(number, visible)
        self._refresh()

    def _tabs(self) -> QTabWidget | None:
        """The dock's tabs, where this is one of them."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QTabWidget):
            above = above.parentWidget()
        return above

    def _opened(self, session: Session | None) -> None:
        if self.blind:
            self._show_machine(False)  # the next section is read blind too
            self.hide_machine()
        self._refresh()

    def _refresh(self) -> None:
        there = self.workspace.session is not None
        self.begin.setEnabled(there and not self.blind)
        self.save.setEnabled(there and self.blind)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """What was hidden is shown."""
        if self.blind:
            self._show_machine(True)
        super().closeEvent(event)


def _choice(texts: tuple[str, ...]) -> QComboBox:
    box = QComboBox()
    box.addItems([_UNREAD, *texts])
    return box

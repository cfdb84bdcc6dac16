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
        self.workspace = workspace
        self.reader, self.necrotic = QLineEdit(getpass.getuser()), QLineEdit()
        self.grades = {name: _choice(GRADE_TEXTS) for name in GRADES}
        self.pattern = _choice(LABELS)
        self.begin, self.save = QPushButton("Hide the machine's findings"), QPushButton("Save my reading and show them")
        self.end, self.saved, self.form = QPushButton("Show them without a reading"), QLabel(), QWidget()
        self.necrotic.setPlaceholderText("0 to 100; empty: not read")
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
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
        for part in (intro, self.begin, self.form, self.save, self.end, self.saved):
            whole.addWidget(part)
        whole.addStretch(1)
        self.begin.clicked.connect(lambda _checked=False: self.hide_machine())
        self.save.clicked.connect(lambda _checked=False: self.keep())
        self.end.clicked.connect(lambda _checked=False: self.show_anyway())
        workspace.session_changed.connect(self._opened)
        self._refresh()

    def path(self) -> Path | None:
        """Where this reader's table lies: beside the result folders."""
        session = self.workspace.put_away
        name = "".join(c if c.isalnum() else "_" for c in self.reader.text().strip())
        return None if session is None else session.folder.parent / f"ratings_{name}.csv"

    def hide_machine(self) -> None:
        """Put away layers and the tabs that show results, and empty the form."""
        if self.workspace.session is not None:
            self.workspace.read_blind(True)
            self._begin()

    def keep(self) -> None:
        """Save what was read, then show the machine's findings again; where it can't be saved they stay hidden."""
        session, path = self.workspace.put_away, self.path()
        if session is None or path is None:
            return
        try:
            save_rating(path, self.reader.text(), str(session.document["slide"]["id"]), self.items())
        except BiopsyAnalyzerError as error:
            self.saved.setText(str(error))
            return
        self.saved.setText(f"saved in {path}")
        self._show_machine()

    def show_anyway(self) -> None:
        """End without a reading: nothing is saved."""
        self.saved.setText("Ended without a reading.")
        self._show_machine()

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

    def _show_machine(self) -> None:
        self.workspace.read_blind(False)
        self._refresh()

    def _begin(self) -> None:
        self.necrotic.clear()
        for box in (*self.grades.values(), self.pattern):
            box.setCurrentIndex(0)
        self.saved.setText("")
        self._refresh()

    def _tabs(self) -> QTabWidget | None:
        """The dock's tabs, where this is one of them."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QTabWidget):
            above = above.parentWidget()
        return above

    def _opened(self, _session: Session | None) -> None:
        if self.workspace.blind:
            self._begin()  # the next section is read blind too
        else:
            self._refresh()

    def _refresh(self) -> None:
        blind, tabs = self.workspace.blind, self._tabs()
        for number in range(tabs.count() if tabs else 0):
            assert tabs is not None
            tabs.setTabEnabled(number, not blind or tabs.widget(number) is self)
        self.begin.setEnabled(self.workspace.session is not None)
        self.save.setEnabled(blind)
        self.end.setEnabled(blind)
        self.form.setVisible(blind)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """What was hidden is shown."""
        if self.workspace.blind:
            self._show_machine()
        super().closeEvent(event)


def _choice(texts: tuple[str, ...]) -> QComboBox:
    box = QComboBox()
    box.addItems([_UNREAD, *texts])
    return box

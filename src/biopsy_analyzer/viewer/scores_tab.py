"""The result in numbers and pictures: pattern and reasons, both axes and the balance, fibre sizes, the section from afar."""

from __future__ import annotations

import html
from typing import Any, ClassVar

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from biopsy_analyzer.report.summary import summary_text
from biopsy_analyzer.viewer.figures import map_figure, scores_figure, sizes_figure
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.workspace import Workspace

_SOON_MS = 150  # pictures follow when a burst of edits is over, numbers at once


class ScoresTab(QScrollArea):
    """What scores.json says, redrawn with every change."""

    title: ClassVar[str] = "Scores"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.pattern, self.numbers, self.pictures = QLabel(), QLabel(), QVBoxLayout()
        self.inner = QWidget()
        whole = QVBoxLayout(self.inner)
        whole.addWidget(self.pattern)
        whole.addLayout(self.pictures)
        whole.addWidget(self.numbers)
        whole.addStretch(1)
        for text in (self.pattern, self.numbers):
            text.setWordWrap(True)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setWidget(self.inner)
        self.setWidgetResizable(True)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self.draw)
        self._due = False
        workspace.session_changed.connect(self._opened)
        self._opened(workspace.session)

    def _opened(self, session: Session | None) -> None:
        if session is not None:
            session.shown.connect(self._changed, unique=True)
        self._changed(None)

    def _changed(self, _change: object) -> None:
        session = self.workspace.session
        self.pattern.setText(pattern_text(session.document) if session else "Open or make a result.")
        self.numbers.setText(numbers_text(session.document) if session else "")
        self._due = True
        self._soon.start()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        self._soon.start()

    def draw(self) -> None:
        """Draw the pictures again, if anything changed and they can be seen."""
        if not self._due or not self.isVisible():
            return
        self._due = False
        while (item := self.pictures.takeAt(0)) is not None:
            item.widget().deleteLater()  # type: ignore[union-attr]
        session = self.workspace.session
        if session is None:
            return
        slide = session.document["slide"]
        width, height = slide["width_px"] * slide["um_per_px"], slide["height_px"] * slide["um_per_px"]
        section = map_figure(session.fibres, session.clusters, width, height)
        for figure in (scores_figure(session.document), sizes_figure(session.fibres), section):
            canvas = FigureCanvasQTAgg(figure)
            canvas.setFixedHeight(round(figure.get_figheight() * 100))
            self.pictures.addWidget(canvas)
            canvas.show()  # now, not when Qt comes to it: what is not shown has no height, and the pictures would lie over each other
        section.canvas.mpl_connect("button_press_event", self._clicked_on_map)
        self.inner.updateGeometry()  # else the scroll area keeps the height it had

    def _clicked_on_map(self, event: Any) -> None:
        """A click on the section from afar goes there."""
        if event.xdata is not None:
            self.workspace.look_at(event.ydata * 1000, event.xdata * 1000)


def pattern_text(document: dict[str, Any]) -> str:
    """The pattern and its reasons as Qt's rich text."""
    pattern = document["pattern"]
    support = f"{pattern['support']:.0%} of bootstrap rounds agree" if pattern["support"] is not None else "no scores"
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in pattern["reasons"])
    return f"<h3>{html.escape(pattern['label'])}</h3>{support}<ul style='margin-left: -20px'>{reasons}</ul>"


def numbers_text(document: dict[str, Any]) -> str:
    """All numbers in a table as Qt's rich text, one row a line of the summary; its pattern stands above."""
    rows = []
    for line in summary_text(document).splitlines()[1:]:
        name, text = line[2:16].strip(), line[16:].strip()
        if not line.startswith("  Research") and name != "pattern" and not text.startswith("- "):
            rows.append(f"<tr><td style='padding-right: 8px'>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>")
    return f"<table style='font-size: 9pt'>{''.join(rows)}</table>"

"""What each colour means, how many there are, and which are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QBrush, QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS, NUCLEUS_MARKERS, Colour
from biopsy_analyzer.report.shown import fibre_class
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.workspace import Workspace

_ICON_PX = 14


class Legend(QWidget):
    """A row for each class with its mark and count; ticked classes are shown."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.boxes: dict[str, QCheckBox] = {}
        self.clusters: dict[str, QLabel] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(4, 0, 4, 0)
        grid.setVerticalSpacing(1)
        for column, title in enumerate(("Fibres", "Nuclei", "Clusters")):
            grid.addWidget(QLabel(f"<b>{title}</b>"), 0, column)
        for column, (colours, is_fibre) in enumerate(((FIBRE_COLOURS, True), (NUCLEUS_COLOURS, False))):
            for row, (name, colour) in enumerate(colours.items(), start=1):
                box = QCheckBox(name)
                box.setIcon(QIcon(mark(colour, name, is_fibre)))
                box.setChecked(name not in workspace.hidden)
                box.toggled.connect(self._toggled)
                self.boxes[name] = box
                grid.addWidget(box, row, column)
        for row, (name, colour) in enumerate(CLUSTER_COLOURS.items(), start=1):
            self.clusters[name] = QLabel(name)
            self.clusters[name].setStyleSheet(f"border-left: 4px solid rgb{colour}; padding-left: 4px")
            grid.addWidget(self.clusters[name], row, 2)
        self.filled = QCheckBox("fill fibres")
        self.filled.toggled.connect(lambda on: workspace.look(filled=on))
        grid.addWidget(self.filled, 5, 2)
        workspace.session_changed.connect(self._opened)
        self._opened(workspace.session)

    def _toggled(self, _on: bool) -> None:
        self.workspace.look(hidden=frozenset(name for name, box in self.boxes.items() if not box.isChecked()))

    def _opened(self, session: Session | None) -> None:
        if session is not None:
            session.shown.connect(self._count, unique=True)
        self._count(None)

    def _count(self, _change: Any) -> None:
        session = self.workspace.session
        if session is None:
            counts = kinds = None
        else:
            counts = pd.concat([fibre_class(session.fibres).value_counts(), session.nuclei["type"].value_counts()])
            kinds = session.clusters["kind"].value_counts()
        for marks, found in ((self.boxes, counts), (self.clusters, kinds)):
            for name, mark_of in marks.items():
                mark_of.setText(name if found is None else f"{name} {found.get(name, 0)}")


def mark(colour: Colour, name: str, is_fibre: bool) -> QPixmap:
    """The mark as it stands on the section: a box for fibres, for nuclei a marker or a ring."""
    picture = QPixmap(_ICON_PX, _ICON_PX)
    picture.fill(QColor(236, 226, 234))  # as pale as a section: black marks must be seen on a dark window
    pen = QPainter(picture)
    pen.setRenderHint(QPainter.RenderHint.Antialiasing)
    corners = 0 if is_fibre or name not in NUCLEUS_MARKERS else NUCLEUS_MARKERS[name].corners
    pen.setPen(QPen(QColor(*colour), 2.5))
    if is_fibre:
        pen.drawRect(2, 2, _ICON_PX - 4, _ICON_PX - 4)
    elif corners:
        angles = np.arange(corners) * 2 * np.pi / corners
        pen.setPen(Qt.PenStyle.NoPen)
        pen.setBrush(QBrush(QColor(*colour)))
        middle, radius = _ICON_PX / 2, _ICON_PX / 2 - 1
        pen.drawPolygon(QPolygonF([QPointF(middle + radius * np.sin(a), middle - radius * np.cos(a)) for a in angles]))
    else:
        pen.drawEllipse(3, 3, _ICON_PX - 6, _ICON_PX - 6)
    pen.end()
    return picture

"""The dock widget 'Biopsy Analyzer': tabs over one workspace, the legend always in sight."""

from __future__ import annotations

from typing import Any

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

from biopsy_analyzer.viewer.blind import BlindWidget
from biopsy_analyzer.viewer.correct import CorrectWidget
from biopsy_analyzer.viewer.export_tab import ExportTab
from biopsy_analyzer.viewer.fibres_tab import FibresTab
from biopsy_analyzer.viewer.legend import Legend
from biopsy_analyzer.viewer.run_tab import RunTab
from biopsy_analyzer.viewer.scores_tab import ScoresTab
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.workspace import Workspace

TABS = (RunTab, ScoresTab, FibresTab, CorrectWidget, ExportTab, BlindWidget)
_LEAST_WIDTH_PX = 440


class BiopsyAnalyzer(QWidget):
    """What napari puts beside the canvas."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.workspace = Workspace(napari_viewer)
        self.tabs, self.head, self.status = QTabWidget(), QLabel(), QLabel()
        self.pages = {tab.title: tab(self.workspace) for tab in TABS}
        for title, page in self.pages.items():
            self.tabs.addTab(page, title)
        self.legend = Legend(self.workspace)
        self.head.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setWordWrap(True)
        whole = QVBoxLayout(self)
        whole.addWidget(self.head)
        whole.addWidget(self.tabs, 1)
        whole.addWidget(self.legend)
        whole.addWidget(self.status)
        whole.addWidget(QLabel("Research use only, not for diagnosis."))
        self.setMinimumWidth(_LEAST_WIDTH_PX)
        self.workspace.said.connect(lambda text: self.status.setText(text))
        self.workspace.session_changed.connect(self._opened)
        self._opened(self.workspace.session)

    def _opened(self, session: Session | None) -> None:
        if session is None:
            self.head.setText("No result is open.")
            return
        document = session.document
        flags = "; ".join(flag["message"] for flag in document["quality"]["flags"])
        self.head.setText(f"{document['slide']['file_name']}: {document['status']}" + (f" ({flags})" if flags else ""))
        self.head.setWordWrap(True)
        self.tabs.setCurrentWidget(self.pages[ScoresTab.title])

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Tabs end what they run, the viewer is let go."""
        for page in self.pages.values():
            page.close()
        self.workspace.close()
        super().closeEvent(event)

"""The dock widget 'Biopsy Analyzer': tabs over one workspace, the legend always in sight."""

from __future__ import annotations

from typing import Any

import napari
from napari.qt.threading import create_worker
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

from biopsy_analyzer.viewer.blind import BlindWidget
from biopsy_analyzer.viewer.correct import CorrectWidget
from biopsy_analyzer.viewer.export_tab import ExportTab
from biopsy_analyzer.viewer.fibres_tab import FibresTab
from biopsy_analyzer.viewer.find_slide import same_content
from biopsy_analyzer.viewer.layers import OWN
from biopsy_analyzer.viewer.legend import Legend
from biopsy_analyzer.viewer.run_tab import RunTab
from biopsy_analyzer.viewer.scores_tab import ScoresTab
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.workspace import Workspace

TABS = (RunTab, ScoresTab, FibresTab, CorrectWidget, ExportTab, BlindWidget)
_LEAST_WIDTH_PX = 520  # the legend with its counts


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
            away = self.workspace.put_away
            self.head.setText(f"Blind reading of {away.document['slide']['file_name']}" if away else "No result is open.")
            return
        document = session.document
        flags = "; ".join(flag["message"] for flag in document["quality"]["flags"])
        self.head.setText(f"{document['slide']['file_name']}: {document['status']}" + (f" ({flags})" if flags else ""))
        self.head.setWordWrap(True)
        self.tabs.setCurrentWidget(self.pages[ScoresTab.title])
        self._verify(session)

    def _verify(self, session: Session) -> None:
        """See in the background whether the slide's every byte is that of the analysis: a large one takes seconds to read."""
        if session.slide is None:
            return
        worker = create_worker(same_content, session.slide, session.document)
        worker.returned.connect(lambda same: None if same else self._take_away_slide(session))
        worker.start()

    def _take_away_slide(self, session: Session) -> None:
        """Objects over another section's picture would mislead, and corrections would measure there."""
        slide, session.slide = session.slide, None
        layers = self.workspace.viewer.layers
        for layer in [layer for layer in layers if layer.metadata.get(OWN) is slide]:
            layers.remove(layer)
        name = session.document["slide"]["file_name"]
        self.workspace.say(
            f"The {name} found is not the file that was analysed, its content differs: it was taken away. Open the right one."
        )

    def event(self, event: Any) -> bool:
        """Napari closes no dock widget, it only takes it out of its frame: that is the end of this one."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close()
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Tabs end what they run, the viewer is let go."""
        for page in self.pages.values():
            page.close()
        self.workspace.close()
        super().closeEvent(event)

"""Export: choose files and where they go; a picture of the view; the report in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from biopsy_analyzer.errors import BiopsyAnalyzerError
from biopsy_analyzer.viewer.current import with_current_folder
from biopsy_analyzer.viewer.export import FILES, copy_files, save_picture
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.workspace import Workspace


class ExportTab(QWidget):
    """Copies of the result's files, and a screenshot with scale bar and legend."""

    title: ClassVar[str] = "Export"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.boxes = {name: QCheckBox(f"{what} ({name})") for name, what in FILES.items()}
        self.copy, self.report = QPushButton("Copy files to..."), QPushButton("Open report")
        self.picture = QPushButton("Save picture of the view...")
        self.message = QLabel()
        self.message.setWordWrap(True)
        whole = QVBoxLayout(self)
        for box in self.boxes.values():
            box.setChecked(True)
            whole.addWidget(box)
        for one in (self.copy, self.picture, self.report, self.message):
            whole.addWidget(one)
        whole.addStretch(1)
        self.copy.clicked.connect(self._choose_folder)
        self.picture.clicked.connect(self._choose_picture)
        self.report.clicked.connect(self._open_report)
        workspace.session_changed.connect(self._opened)
        self._opened(workspace.session)

    def _opened(self, session: Session | None) -> None:
        for one in (self.copy, self.picture, self.report):
            one.setEnabled(session is not None)

    def _choose_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Copy into which folder?")
        if chosen:
            self.copy_into(Path(chosen))

    def copy_into(self, folder: Path) -> None:
        """Copy the ticked files; of a corrected section the corrected ones, written first where they are not there yet."""
        names = [name for name, box in self.boxes.items() if box.isChecked()]
        self.message.setText("")
        with_current_folder(self.workspace, lambda source: self._copy(source, names, folder))

    def _copy(self, source: Path, names: list[str], folder: Path) -> None:
        try:
            copied = copy_files(source, names, folder)
            self.message.setText(f"Copied {len(copied)} to {folder}: {', '.join(path.name for path in copied)}")
        except BiopsyAnalyzerError as error:
            self.message.setText(str(error))

    def _choose_picture(self) -> None:
        name = f"{self.workspace.session.document['slide']['id']}_view.png" if self.workspace.session else "view.png"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the view as", name, "PNG (*.png)")
        if chosen:
            self.save_view(Path(chosen))

    def save_view(self, path: Path) -> None:
        """Save what the canvas shows, with scale bar and legend below."""
        session, viewer = self.workspace.session, self.workspace.viewer
        if session is None:
            return
        bar = viewer.canvas.overlays.scale_bar
        shown, bar.visible = bar.visible, False  # the strip below has one
        try:
            canvas = viewer.screenshot(canvas_only=True, flash=False)
        finally:
            bar.visible = shown
        top, _, bottom, _ = self.workspace.view_um()
        try:
            save_picture(canvas, (bottom - top) / canvas.shape[0], session, path)
            self.message.setText(f"Saved {path}")
        except BiopsyAnalyzerError as error:
            self.message.setText(str(error))

    def _open_report(self) -> None:
        with_current_folder(self.workspace, self._open_page)

    def _open_page(self, folder: Path) -> None:
        page = folder / "report.html"
        if page.is_file():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
        else:
            self.message.setText(f"{page}: not there. Analyse the section again")

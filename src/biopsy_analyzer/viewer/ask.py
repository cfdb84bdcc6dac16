"""Questions to the person before the screen. Without a window nobody is there: every answer is None and nothing blocks."""

from __future__ import annotations

from pathlib import Path

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QInputDialog, QMainWindow, QMessageBox

from biopsy_analyzer.slide.pixel_size import MAX_UM_PER_PX, MIN_UM_PER_PX

PLUGIN, DOCK = "biopsy-analyzer", "Biopsy Analyzer"


def _window() -> QMainWindow | None:
    """The main window, where there is one."""
    return next((w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow) and w.isVisible()), None)


def pixel_size(reason: str) -> float | None:
    """The edge of a pixel in um, or None."""
    window = _window()
    if window is None:
        return None
    question = f"{reason}\n\nEdge of a level-0 pixel in um:"
    value, given = QInputDialog.getDouble(window, DOCK, question, 0.5, MIN_UM_PER_PX, MAX_UM_PER_PX, 4)
    return value if given else None


def slide_file(name: str) -> Path | None:
    """Where the slide `name` of a result lies, or None to do without."""
    window = _window()
    if window is None:
        return None
    text = f"This result was made from {name}, which is not beside it. (A result holds no paths, for privacy.)"
    box = QMessageBox(QMessageBox.Icon.Question, DOCK, text, parent=window)
    choose = box.addButton("Choose the slide...", QMessageBox.ButtonRole.AcceptRole)
    box.addButton("Open without it", QMessageBox.ButtonRole.RejectRole)
    box.exec()
    if box.clickedButton() is not choose:
        return None
    chosen, _ = QFileDialog.getOpenFileName(window, f"Where is {name}?")
    return Path(chosen) if chosen else None


def tell(text: str) -> None:
    """A message that waits to be read."""
    window = _window()
    if window is not None:
        QMessageBox.warning(window, DOCK, text)


def show_dock() -> None:
    """Open the dock widget once the layers are in the viewer; it takes up the session that they bear."""
    viewer = napari.current_viewer()
    if viewer is not None and _window() is not None:
        QTimer.singleShot(0, lambda: viewer.window.add_plugin_dock_widget(PLUGIN, DOCK))

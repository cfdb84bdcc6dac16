"""A hand at a napari window: real clicks, keys and drags at places of the section."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent
from qtpy.QtWidgets import QApplication, QDialog, QDialogButtonBox, QRadioButton

from biopsy_analyzer.viewer.dock import BiopsyAnalyzer

SHIFT, CONTROL, NONE = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


def open_result(viewer: napari.Viewer, qtbot: Any, folder: Path) -> BiopsyAnalyzer:
    """A window of 1200 x 800 in which the result was opened, with the dock that opening brings."""
    viewer.window.resize(1200, 800)
    viewer.open(str(folder), plugin="biopsy-analyzer")
    _, dock = viewer.window.add_plugin_dock_widget("biopsy-analyzer", "Biopsy Analyzer")
    viewer.reset_view()
    qtbot.waitUntil(lambda: dock.workspace.layers.nuclei is not None)
    QApplication.processEvents()
    return dock


def drop(viewer: napari.Viewer, path: Path) -> list[str]:
    """Drag a file or folder over the middle of the canvas and let it go; where napari asks for a reader, ours is chosen.

    Returns the readers that napari offered, none where it didn't ask.
    """
    canvas = viewer.window._qt_viewer
    at = QPoint(canvas.width() // 2, canvas.height() // 2)
    target = canvas.childAt(at) or canvas
    while not target.acceptDrops():  # as Qt looks for who takes it
        target = target.parentWidget()
    mime, offered = QMimeData(), list[str]()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    place, copy, left = target.mapFrom(canvas, at), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    entered = QDragEnterEvent(place, copy, mime, left, NONE)
    QApplication.sendEvent(target, entered)
    assert entered.isAccepted()
    answer = QTimer()
    answer.timeout.connect(lambda: _choose_reader(offered))
    answer.start(50)
    QApplication.sendEvent(target, QDropEvent(QPointF(place), copy, mime, left, NONE))
    answer.stop()
    return offered


def _choose_reader(offered: list[str]) -> None:
    for dialog in QApplication.topLevelWidgets():
        if isinstance(dialog, QDialog) and dialog.isVisible() and dialog.windowTitle() == "Choose reader":
            buttons = dialog.findChildren(QRadioButton)
            offered += [button.text() for button in buttons]
            next(button for button in buttons if button.text() == "Biopsy Analyzer").setChecked(True)
            dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok).click()


class Hand:
    """What a person does at the window; places are (y, x) in um."""

    def __init__(self, qtbot: Any, dock: BiopsyAnalyzer) -> None:
        viewer = napari.current_viewer()  # not the dock's: a plugin has no business with the canvas
        assert viewer is not None
        self.qtbot, self.dock, self.canvas = qtbot, dock, viewer.window._qt_viewer.canvas.native

    def at(self, place: Any) -> QPoint:
        top, left, bottom, right = self.dock.workspace.view_um()
        y, x = place
        return QPoint(round((x - left) / (right - left) * self.canvas.width()), round((y - top) / (bottom - top) * self.canvas.height()))

    def click(self, place: Any, modifier: Any = NONE) -> None:
        self.qtbot.mouseMove(self.canvas, self.at(place))
        self.qtbot.mouseClick(self.canvas, Qt.MouseButton.LeftButton, modifier, self.at(place))

    def press(self, button: Any) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def press_at(self, widget: Any, place: QPoint) -> None:
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=place)

    def key(self, key: Any, modifier: Any = NONE) -> None:
        self.qtbot.keyClick(self.canvas, key, modifier)

    def drag(self, places: Any) -> None:
        """Press, moves and release as Qt would send them; QTest's own moves go by the X server's cursor and come when they like."""
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        steps = [(QEvent.Type.MouseButtonPress, left, left, places[0])]
        steps += [(QEvent.Type.MouseMove, none, left, place) for place in places[1:]]
        steps += [(QEvent.Type.MouseButtonRelease, left, none, places[-1])]
        for kind, button, buttons, place in steps:
            at = QPointF(self.at(place))
            QApplication.sendEvent(self.canvas, QMouseEvent(kind, at, self.canvas.mapToGlobal(at), button, buttons, NONE))
            self.qtbot.wait(20)  # vispy takes moves that come at once for one
        self.qtbot.waitUntil(lambda: "draw here" not in self.dock.workspace.viewer.layers)

"""Corrections in a real window: real clicks, keys and drags, a journal on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.report.saved import read_saved
from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from painted_slide import STATES, centre

SHIFT, CONTROL, NONE = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def opened(make_napari_viewer: Callable[..., napari.Viewer], qtbot: Any, folder: Path) -> Iterator[BiopsyAnalyzer]:
    """A window with the result open, nuclei hidden so that clicks meet fibres."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 800)
    viewer.open(str(folder), plugin="biopsy-analyzer")
    _, dock = viewer.window.add_plugin_dock_widget("biopsy-analyzer", "Biopsy Analyzer")
    dock.tabs.setCurrentWidget(dock.pages["Correct"])
    viewer.reset_view()
    qtbot.waitUntil(lambda: dock.workspace.layers.nuclei is not None)
    dock.workspace.layers.nuclei.visible = False
    QApplication.processEvents()
    yield dock
    dock.close()


class Hand:
    """What a person does at the window."""

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


@pytest.fixture
def hand(opened: BiopsyAnalyzer, qtbot: Any) -> Hand:
    return Hand(qtbot, opened)


def state_at(dock: BiopsyAnalyzer, number: int) -> str:
    session = dock.workspace.session
    assert session is not None
    found = session.at(*centre(number), nuclei=False)
    assert found is not None
    row = session.row(*found)
    assert row is not None
    return str(row["state"]) if row["assessable"] else "unassessable"


def across(number: int, half: float) -> list[np.ndarray]:
    """A line through the middle of fibre `number`."""
    return [np.array(centre(number)) + np.array([0.0, x]) for x in np.linspace(-half, half, 12)]


def ring(number: int, half: float) -> list[np.ndarray]:
    """A way around fibre `number`, drawn by hand."""
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1], [-1, -1]]) * half
    steps = [a + (b - a) * t for a, b in pairwise(corners) for t in np.linspace(0, 1, 6)]
    return [np.array(centre(number)) + step for step in steps]


def test_one_key_calls_a_state_and_the_score_follows(opened: BiopsyAnalyzer, hand: Hand, folder: Path) -> None:
    page = opened.pages["Correct"]
    machine = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for key, state in (
        (Qt.Key.Key_2, "necrotic"),
        (Qt.Key.Key_3, "pale-fragmented"),
        (Qt.Key.Key_5, "unassessable"),
        (Qt.Key.Key_4, "regenerating"),
    ):
        hand.click(centre(9))
        hand.key(key)
        assert state_at(opened, 9) == state
    assert "<b>" in page.scores.text()
    assert page.edits.count() == 4
    assert opened.workspace.session.document["corrections"]["edits"] == 4
    lines = (folder / "corrections.jsonl").read_text().splitlines()
    assert [json.loads(line).get("state") for line in lines] == [None, "necrotic", "pale-fragmented", "unassessable", "regenerating"]
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert state_at(opened, 9) == "unassessable"
    hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert state_at(opened, 9) == "regenerating"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name in machine} == machine


def test_keys_work_whichever_layer_is_active(opened: BiopsyAnalyzer, hand: Hand) -> None:
    """Labels paint with 2 and make new labels with M on their own."""
    viewer, wanted = opened.workspace.viewer, ["necrotic", "regenerating", "normal", "pale-fragmented"]
    keys = {"necrotic": Qt.Key.Key_2, "regenerating": Qt.Key.Key_4, "normal": Qt.Key.Key_1, "pale-fragmented": Qt.Key.Key_3}
    for layer, state in zip(list(viewer.layers)[:4], wanted, strict=True):
        viewer.layers.selection.active = layer
        hand.click(centre(9))
        hand.key(keys[state])
        assert state_at(opened, 9) == state, layer.name
        assert getattr(layer, "mode", "pan_zoom") == "pan_zoom"


def test_a_drawn_line_splits_and_m_merges(opened: BiopsyAnalyzer, hand: Hand) -> None:
    session = opened.workspace.session
    assert session is not None
    before = len(session.fibres)
    hand.click(centre(9))
    hand.key(Qt.Key.Key_S)
    hand.drag(across(9, 26))
    assert len(session.fibres) == before + 1
    assert "draw here" not in opened.workspace.viewer.layers
    y, x = centre(9)
    hand.click((y - 8, x + 6))
    hand.click((y + 8, x + 6), SHIFT)
    assert len(session.selected[1]) == 2
    hand.key(Qt.Key.Key_M)
    assert len(session.fibres) == before
    row = session.row(*session.at(y, x, nuclei=False))  # type: ignore[misc]
    machine = session.saved.fibres.set_index("fibre_id").loc[row["fibre_id"]]  # type: ignore[index]
    assert row["area_um2"] == pytest.approx(machine["area_um2"])  # type: ignore[index]
    assert row["eosin_od"] == pytest.approx(machine["eosin_od"])  # type: ignore[index]  # the slide is at hand


def test_deleted_drawn_again_and_redrawn(opened: BiopsyAnalyzer, hand: Hand) -> None:
    session = opened.workspace.session
    assert session is not None
    hand.click(centre(9))
    hand.key(Qt.Key.Key_Delete)
    assert session.at(*centre(9), nuclei=False) is None
    hand.key(Qt.Key.Key_D)
    hand.drag(ring(9, 18))
    assert session.selected == ("fibres", [session.saved.fibres["fibre_id"].max() + 1])  # ready for its state
    hand.key(Qt.Key.Key_4)
    assert state_at(opened, 9) == "regenerating"
    assert session.row(*session.at(*centre(9), nuclei=False))["area_um2"] == pytest.approx(36**2, rel=0.1)  # type: ignore[misc,index]
    hand.key(Qt.Key.Key_R)
    hand.drag(ring(9, 10))
    assert session.row(*session.at(*centre(9), nuclei=False))["area_um2"] == pytest.approx(20**2, rel=0.15)  # type: ignore[misc,index]
    assert state_at(opened, 9) == "regenerating"


def test_escape_puts_the_pen_down(opened: BiopsyAnalyzer, hand: Hand) -> None:
    hand.key(Qt.Key.Key_U)
    assert "draw here" in opened.workspace.viewer.layers
    hand.key(Qt.Key.Key_Escape)
    assert "draw here" not in opened.workspace.viewer.layers
    assert opened.workspace.session.corrections.edits == []  # type: ignore[union-attr]


def test_what_cannot_be_done_is_said_and_changes_nothing(opened: BiopsyAnalyzer, hand: Hand, folder: Path) -> None:
    hand.key(Qt.Key.Key_2)
    assert "select a fibre" in opened.status.text()
    hand.click(centre(9))
    hand.key(Qt.Key.Key_M)
    assert "two or more" in opened.status.text()
    hand.key(Qt.Key.Key_S)
    hand.drag(across(9, 4))  # ends within the fibre
    assert "one piece" in opened.status.text()
    assert not (folder / "corrections.jsonl").exists()


def test_types_of_nuclei_by_the_same_keys(opened: BiopsyAnalyzer, hand: Hand) -> None:
    session = opened.workspace.session
    assert session is not None
    opened.workspace.layers.nuclei.visible = True  # type: ignore[union-attr]
    hand.click(centre(0))
    assert session.selected[0] == "nuclei"
    assert opened.pages["Correct"].buttons["class 2"].text() == "macrophage (3)"
    hand.key(Qt.Key.Key_3)
    assert session.row(*("nuclei", session.selected[1][0]))["type"] == "macrophage"  # type: ignore[index]


def test_a_result_with_a_journal_opens_corrected(make_napari_viewer: Callable[..., napari.Viewer], qtbot: Any, folder: Path) -> None:
    number = next(iter(STATES))
    corrections = Corrections.open(folder)
    fibres = corrections.fibres
    fibre = int(fibres["fibre_id"].iloc[np.hypot(*(fibres[["y_um", "x_um"]].to_numpy() - centre(number)).T).argmin()])
    corrections.set_state([fibre], "normal")
    viewer = make_napari_viewer(show=True)
    viewer.open(str(folder), plugin="biopsy-analyzer")
    _, dock = viewer.window.add_plugin_dock_widget("biopsy-analyzer", "Biopsy Analyzer")
    qtbot.waitUntil(lambda: dock.workspace.layers.nuclei is not None)
    assert state_at(dock, number) == "normal"
    assert dock.pages["Correct"].edits.count() == 1
    dock.pages["Correct"].write_corrected()
    qtbot.waitUntil(lambda: (folder / "corrected" / "scores.json").exists() and "written" in dock.status.text(), timeout=20_000)
    assert read_saved(folder / "corrected").document["corrections"]["edits"] == 1
    dock.close()


def test_adapting_runs_beside_the_window_and_says_what_it_found(opened: BiopsyAnalyzer, hand: Hand, qtbot: Any) -> None:
    page = opened.pages["Correct"]
    hand.click(centre(9))
    hand.key(Qt.Key.Key_2)
    page.buttons["adapt"].click()
    assert page.buttons["adapt"].text() == "Stop adapting"
    hand.click(centre(10))
    hand.key(Qt.Key.Key_2)  # goes on working
    assert state_at(opened, 10) == "necrotic"
    qtbot.waitUntil(lambda: page.buttons["adapt"].text() != "Stop adapting", timeout=120_000)
    assert "too few corrections" in page.adapted.text()
    page.buttons["adapt"].click()
    page.buttons["adapt"].click()
    qtbot.waitUntil(lambda: "stopped" in page.adapted.text(), timeout=20_000)

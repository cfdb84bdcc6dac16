"""Blind reading in a real window: nothing of the machine is to be seen until the reading is saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari
import pytest
from qtpy.QtCore import Qt

from biopsy_analyzer.viewer.dock import BiopsyAnalyzer


@pytest.fixture
def opened(make_napari_viewer: Callable[..., napari.Viewer], qtbot: Any, folder: Path) -> Iterator[BiopsyAnalyzer]:
    viewer = make_napari_viewer(show=True)
    viewer.open(str(folder), plugin="biopsy-analyzer")
    _, dock = viewer.window.add_plugin_dock_widget("biopsy-analyzer", "Biopsy Analyzer")
    dock.tabs.setCurrentWidget(dock.pages["Blind reading"])
    qtbot.waitUntil(lambda: dock.workspace.layers.nuclei is not None)
    yield dock
    dock.close()


def seen(dock: BiopsyAnalyzer) -> list[bool]:
    layers = dock.workspace.layers
    return [bool(layer.visible) for layer in (layers.fibres, layers.nuclei, layers.clusters) if layer is not None]


def test_a_reading_by_hand_goes_into_the_readers_table(opened: BiopsyAnalyzer, qtbot: Any, folder: Path) -> None:
    page = opened.pages["Blind reading"]
    qtbot.mouseClick(page.begin, Qt.MouseButton.LeftButton)
    assert seen(opened) == [False] * 3
    others = [k for k in range(opened.tabs.count()) if opened.tabs.widget(k) is not page]
    assert not any(opened.tabs.isTabEnabled(k) for k in others)
    page.reader.clear()
    qtbot.keyClicks(page.reader, "Ana B.")
    qtbot.keyClicks(page.necrotic, "12,5")
    qtbot.keyClick(page.grades["inflammation"], Qt.Key.Key_Down)
    qtbot.keyClick(page.grades["inflammation"], Qt.Key.Key_Down)
    page.pattern.setCurrentText("mixed")
    qtbot.mouseClick(page.save, Qt.MouseButton.LeftButton)
    table = (folder.parent / "ratings_Ana_B_.csv").read_text()
    assert table == (
        "rater,slide_id,item,value\nAna B.,section,necrotic_percent,12.5\nAna B.,section,inflammation,1\nAna B.,section,pattern,mixed\n"
    )
    assert seen(opened) == [True] * 3
    assert all(opened.tabs.isTabEnabled(k) for k in others)


@pytest.mark.parametrize(("typed", "said"), [("120", "no percentage"), ("much", "no percentage"), ("", "at least one item")])
def test_what_is_no_reading_is_said_and_nothing_is_shown(opened: BiopsyAnalyzer, qtbot: Any, folder: Path, typed: str, said: str) -> None:
    page = opened.pages["Blind reading"]
    qtbot.mouseClick(page.begin, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(page.necrotic, typed)
    qtbot.mouseClick(page.save, Qt.MouseButton.LeftButton)
    assert said in page.saved.text()
    assert seen(opened) == [False] * 3
    assert not list(folder.parent.glob("ratings_*"))

"""Dragged into the window by real Qt events: a slide, a result folder, and what is neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import pytest

from hand import drop
from painted_slide import painted, write_pyramid


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., napari.Viewer]) -> napari.Viewer:
    return make_napari_viewer(show=True)


def layers_of(viewer: napari.Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def wait_for_dock(viewer: napari.Viewer, qtbot: Any) -> Any:
    """The dock that opening brings."""

    def docks() -> list[Any]:
        return [widget for widget in viewer.window.dock_widgets.values() if hasattr(widget, "workspace")]

    qtbot.waitUntil(lambda: len(docks()) == 1, timeout=30_000)
    return docks()[0]


def test_a_slide_is_dropped(viewer: napari.Viewer, qtbot: Any, folder: Path, tmp_path: Path) -> None:
    offered = drop(viewer, tmp_path / "section.tif")
    assert "Biopsy Analyzer" in offered  # napari reads TIFF itself too, so it asks
    assert layers_of(viewer) == ["section.tif"]
    dock = wait_for_dock(viewer, qtbot)
    assert dock.pages["Run"].slide.text() == "section.tif"
    dock.close()


def test_a_result_is_dropped_on_an_empty_and_then_on_a_full_window(viewer: napari.Viewer, qtbot: Any, folder: Path) -> None:
    drop(viewer, folder)
    assert layers_of(viewer) == ["section.tif", "fibres", "nuclei", "clusters"]
    dock = wait_for_dock(viewer, qtbot)
    first = dock.workspace.session
    assert first.folder == folder
    other = folder.with_name("other")
    folder.rename(other)
    drop(viewer, other)
    assert dock.workspace.session.folder == other
    dock.close()


def test_a_second_section_takes_the_place_of_the_first(viewer: napari.Viewer, qtbot: Any, folder: Path, tmp_path: Path) -> None:
    """Both lie at the origin: the first is hidden, the dock tells nothing of it, and its eye brings it back with its slide."""
    drop(viewer, folder)
    dock = wait_for_dock(viewer, qtbot)
    first = dock.workspace.session
    drop(viewer, write_pyramid(painted().rgb[:600, :800], tmp_path / "other.tif"))
    shown = {layer.name: layer.visible for layer in viewer.layers}
    assert (shown["other.tif"], shown["section.tif"], shown["fibres"], shown["nuclei"]) == (True, False, False, False)
    assert dock.workspace.session is None
    viewer.layers["fibres"].visible = True
    shown = {layer.name: layer.visible for layer in viewer.layers}
    assert (shown["other.tif"], shown["section.tif"], shown["fibres"], shown["nuclei"]) == (False, True, True, True)
    assert dock.workspace.session is first
    assert dock.workspace.layers.fibres == viewer.layers["fibres"]
    viewer.layers["other.tif"].visible = True
    shown = {layer.name: layer.visible for layer in viewer.layers}
    assert (shown["other.tif"], shown["section.tif"], shown["fibres"], shown["nuclei"]) == (True, False, False, False)
    assert dock.workspace.session is None
    dock.close()


def test_two_slides_of_one_name_and_size_are_not_mixed(viewer: napari.Viewer, qtbot: Any, folder: Path, tmp_path: Path) -> None:
    """The result lies over its own slide alone, whichever of the two is shown."""
    drop(viewer, folder)
    dock = wait_for_dock(viewer, qtbot)
    (tmp_path / "elsewhere").mkdir()
    drop(viewer, write_pyramid(painted().rgb[::-1], tmp_path / "elsewhere" / "section.tif"))
    shown = {layer.name: layer.visible for layer in viewer.layers}
    assert (shown["section.tif [1]"], shown["section.tif"], shown["fibres"], shown["nuclei"]) == (True, False, False, False)
    assert dock.workspace.session is None
    viewer.layers["fibres"].visible = True
    shown = {layer.name: layer.visible for layer in viewer.layers}
    assert (shown["section.tif [1]"], shown["section.tif"], shown["fibres"], shown["nuclei"]) == (False, True, True, True)
    dock.close()

"""Running from the window: a real child process that works, is stopped, fails and crashes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from qtpy.QtCore import Qt

from biopsy_analyzer.batch.lock import PLACE
from biopsy_analyzer.report.saved import read_document
from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from biopsy_analyzer.viewer.run_tab import _STAGES, SHAPE, VIEW
from painted_slide import painted, write_pyramid
from tiny_models import write_tiny_models

WAIT_MS = 180_000


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def dock(make_napari_viewer: Callable[..., napari.Viewer], analysed: Path, tmp_path: Path, tiny_models: Path) -> Iterator[BiopsyAnalyzer]:
    viewer = make_napari_viewer()
    dock = BiopsyAnalyzer(viewer)
    viewer.open(str(analysed / "section.tif"), plugin="biopsy-analyzer")
    page = dock.pages["Run"]
    page.out.setText(str(tmp_path / "out"))
    page.models.setText(str(tiny_models))
    page.device.setCurrentText("cpu")
    yield dock
    dock.close()


def press(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def wait_for_end(qtbot: Any, dock: BiopsyAnalyzer) -> str:
    qtbot.waitUntil(lambda: dock.pages["Run"].process is None, timeout=WAIT_MS)
    assert dock.pages["Run"].run.isEnabled()
    assert not dock.pages["Run"].cancel.isEnabled()
    return dock.pages["Run"].message.text()


def test_a_run_opens_its_result(dock: BiopsyAnalyzer, qtbot: Any, tmp_path: Path) -> None:
    stages: list[str] = []
    say = dock.pages["Run"]._say
    dock.pages["Run"]._say = lambda text: (stages.append(text), say(text))
    press(qtbot, dock.pages["Run"].run)
    assert not dock.pages["Run"].run.isEnabled()
    assert wait_for_end(qtbot, dock).startswith("Done")
    assert {"finding fibres", "finding nuclei", "measuring"} <= set(stages)
    assert dock.workspace.session is not None
    assert dock.workspace.session.folder == tmp_path / "out" / "section"
    assert [layer.name for layer in dock.workspace.viewer.layers][:2] == ["section.tif", "fibres"]


def test_the_result_opens_over_the_slide_that_was_analysed(dock: BiopsyAnalyzer, qtbot: Any, analysed: Path, tmp_path: Path) -> None:
    """Another slide of the same name and size is opened while it runs: at the end that one is hidden, and stays as it is."""
    viewer = dock.workspace.viewer
    press(qtbot, dock.pages["Run"].run)
    viewer.open(str(write_pyramid(painted().rgb[::-1], tmp_path / "section.tif")), plugin="biopsy-analyzer")
    assert [layer.visible for layer in viewer.layers] == [False, True]
    assert wait_for_end(qtbot, dock).startswith("Done")
    assert dock.workspace.session is not None
    assert dock.workspace.session.slide is not None
    assert dock.workspace.session.slide.path == analysed / "section.tif"
    assert [layer.visible for layer in viewer.layers][:3] == [True, False, True]


def test_a_region_is_handed_over(dock: BiopsyAnalyzer, qtbot: Any, tmp_path: Path) -> None:
    page = dock.pages["Run"]
    page.region.setCurrentText(SHAPE)
    press(qtbot, page.run)
    assert "Add a Shapes layer" in page.message.text()
    corners = np.array([(50, 50), (50, 300), (250, 300), (250, 50)])
    dock.workspace.viewer.add_shapes([corners * 2], shape_type="polygon", scale=(0.5, 0.5), units=("um", "um"))
    press(qtbot, page.run)
    assert wait_for_end(qtbot, dock).startswith("Done")
    document = read_document(tmp_path / "out" / "section")
    assert np.allclose(document["region_um"], corners)
    assert 0.045 < document["quality"]["tissue_area_mm2"] < 0.055  # 250 x 200 um, in pixels of 4 um


def test_the_view_is_a_region(dock: BiopsyAnalyzer) -> None:
    page = dock.pages["Run"]
    page.region.setCurrentText(VIEW)
    top, left, bottom, right = dock.workspace.view_um()
    assert page._polygon() == [[top, left], [top, right], [bottom, right], [bottom, left]]


def test_cancel_ends_it_without_a_result(dock: BiopsyAnalyzer, qtbot: Any, analysed: Path, tmp_path: Path) -> None:
    """A section of 16 times the size: when its first progress is told, far more work is ahead than a hand takes to click."""
    viewer, page = dock.workspace.viewer, dock.pages["Run"]
    viewer.layers.clear()
    viewer.open(str(write_pyramid(np.tile(painted().rgb, (4, 4, 1)), tmp_path / "large.tif")), plugin="biopsy-analyzer")
    page.out.setText(str(tmp_path / "out"))
    press(qtbot, page.run)
    qtbot.waitUntil(lambda: page.message.text() in _STAGES.values(), timeout=WAIT_MS)  # whichever it tells when it is looked at
    child = page.process.processId()
    os.kill(child, 0)
    press(qtbot, page.cancel)
    assert page.message.text() == "Stopping"
    assert wait_for_end(qtbot, dock) == "Stopped. No unfinished result was written."
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    left = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [path for path in left if path.parts[0] != PLACE] == []  # a lock there, which the system freed, is taken over by the next run
    assert dock.workspace.session is None


def test_a_crash_of_the_reader_leaves_napari_alone(dock: BiopsyAnalyzer, qtbot: Any, tmp_path: Path) -> None:
    page = dock.pages["Run"]
    press(qtbot, page.run)
    qtbot.waitUntil(lambda: page.process.processId() > 0)
    os.kill(page.process.processId(), signal.SIGABRT)
    assert "crashed" in wait_for_end(qtbot, dock)
    assert not (tmp_path / "out" / "section" / "scores.json").exists()


def test_an_error_is_its_one_line(dock: BiopsyAnalyzer, qtbot: Any, tmp_path: Path) -> None:
    dock.pages["Run"].models.setText(str(tmp_path / "nothing"))
    press(qtbot, dock.pages["Run"].run)
    assert "nothing" in wait_for_end(qtbot, dock)
    dock.pages["Run"].out.setText(" ")
    press(qtbot, dock.pages["Run"].run)
    assert dock.pages["Run"].message.text() == "Results into: no folder is given. Choose one."


def test_an_analysis_does_not_outlive_its_window(dock: BiopsyAnalyzer, qtbot: Any) -> None:
    press(qtbot, dock.pages["Run"].run)
    qtbot.waitUntil(lambda: dock.pages["Run"].process.processId() > 0)
    child = dock.pages["Run"].process.processId()
    dock.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)

"""Take the pictures of docs/plugin.md, docs/images/plugin_*.jpg: whole windows over the sample slides, in an X server of their own.

    python docs/make_screenshots.py [FOLDER]

Needs Xvfb (scripts/debian_packages). The sample slides are drawings: no picture shows real tissue.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIZE = 1500, 900
QUALITY = 85  # a palette of few colours would be smaller and lose those of the legend


def main(out: Path) -> None:
    """All pictures into `out`."""
    if "BIOPSY_SCREENSHOTS" not in os.environ:
        os.environ["BIOPSY_SCREENSHOTS"] = "1"
        os.environ["LOGNAME"] = "reader"  # who corrects
        screen = f"-screen 0 {SIZE[0] + 20}x{SIZE[1] + 20}x24"
        raise SystemExit(subprocess.call(["xvfb-run", "-a", "-s", screen, sys.executable, __file__, str(out)]))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "sample_slides" / "necrotizing.tif", folder)
        _take_all(Path(folder) / "necrotizing.tif", out)


def _take_all(slide: Path, out: Path) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    viewer.open(str(slide), plugin="biopsy-analyzer")
    _, dock = viewer.window.add_plugin_dock_widget("biopsy-analyzer", "Biopsy Analyzer")
    run = dock.pages["Run"]
    dock.tabs.setCurrentWidget(run)
    run.out.setText(str(slide.parent / "results"))
    run.run.click()
    _wait(lambda: "nuclei" in run.message.text())
    run.out.setText("/data/results")  # the folder of this run is nobody's
    _take(viewer, out, "run")
    _wait(lambda: run.process is None)
    take_result(viewer, dock, out)
    viewer.close()


def take_result(viewer: Any, dock: Any, out: Path) -> None:
    """The pictures of a result that is open: seen, looked up, corrected, exported, read blind."""
    from qtpy.QtCore import Qt

    scores, fibres, correct, export, blind = (dock.pages[name] for name in ("Scores", "Fibres", "Correct", "Export", "Blind reading"))
    viewer.layers.selection.active = viewer.layers[0]
    dock.tabs.setCurrentWidget(scores)
    _wait(lambda: scores.pictures.count() == 3 and scores.inner.height() > 900)
    viewer.reset_view()
    _take(viewer, out, "scores")
    dock.tabs.setCurrentWidget(fibres)
    fibres.view.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    fibres.review(1)
    _take(viewer, out, "fibres")
    dock.tabs.setCurrentWidget(correct)
    for state in (1, 3, 0):
        correct.call(state)
        fibres.review(1)
    correct.delete()
    fibres.review(1)
    _take(viewer, out, "correct")
    dock.workspace.look_at(250.0, 350.0)
    dock.legend.filled.click()
    dock.tabs.setCurrentWidget(export)
    _take(viewer, out, "filled")
    export.save_view(out / "view.png")
    _save(out / "view.png", out / "plugin_view.jpg")
    dock.legend.filled.click()
    dock.tabs.setCurrentWidget(blind)
    blind.reader.setText("Reader A")
    blind.begin.click()
    viewer.reset_view()
    _take(viewer, out, "blind")
    blind.end.click()


def _take(viewer: Any, out: Path, name: str) -> None:
    _wait(lambda: False, most_s=2.0)
    whole = out / "whole.png"
    viewer.screenshot(str(whole), canvas_only=False, flash=False)
    _save(whole, out / f"plugin_{name}.jpg")


def _save(png: Path, jpeg: Path) -> None:
    from PIL import Image

    with Image.open(png) as picture:
        picture.convert("RGB").save(jpeg, quality=QUALITY, optimize=True)
    png.unlink()


def _wait(done: Callable[[], bool], most_s: float = 600.0) -> None:
    """Let the window live until `done` or for `most_s`."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + most_s
    while time.monotonic() < end and not done():
        QApplication.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")

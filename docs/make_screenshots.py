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

ROOT = Path(__file__).resolve().parents[1]
SIZE = 1500, 900
QUALITY = 85  # a palette of few colours would be smaller and lose those of the legend


def main(out: Path) -> None:
    """All pictures into `out`."""
    if "BIOPSY_SCREENSHOTS" not in os.environ:
        os.environ["BIOPSY_SCREENSHOTS"] = "1"
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
    take = _camera(viewer, out)
    run, scores, fibres, export = (dock.pages[name] for name in ("Run", "Scores", "Fibres", "Export"))
    dock.tabs.setCurrentWidget(run)
    run.out.setText(str(slide.parent / "results"))
    run.run.click()
    _wait(lambda: "nuclei" in run.message.text())
    run.out.setText("/data/results")  # the folder of this run is nobody's
    take("run")
    _wait(lambda: run.process is None)
    _wait(lambda: scores.pictures.count() == 3)
    viewer.reset_view()
    take("scores")
    dock.tabs.setCurrentWidget(fibres)
    fibres.only.setCurrentText("necrotic")
    fibres.review(1)
    take("fibres")
    dock.tabs.setCurrentWidget(dock.pages["Correct"])
    take("correct")
    dock.legend.filled.click()
    dock.tabs.setCurrentWidget(export)
    take("filled")
    export.save_view(slide.parent / "view.png")
    _save(slide.parent / "view.png", out / "plugin_view.jpg")
    viewer.close()


def _camera(viewer: object, out: Path) -> Callable[[str], None]:
    def take(name: str) -> None:
        _wait(lambda: False, most_s=2.0)
        whole = out / "whole.png"
        viewer.screenshot(str(whole), canvas_only=False, flash=False)  # type: ignore[attr-defined]
        _save(whole, out / f"plugin_{name}.jpg")

    return take


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

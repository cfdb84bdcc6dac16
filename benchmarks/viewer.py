"""How fluid the viewer is: a frame, a click and a correction with 20,000 fibres and 200,000 nuclei over a slide of 19,880 x 19,880 px.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/viewer.py

A made-up result (benchmarks/corrections.py) on a synthetic slide; the whole path from files on disk to pixels on the canvas. Prints CPU
seconds, and seconds on the clock, which other work on the machine lengthens. Under Xvfb the processor draws (llvmpipe): a graphics card
only makes it faster. What is done once a session (opening) is measured once, the rest as the median of some rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import tifffile
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication, QWidget

sys.path.insert(0, str(Path(__file__).resolve().parent))

from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from biopsy_analyzer.viewer.layers import slide_layer
from biopsy_analyzer.viewer.session import open_session
from corrections import STEP_UM, make_result

UM_PER_PX, TILE_PX = 0.5, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fibres", type=int, default=20_000, help="ten times as many nuclei")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), arguments.fibres)


def measure(folder: Path, n_fibres: int) -> None:
    extent_um = int(np.ceil(np.sqrt(n_fibres))) * STEP_UM
    make_result(folder, n_fibres)
    slide = open_slide(write_slide(folder / "lattice.tif", round(extent_um / UM_PER_PX)))
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 900)
    dock = BiopsyAnalyzer(viewer)
    viewer.window.add_dock_widget(dock, name="Biopsy Analyzer")
    settle(viewer)
    data, facts, _ = slide_layer(slide)
    report("open the slide", lambda: viewer.add_image(data, **facts))
    report("open the result", lambda: dock.workspace.open(open_session(folder, slide)))
    look_around(viewer, dock, extent_um)
    work(viewer, dock, n_fibres)
    viewer.close()


def look_around(viewer: napari.Viewer, dock: BiopsyAnalyzer, extent_um: float) -> None:
    """Frames of moving and zooming at three distances."""
    camera, middle = viewer.scene.camera, extent_um / 2
    for name, width_um in (("whole section", extent_um), ("2 mm wide", 2000.0), ("0.5 mm wide", 500.0)):
        camera.center, camera.zoom = (0.0, middle, middle), viewer.canvas.size[1] / width_um
        settle(viewer)
        places, zooms = iter(np.arange(1, 100) * width_um / 20), iter(1.03 ** np.arange(1, 100))
        zoom = camera.zoom

        def pan(places: object = places) -> None:
            camera.center = (0.0, middle, middle + next(places))  # type: ignore[call-overload]

        def closer(zooms: object = zooms, zoom: float = zoom) -> None:
            camera.zoom = zoom * next(zooms)  # type: ignore[call-overload]

        report(f"frame while moving, {name}", lambda pan=pan: frame(viewer, pan), times=9)  # type: ignore[misc]
        report(f"frame while zooming, {name}", lambda closer=closer: frame(viewer, closer), times=9)  # type: ignore[misc]
        report(f"nuclei when at rest, {name}", lambda: frame(viewer, dock.workspace.show_nuclei_in_view), times=3)


def work(viewer: napari.Viewer, dock: BiopsyAnalyzer, n_fibres: int) -> None:
    """Clicks and corrections, at 0.5 mm, each until canvas, table, legend and scores have followed."""
    session, fibres = dock.workspace.session, dock.pages["Fibres"]
    assert session is not None
    dock.tabs.setCurrentWidget(fibres)
    numbers = iter(range(n_fibres // 2, n_fibres, 3))

    def click() -> None:
        row = session.row("fibres", next(numbers))
        found = session.at(float(row["y_um"]), float(row["x_um"]), nuclei=False)  # type: ignore[index]
        assert found is not None
        session.select(*[found[0], [found[1]]])

    report("click, its row and reason", lambda: frame(viewer, click), times=5)
    report("sort the table", lambda: fibres.model.sort(3), times=3)
    report("next doubtful fibre", lambda: frame(viewer, lambda: fibres.review(1)), times=3)
    page = dock.pages["Correct"]
    dock.tabs.setCurrentWidget(page)
    session.select("fibres", [n_fibres // 2])
    page.call(3)  # opens the journal
    states = iter((1, 0, 2, 3, 1))
    report("a state by its key, scores and all", lambda: frame(viewer, lambda: page.call(next(states))), times=5)
    report("undo", lambda: frame(viewer, page.undo), times=3)

    def delete() -> None:
        session.select("fibres", [next(numbers)])
        page.delete()

    def take_pen() -> None:
        session.select("fibres", [next(numbers)])
        page.split()

    def split() -> None:
        middle = session.row("fibres", session.selected[1][0])[["y_um", "x_um"]].to_numpy(dtype=float)  # type: ignore[index]
        page.pen.finish(middle + np.array([(-40.0, 3.0), (40.0, 3.0)]))

    report("delete a fibre, scores and all", lambda: frame(viewer, delete), times=3)
    report("split a fibre, scores and all", lambda: frame(viewer, split), times=3, before=lambda: frame(viewer, take_pen))
    score = FirstPaint(page.scores)
    print(f"delete a fibre, score seen {np.median([score.after(lambda: frame(viewer, delete)) for _ in range(3)]):.2f} s", flush=True)
    waits = []
    for _ in range(3):
        frame(viewer, take_pen)
        waits.append(score.after(lambda: frame(viewer, split)))
    print(f"split a fibre, score seen {np.median(waits):.2f} s", flush=True)


def report(name: str, act: Callable[[], object], times: int = 1, before: Callable[[], object] = lambda: None) -> None:
    """Print the median of `times` calls; `before` each, what is not measured."""
    spent = []
    for _ in range(times):
        before()
        QApplication.processEvents()
        cpu, clock = sum(os.times()[:2]), time.perf_counter()
        act()
        QApplication.processEvents()
        spent.append((sum(os.times()[:2]) - cpu, time.perf_counter() - clock))
    cpu, clock = np.median(spent, axis=0)
    print(f"{name:<36} {cpu:6.2f} CPU s {clock:6.2f} s", flush=True)


class FirstPaint(QObject):
    """When a widget is painted first after something was done."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        self.seen: list[float] = []
        widget.installEventFilter(self)

    def eventFilter(self, _: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.Paint:
            self.seen.append(time.perf_counter())
        return False

    def after(self, act: Callable[[], object]) -> float:
        QApplication.processEvents()
        self.seen.clear()
        began = time.perf_counter()
        act()
        QApplication.processEvents()
        return self.seen[0] - began


def frame(viewer: napari.Viewer, act: Callable[[], object]) -> None:
    act()
    viewer.screenshot(canvas_only=True, flash=False)


def settle(viewer: napari.Viewer) -> None:
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        QApplication.processEvents()
    viewer.screenshot(canvas_only=True, flash=False)


def write_slide(path: Path, edge_px: int) -> Path:
    """A tiled JPEG pyramid in the colours of H&E: one tile over and over, and on each coarser level the same shrunk."""
    rng = np.random.default_rng(0)
    rough = rng.normal((214, 120, 170), 25, (TILE_PX // 16, TILE_PX // 16, 3)).repeat(16, axis=0).repeat(16, axis=1)
    tile = np.clip(rough + rng.normal(0, 8, (TILE_PX, TILE_PX, 3)), 0, 255).astype(np.uint8)
    facts = {"tile": (TILE_PX, TILE_PX), "photometric": "rgb", "compression": "jpeg"}
    sizes = [edge_px >> k for k in range(8) if edge_px >> k > 500]
    resolution = {"resolution": (1e4 / UM_PER_PX,) * 2, "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for k, size in enumerate(sizes):
            small = tile.reshape(TILE_PX >> k, 1 << k, TILE_PX >> k, 1 << k, 3).mean(axis=(1, 3)).round().astype(np.uint8)
            whole = np.tile(small, (1 << k, 1 << k, 1))
            more = {"subifds": len(sizes) - 1, **resolution} if k == 0 else {"subfiletype": 1}
            tiles = (whole for _ in range((-(-size // TILE_PX)) ** 2))
            file.write(tiles, shape=(size, size, 3), dtype=np.uint8, **facts, **more)
    return path


if __name__ == "__main__":
    main()

"""How fluid the viewer is: CPU seconds a frame with 20,000 fibres and 200,000 nuclei over a slide of 16,000 x 16,000 px.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/viewer.py

A made-up result on a synthetic slide; the whole path from tables and label images on disk to pixels on the canvas. Under Xvfb drawing
is by the CPU (llvmpipe): a graphics card only makes it faster. Other work on the machine does not count, waiting for disks does not.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import pandas as pd
import tifffile
from qtpy.QtWidgets import QApplication

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.labels import read_labels, write_labels
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.report.saved import Saved
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import CLUSTERS, FIBRE_STATES, FIBRES, NUCLEI, NUCLEUS_TYPES, empty, typed
from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from biopsy_analyzer.viewer.layers import slide_layer
from biopsy_analyzer.viewer.session import Session

STEP_UM, UM_PER_PX, LABEL_UM_PER_PX = 56.0, 0.5, 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fibres", type=int, default=20_000)
    parser.add_argument("--nuclei", type=int, default=200_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), arguments.fibres, arguments.nuclei)


def measure(folder: Path, n_fibres: int, n_nuclei: int) -> None:
    side = int(np.ceil(np.sqrt(n_fibres)))
    extent_um = side * STEP_UM
    slide = open_slide(write_slide(folder / "slide.tif", round(extent_um / UM_PER_PX)))
    session = made_session(folder, side, n_fibres, n_nuclei)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 900)
    dock = BiopsyAnalyzer(viewer)
    viewer.window.add_dock_widget(dock, name="Biopsy Analyzer")
    data, facts, _ = slide_layer(slide)
    report("open the slide", lambda: viewer.add_image(data, **facts))
    report("open the result", lambda: dock.workspace.open(session))
    camera = viewer.scene.camera
    middle = extent_um / 2
    for name, width_um in (("whole section", extent_um), ("2 mm wide", 2000.0), ("0.5 mm wide", 500.0)):
        camera.center, camera.zoom = (0.0, middle, middle), viewer.canvas.size[1] / width_um
        settle(viewer)
        steps = iter(np.arange(1, 100) * width_um / 20)

        def pan(steps: object = steps) -> None:
            camera.center = (0.0, middle, middle + next(steps))  # type: ignore[call-overload]

        report(f"pan by a twentieth, {name}", lambda pan=pan: frame(viewer, pan), times=5)  # type: ignore[misc]
        report(f"come to rest, {name}", lambda: frame(viewer, dock.workspace.show_nuclei_in_view))
    ids = session.fibres["fibre_id"].to_numpy()
    report("select a fibre", lambda: session.select("fibres", [int(ids[len(ids) // 2])]), times=5)
    report("what lies at a place", lambda: session.at(middle, middle), times=5)
    report("show a changed state", lambda: session.show(session.fibres, session.nuclei, session.clusters, session.document), times=3)
    report("sort the table", lambda: dock.pages["Fibres"].model.sort(3), times=3)
    viewer.close()


def report(name: str, act: Callable[[], object], times: int = 1) -> None:
    """Print the CPU seconds of the quickest of `times` calls."""
    spent = []
    for _ in range(times):
        before = sum(os.times()[:2])
        act()
        QApplication.processEvents()
        spent.append(sum(os.times()[:2]) - before)
    print(f"{name:<36} {min(spent):6.2f} s", flush=True)


def frame(viewer: napari.Viewer, act: Callable[[], object]) -> None:
    act()
    viewer.screenshot(canvas_only=True, flash=False)


def settle(viewer: napari.Viewer) -> None:
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        QApplication.processEvents()
    viewer.screenshot(canvas_only=True, flash=False)


def write_slide(path: Path, edge_px: int) -> Path:
    """A tiled JPEG pyramid of noise in the colours of H&E."""
    rng = np.random.default_rng(0)
    tile = np.clip(rng.normal((214, 120, 170), 25, (512, 512, 3)), 0, 255).astype(np.uint8)
    facts = {"tile": (512, 512), "photometric": "rgb", "compression": "jpeg"}
    sizes = [edge_px >> k for k in range(0, 8) if edge_px >> k > 500]
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for k, size in enumerate(sizes):
            many = (-(-size // 512)) ** 2
            more = (
                {"subifds": len(sizes) - 1, "resolution": (1e4 / UM_PER_PX,) * 2, "resolutionunit": "CENTIMETER"}
                if k == 0
                else {"subfiletype": 1}
            )
            file.write((tile for _ in range(many)), shape=(size, size, 3), dtype=np.uint8, **facts, **more)
    return path


def made_session(folder: Path, side: int, n_fibres: int, n_nuclei: int) -> Session:
    """Square fibres in rows, nuclei anywhere."""
    rng = np.random.default_rng(0)
    edge = round(STEP_UM / LABEL_UM_PER_PX)
    ids = np.zeros(side * side, np.int32)
    ids[:n_fibres] = np.arange(1, n_fibres + 1)
    labels = ids.reshape(side, side).repeat(edge, axis=0).repeat(edge, axis=1)
    labels[::edge], labels[:, ::edge] = 0, 0
    grid = PixelGrid(labels.shape, LABEL_UM_PER_PX)
    write_labels(Labels(labels, grid), Labels(np.zeros((64, 64), np.int32), PixelGrid((64, 64), UM_PER_PX)), folder)
    place = np.arange(n_fibres)
    where = {
        "y_um": (place // side + 0.5) * STEP_UM,
        "x_um": (place % side + 0.5) * STEP_UM,
        "max_feret_um": 79.0,
        "area_um2": rng.normal(3000, 300, n_fibres),
    }
    states = rng.choice(FIBRE_STATES, n_fibres, p=(0.8, 0.1, 0.05, 0.05))
    fibres = table(FIBRES, n_fibres, fibre_id=place + 1, state=states, assessable=True, probability=rng.uniform(0.4, 1, n_fibres), **where)
    at = rng.uniform(0, side * STEP_UM, (n_nuclei, 2))
    nuclei = table(
        NUCLEI, n_nuclei, nucleus_id=np.arange(1, n_nuclei + 1), type=rng.choice(NUCLEUS_TYPES, n_nuclei), y_um=at[:, 0], x_um=at[:, 1]
    )
    saved = Saved(folder, document(side * STEP_UM), fibres, nuclei, empty(CLUSTERS))
    found = read_labels(folder)
    return Session(saved, {"fibres": found.fibres, "nuclei": found.nuclei})


def table(columns: dict[str, str], rows: int, **known: object) -> pd.DataFrame:
    usual = {"str": "", "bool": False, "int32": 0, "float64": 0.5}
    return typed(pd.DataFrame({name: known.get(name, usual[kind]) for name, kind in columns.items()}, index=range(rows)), columns)


def document(edge_um: float) -> dict[str, object]:
    """scores.json of a section that was not assessed: the panel shows that."""
    from biopsy_analyzer.score import unassessed

    px = round(edge_um / UM_PER_PX)
    slide = {
        "id": "made",
        "file_name": "made.tif",
        "sha256": "",
        "um_per_px": UM_PER_PX,
        "um_per_px_source": "made",
        "width_px": px,
        "height_px": px,
    }
    return {
        "status": "review",
        "slide": slide,
        "quality": {"tissue_area_mm2": edge_um**2 / 1e6, "flags": []},
        **unassessed("made up").model_dump(mode="json"),
    }


if __name__ == "__main__":
    main()

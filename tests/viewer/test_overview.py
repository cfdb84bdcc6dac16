"""Slides of a gigapixel, and slides without coarser levels: what is decoded when they are opened, counted, and what is seen."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from biopsy_analyzer.slide import Slide, open_slide
from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from biopsy_analyzer.viewer.overview import UNREAD, OverviewLevel
from biopsy_analyzer.viewer.pyramid import slide_pyramid

TILE_PX, UM_PER_PX = 512, 0.25
LEFT, RIGHT = (220, 60, 140), (90, 40, 160)
"""Colours of a slide's halves."""


def write_sparse(path: Path, side_px: int, levels: int) -> Path:
    """A BigTIFF of two colours, whose tiles are compressed once: a gigapixel takes some MB and no time."""
    left, right = (zlib.compress(np.full((TILE_PX, TILE_PX, 3), colour, np.uint8).tobytes(), 9) for colour in (LEFT, RIGHT))
    facts: dict[str, Any] = {"tile": (TILE_PX, TILE_PX), "photometric": "rgb", "compression": "zlib", "dtype": np.uint8}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for k in range(levels):
            across = (side_px >> k) // TILE_PX
            tiles = [left] * (across // 2) + [right] * (across // 2)
            size: dict[str, Any] = {"subfiletype": 1}
            if k == 0:
                size = {"subifds": levels - 1, "resolution": (1e4 / UM_PER_PX,) * 2, "resolutionunit": "CENTIMETER"}
            file.write((tile for _ in range(across) for tile in tiles), shape=(side_px >> k, side_px >> k, 3), **facts, **size)
    return path


@pytest.fixture
def window(make_napari_viewer: Callable[..., napari.Viewer]) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 800)
    dock = BiopsyAnalyzer(viewer)
    viewer.window.add_dock_widget(dock, name="Biopsy Analyzer")
    yield dock
    dock.close()


def colours_across(viewer: napari.Viewer) -> np.ndarray:
    """Of the canvas, at a fourth and three fourths of the slide's width."""
    QApplication.processEvents()
    canvas = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    height, width = canvas.shape[:2]
    half = min(height, width) // 5
    return canvas[height // 2, [width // 2 - half, width // 2 + half]]


def test_a_gigapixel_opens_in_um_and_decodes_what_is_seen(window: Any, tmp_path: Path) -> None:
    side = 32_768
    path = write_sparse(tmp_path / "giga.tif", side, levels=5)
    viewer = window.workspace.viewer
    (layer,) = viewer.open(str(path), plugin="biopsy-analyzer")
    (slide,) = window.workspace.slides()
    viewer.reset_view()
    assert np.abs(colours_across(viewer) - [LEFT, RIGHT]).max() <= 2
    in_all = (side // TILE_PX) ** 2
    assert slide.shape == (side, side)
    assert in_all == 4096
    assert slide.tiles_decoded < 100
    assert np.allclose(layer.extent.world[1, -2:] + UM_PER_PX / 2, side * UM_PER_PX)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert viewer.canvas.overlays.scale_bar.visible
    before = slide.tiles_decoded
    window.workspace.look_at(side * UM_PER_PX / 2, side * UM_PER_PX / 2)
    assert np.abs(colours_across(viewer) - [LEFT, RIGHT]).max() <= 2
    assert 0 < slide.tiles_decoded - before < 50


def test_without_levels_the_overview_is_read_while_the_window_lives(
    window: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window's own thread reads nothing of it: with reading held back it opens all the same, grey."""
    path = write_sparse(tmp_path / "flat.tif", 16_384, levels=1)
    go_on, read, readers = threading.Event(), Slide.read, set()

    def held_back(slide: Slide, grid: Any) -> np.ndarray:
        readers.add(threading.current_thread().name)
        go_on.wait(300)
        return read(slide, grid)

    monkeypatch.setattr(Slide, "read", held_back)
    viewer = window.workspace.viewer
    viewer.open(str(path), plugin="biopsy-analyzer")
    viewer.reset_view()
    assert (colours_across(viewer) == UNREAD).all()
    assert "stores no overview; it is being read: 0%" in window.status.text()
    go_on.set()
    qtbot.waitUntil(lambda: "complete" in window.status.text(), timeout=60_000)
    assert np.abs(colours_across(viewer) - [LEFT, RIGHT]).max() <= 2
    assert readers == {"overview"}
    (slide,) = window.workspace.slides()
    assert slide.tiles_decoded == (16_384 // TILE_PX) ** 2  # each once


def test_the_overview_is_what_the_slide_reads(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (700, 9001, 3), np.uint8)
    tifffile.imwrite(tmp_path / "flat.tif", rgb, tile=(256, 256), photometric="rgb")
    with open_slide(tmp_path / "flat.tif", um_per_px=0.5) as slide:
        before = slide.tiles_decoded
        levels = slide_pyramid(slide)
        assert [level.shape for level in levels] == [(700, 9001, 3), (350, 4501, 3), (175, 2251, 3), (88, 1126, 3)]
        assert slide.tiles_decoded == before
        held = levels[3]
        assert isinstance(held, OverviewLevel)
        finish(held)
        assert np.array_equal(np.asarray(held), slide.read(slide.grid(4.0)))
        coarser = OverviewLevel(held.overview, (22, 282), 4)
        wanted = slide.read(slide.grid(16.0)).astype(int)
        assert np.abs(np.asarray(coarser)[:21, :281].astype(int) - wanted[:21, :281]).max() <= 1  # beyond lies white, or the rim itself
        assert np.array_equal(coarser[3:7, 10:20], np.asarray(coarser)[3:7, 10:20])


def test_where_the_file_is_damaged_the_overview_says_so(window: Any, qtbot: Any, tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "broken.tif", 16_384, levels=1)
    with tifffile.TiffFile(path) as file:
        offsets = file.pages[0].dataoffsets  # type: ignore[union-attr]
    with path.open("r+b") as broken:
        for offset in offsets:
            broken.seek(offset)
            broken.write(b"no zlib")
    window.workspace.viewer.open(str(path), plugin="biopsy-analyzer")
    qtbot.waitUntil(lambda: "can't be decoded" in window.status.text(), timeout=60_000)


def test_nothing_is_read_any_more_when_nobody_looks(tmp_path: Path) -> None:
    slide = open_slide(write_sparse(tmp_path / "flat.tif", 16_384, levels=1))
    levels = slide_pyramid(slide)
    levels[-1][:10, :10]
    thread = next(one for one in threading.enumerate() if one.name == "overview")
    del levels
    assert not thread.is_alive()
    assert slide.tiles_decoded < (16_384 // TILE_PX) ** 2
    slide.close()


def finish(level: OverviewLevel) -> None:
    level[:1, :1]
    for thread in threading.enumerate():  # none where it was quicker than this line
        if thread.name == "overview":
            thread.join()

"""A display for real windows, and a result to open: a painted slide of 8 x 8 fibres, analysed by networks that read its colours."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.viewer.session import Session, open_session
from painted_slide import painted, write_pyramid
from sections import colour_models

if TYPE_CHECKING:  # the display has to be there before Qt
    import napari

    from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
    from hand import Hand

PATIENCE_MS = 300_000
SERVERS: list[subprocess.Popen[bytes]] = []


def _stop_server() -> None:
    SERVERS[-1].terminate()
    SERVERS[-1].wait()


@pytest.fixture(scope="session", autouse=True)
def display() -> None:
    """An X server of its own for each test process: windows are real, and nothing flickers on a screen that someone looks at.

    It ends itself with its last window (-terminate): stopped here, before Qt is, it would tear Qt down with it.
    """
    server = shutil.which("Xvfb")
    if server is None:
        pytest.fail("Xvfb is missing; scripts/debian_packages installs what windows need")
    reader, writer = os.pipe()
    command = [server, "-displayfd", str(writer), "-screen", "0", "1600x1000x24", "-nolisten", "tcp", "-terminate"]
    SERVERS.append(subprocess.Popen(command, pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    atexit.register(_stop_server)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        number = pipe.readline().strip()
    for name in ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        os.environ.pop(name, None)
    os.environ["DISPLAY"] = f":{number}"


@pytest.fixture
def qtbot(qtbot: Any) -> Any:
    """pytest-qt's with more patience than 5 s: a loaded machine shows things late. A wait ends with what is waited for."""
    until = qtbot.waitUntil
    qtbot.waitUntil = lambda true, *, timeout=0: until(true, timeout=max(timeout, PATIENCE_MS))
    return qtbot


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with section.tif and results/section/."""
    folder = tmp_path_factory.mktemp("viewer")
    with open_slide(write_pyramid(painted().rgb, folder / "section.tif")) as slide:
        write_result(analyze_slide(slide, colour_models()), folder / "results")
    return folder


@pytest.fixture
def folder(analysed: Path, tmp_path: Path) -> Path:
    """A copy that a test may change: tmp_path/section.tif and the result folder, which is given."""
    shutil.copytree(analysed, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results" / "section"


@pytest.fixture
def session(folder: Path) -> Session:
    return open_session(folder)


@pytest.fixture
def opened(make_napari_viewer: Callable[..., napari.Viewer], qtbot: Any, folder: Path) -> Iterator[BiopsyAnalyzer]:
    """A real window with the result open in it."""
    from hand import open_result

    dock = open_result(make_napari_viewer(show=True), qtbot, folder)
    yield dock
    dock.close()


@pytest.fixture
def hand(opened: BiopsyAnalyzer, qtbot: Any) -> Hand:
    """Who works at that window."""
    from hand import Hand

    return Hand(qtbot, opened)

"""A real window in a real process, killed in the middle of corrections: what was done is there when the result is opened again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari

from biopsy_analyzer.report.saved import read_saved
from hand import open_result

SCRIPT = Path(__file__).with_name("editing_window.py")
EDITS = 9  # after so many it is killed, whatever it is doing then


def killed_while_correcting(folder: Path) -> list[tuple[int, str]]:
    """What the window said it had done: fibres and their states."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen([sys.executable, str(SCRIPT), str(folder)], stdout=subprocess.PIPE, text=True, env=environment) as window:
        assert window.stdout is not None
        lines = [window.stdout.readline() for _ in range(EDITS)]
        window.send_signal(signal.SIGKILL)
        assert window.wait() == -signal.SIGKILL
        lines += window.stdout.readlines()  # it went on until the kill
    return [(int(number), state) for number, state in (line.split() for line in lines if line.endswith("\n"))]


def test_all_edits_before_a_kill_are_there(make_napari_viewer: Callable[..., napari.Viewer], qtbot: Any, folder: Path) -> None:
    machine = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = killed_while_correcting(folder)
    assert len(done) >= EDITS
    dock = open_result(make_napari_viewer(show=True), qtbot, folder)
    session = dock.workspace.session
    assert session is not None
    for fibre, state in done:
        row = session.row("fibres", fibre)
        assert (row is None) if state == "deleted" else (row is not None and row["state"] == state)
    shown = dock.pages["Correct"].edits.count()
    assert shown - len(done) in (0, 1)  # one more may have been on the disk and not yet on the screen
    assert session.document["corrections"]["edits"] == shown
    assert read_saved(folder).document["corrections"] is None
    assert {name: (folder / name).read_bytes() for name in machine} == machine
    dock.close()

"""A window in a process of its own that corrects without end, until it is killed: python editing_window.py RESULT.

Every edit is made by a real click and key, and named on standard output when the window is done with it: the fibre and its state.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import napari
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from hand import Hand, open_result
from painted_slide import SIDE, centre

KEYS = {"necrotic": Qt.Key.Key_2, "pale-fragmented": Qt.Key.Key_3, "regenerating": Qt.Key.Key_4, "deleted": Qt.Key.Key_Delete}


class Fingers:
    """What a hand needs; pytest's own lives in tests only."""

    mouseMove, mouseClick, keyClick = QTest.mouseMove, QTest.mouseClick, QTest.keyClick  # noqa: N815

    @staticmethod
    def waitUntil(done: Callable[[], bool]) -> None:  # noqa: N802
        while not done():
            QApplication.processEvents()
            time.sleep(0.01)


def main(folder: Path) -> None:
    dock = open_result(napari.Viewer(show=True), Fingers, folder)
    session, hand = dock.workspace.session, Hand(Fingers, dock)
    dock.workspace.layers.nuclei.visible = False
    for number, state in zip(range(28, SIDE**2), cycle(KEYS), strict=False):
        hand.click(centre(number))
        (fibre,) = session.selected[1]
        hand.key(KEYS[state])
        print(fibre, state, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

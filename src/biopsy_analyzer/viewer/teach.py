"""Teaching: the fibre states fitted anew to the corrections, in a process of its own, and what it found before and after."""

from __future__ import annotations

import sys

from qtpy.QtCore import QProcess, Qt
from qtpy.QtWidgets import QLabel, QPushButton

from biopsy_analyzer.viewer.workspace import Workspace

ADAPTED = "adapted_models"
"""Folder beside the result that the adapted models go into."""

_ADAPT, _STOP = "Adapt to these corrections", "Stop adapting"


class Teacher:
    """A button that starts the adaptation, or stops the one that runs, and a label for what it says."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._process: QProcess | None = None
        self.button, self.said = QPushButton(_ADAPT), QLabel()
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.said.setWordWrap(True)
        self.button.clicked.connect(lambda _checked=False: self.press())

    def press(self) -> None:
        """Adapt to the corrections of the open result; while that runs: stop it."""
        if self._process is not None:
            self._process.kill()
            return
        session = self._workspace.session
        if session is None or session.corrections is None:
            return
        out = session.folder.parent / ADAPTED
        process = QProcess()
        process.finished.connect(lambda *_: self._ended(process))
        self._process = process
        self.button.setText(_STOP)
        self.said.setText("Adapting to these corrections; you can go on working.")
        given = ["-m", "biopsy_analyzer", "adapt", str(session.folder), "-o", str(out)]
        images = [] if session.slide is None else ["--images", str(session.slide.path.parent)]
        process.start(sys.executable, [*given, *images])

    def close(self) -> None:
        """End what runs; nobody waits for it any more."""
        process, self._process = self._process, None
        if process is not None:
            process.finished.disconnect()
            process.kill()
            process.waitForFinished()

    def _ended(self, process: QProcess) -> None:
        self._process = None
        self.button.setText(_ADAPT)
        text, error = (
            bytes(part.data()).decode("utf-8", "replace") for part in (process.readAllStandardOutput(), process.readAllStandardError())
        )
        process.deleteLater()
        if process.exitStatus() != QProcess.ExitStatus.NormalExit:
            self.said.setText("Adapting was stopped.")
        elif process.exitCode():
            self.said.setText(error.strip().splitlines()[-1] if error.strip() else f"adapting ended with code {process.exitCode()}")
        else:
            self.said.setText(f"{text.rstrip()}\nThat folder holds the adapted models: choose it for the next run.")

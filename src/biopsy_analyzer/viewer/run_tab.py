"""Run: the slide in the viewer, analysed in a process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QProcess
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QProgressBar, QPushButton, QWidget

from biopsy_analyzer.errors import BiopsyAnalyzerError, UsageError
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.viewer.session import open_session
from biopsy_analyzer.viewer.workspace import Workspace

WHOLE, VIEW, SHAPE = "whole section", "current view", "drawn shape (selected Shapes layer)"
_RESULTS = "biopsy_analyzer_results"
_STAGES = {"fibres": "finding fibres", "nuclei": "finding nuclei", "measure": "measuring"}


class RunTab(QWidget):
    """Model, device, region; run and cancel; progress; at the end the result is opened."""

    title: ClassVar[str] = "Run"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.slide = QLabel()
        self.models, self.out = QLineEdit(), QLineEdit()
        self.models.setPlaceholderText("those of this version")
        self.device, self.region = QComboBox(), QComboBox()
        self.device.addItems(["auto", "cpu", "cuda"])
        self.region.addItems([WHOLE, VIEW, SHAPE])
        self.run, self.cancel = QPushButton("Run"), QPushButton("Cancel")
        self.bar, self.message = QProgressBar(), QLabel()
        self.message.setWordWrap(True)
        self.process: QProcess | None = None
        self._slide: Slide | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._unread, self._stopped = b"", False
        self._result: str | None = None
        self._proposed = ""
        self._arrange()
        self.run.clicked.connect(self.start)
        self.cancel.clicked.connect(self.stop)
        for event in (workspace.viewer.layers.events.inserted, workspace.viewer.layers.events.removed):
            event.connect(self._slides_changed)
        self._slides_changed()

    def _arrange(self) -> None:
        form = QFormLayout(self)
        form.addRow("Slide", self.slide)
        form.addRow("Models", _with_browser(self.models, self))
        form.addRow("Results into", _with_browser(self.out, self))
        form.addRow("Device", self.device)
        form.addRow("Region", self.region)
        buttons = QHBoxLayout()
        for one in (self.run, self.cancel):
            buttons.addWidget(one)
        form.addRow(buttons)
        form.addRow(self.bar)
        form.addRow(self.message)
        self.cancel.setEnabled(False)
        self.bar.setRange(0, 100)

    def _slides_changed(self, _event: Any = None) -> None:
        slides = self.workspace.slides()
        self.slide.setText(slides[0].file_name if slides else "none: drag a slide into the window")
        self.run.setEnabled(bool(slides) and self.process is None)
        if slides and self.out.text() == self._proposed:
            self._proposed = str(slides[0].path.parent / _RESULTS)
            self.out.setText(self._proposed)

    def start(self) -> None:
        """Analyse the topmost slide; what is wrong with the call is said before anything runs."""
        slides = self.workspace.slides()
        if self.process is not None or not slides:
            return
        try:
            job = self._job(slides[0])
        except UsageError as error:
            self._say(str(error))
            return
        folder = tempfile.TemporaryDirectory(prefix="biopsy-analyzer-")
        (Path(folder.name) / "job.json").write_text(json.dumps(job), encoding="utf-8")
        self.process = process = QProcess(self)
        self._slide, self._folder = slides[0], folder
        self._unread, self._result, self._stopped = b"", None, False
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._failed_to_start)
        process.start(sys.executable, ["-m", "biopsy_analyzer.viewer.worker", str(Path(folder.name) / "job.json")])
        self.run.setEnabled(False)
        self.cancel.setEnabled(True)
        self.bar.setRange(0, 0)
        self._say("Starting")

    def _job(self, slide: Slide) -> dict[str, Any]:
        if not self.out.text().strip():
            raise UsageError("Results into: no folder is given. Choose one.")
        return {
            "slide": str(slide.path.absolute()),
            "um_per_px": slide.um_per_px if slide.um_per_px_source == "given" else None,
            "out": self.out.text().strip(),
            "models": self.models.text().strip(),
            "device": self.device.currentText(),
            "region": self._polygon(),
        }

    def _polygon(self) -> list[list[float]] | None:
        """The chosen region as corners (y, x) in um; None for the whole section."""
        if self.region.currentText() == WHOLE:
            return None
        if self.region.currentText() == VIEW:
            top, left, bottom, right = self.workspace.view_um()
            return [[top, left], [top, right], [bottom, right], [bottom, left]]
        layer = self.workspace.viewer.layers.selection.active
        if not isinstance(layer, Shapes) or not layer.data:
            raise UsageError("Region: no shape. Add a Shapes layer, draw a polygon or rectangle in it, and leave it selected.")
        corners = [layer.data_to_world(corner)[-2:] for corner in layer.data[-1]]
        return np.array(corners, dtype=float).tolist()

    def stop(self) -> None:
        """Stop the analysis: it is asked to, and ends itself within seconds."""
        if self.process is not None:
            self._stopped = True
            self._say("Stopping")
            self.process.closeWriteChannel()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """An analysis does not outlive its window."""
        process, self.process = self.process, None
        if process is not None:
            process.finished.disconnect(self._finished)
            process.kill()
            process.waitForFinished(5000)
        super().closeEvent(event)

    def _read(self) -> None:
        assert self.process is not None
        *lines, self._unread = (self._unread + bytes(self.process.readAllStandardOutput().data())).split(b"\n")
        for line in lines:
            try:
                facts = json.loads(line)
            except ValueError:
                continue  # a library prints
            self._result = facts.get("folder", self._result)
            if "stage" in facts and not self._stopped:
                self.bar.setRange(0, facts["total"])
                self.bar.setValue(facts["done"])
                self._say(_STAGES.get(facts["stage"], facts["stage"]))

    def _failed_to_start(self, error: Any) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(f"The analysis can't be started with {Path(sys.executable).name}. Start napari from the environment it lies in.")

    def _finished(self, code: int, status: Any) -> None:
        assert self.process is not None
        self._read()
        slide = self._slide
        errors = bytes(self.process.readAllStandardError().data()).decode(errors="replace").splitlines()
        said = [line.removeprefix("ERROR ") for line in errors if line.startswith("ERROR ")]
        if self._result:  # said by the child once all is written, so that a stop that came too late hides no result
            self._end(f"Done: {self._result}")
            self._show(Path(self._result), slide)
        elif self._stopped:
            self._end("Stopped. No unfinished result was written.")
        elif said:
            self._end(said[-1])
        else:
            self._end(f"The analysis crashed (code {code}); napari is unharmed, and no result was written. {' '.join(errors[-1:])[:300]}")

    def _show(self, folder: Path, slide: Slide | None) -> None:
        """Open the result over the slide that was analysed, which need not be the topmost any more."""
        try:
            self.workspace.open(open_session(folder, slide))
        except BiopsyAnalyzerError as error:
            self._say(f"{folder}: {error}")

    def _end(self, text: str) -> None:
        process, self.process, self._slide = self.process, None, None
        if process is not None:
            process.deleteLater()
        if self._folder is not None:
            self._folder.cleanup()
        self.bar.setRange(0, 100)
        self.bar.reset()
        self.cancel.setEnabled(False)
        self._slides_changed()
        self._say(text)

    def _say(self, text: str) -> None:
        self.message.setText(text)


def _with_browser(line: QLineEdit, parent: QWidget) -> QWidget:
    """A line for a folder with a button that looks for one."""
    both, button = QWidget(), QPushButton("...")
    button.setFixedWidth(28)

    def browse() -> None:
        chosen = QFileDialog.getExistingDirectory(parent, "Choose a folder", line.text())
        if chosen:
            line.setText(chosen)

    button.clicked.connect(browse)
    row = QHBoxLayout(both)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(line)
    row.addWidget(button)
    return both
